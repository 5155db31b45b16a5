"""Table 8, one start of the encoder: the usual fine-tune on few or all labelled patients, and the usual scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from uscl_med3d.core.io import sha256, write_csv
from uscl_med3d.core.scores import COLUMNS, write_scores
from uscl_med3d.core.seeds import prepare_torch, rng
from uscl_med3d.data.splits import read_splits
from uscl_med3d.evaluate.cases import Item, list_sweep_items
from uscl_med3d.evaluate.protocol import Prediction
from uscl_med3d.evaluate.rows import score_prediction
from uscl_med3d.evaluate.score import KEYS, list_settings, predict
from uscl_med3d.methods.base import Weights
from uscl_med3d.methods.registry import find_method
from uscl_med3d.selfsupervised.base import collapse, pool_grid
from uscl_med3d.ssl.probe import draw_patients
from uscl_med3d.ssl.words import UNTUNED
from uscl_med3d.train.finetune import finetune
from uscl_med3d.train.sweeps import LabelledSweeps


class FewSweeps(LabelledSweeps):
    """Pseudo-labelled sweeps of `count` training patients of each group (None: all); the same patients for every start.

    The patients of a smaller number are among those of a greater one.
    """

    def __init__(
        self, volumes: Path, splits_csv: Path, pseudolabels: Path, count: int | None, seed: int
    ) -> None:
        super().__init__(volumes, splits_csv, pseudolabels)
        table = read_splits(splits_csv)
        table = table[table["sweep"].isin(self.train)]
        if count is not None:
            few = draw_patients(table, count, rng(seed, "ssl", "labelled patients"))
            table = table[table["patient"].isin(few)]
        self.train = sorted(table["sweep"])
        self.patients = int(table["patient"].nunique())

    def hashes(self) -> dict[str, str]:
        """SHA-256 of the pseudo-labels that are used."""
        return {sweep: sha256(self._label(sweep)) for sweep in self.train}


def run_cells(
    job: Any,
    counts: Sequence[int],
    volumes: Path,
    splits_csv: Path,
    pseudolabels: Path,
    weights: Weights,
    *,
    scores_out: Path,
    watch_out: Path,
) -> None:
    """Fine-tune from one start on every number of labelled patients per group (0: all), and score test patients.

    A run that is not trained is scored as it comes, in place of all numbers. In `scores_out` the column `run` says the
    number (`UNTUNED` where nothing was trained); `watch_out` has the collapse watch of every number, and before the
    fine-tune.

    Raises:
        InputError: for missing or unsuitable files.
    """
    rows: list[dict[str, Any]] = []
    watched: list[dict[str, Any]] = []
    for count in counts if job.method.trained else [UNTUNED]:
        trained, patients = weights, 0
        if count != UNTUNED:
            sweeps = FewSweeps(volumes, splits_csv, pseudolabels, count or None, job.seed)
            trained, patients = _tune(job, sweeps, weights, Path(scores_out), count), sweeps.patients
        found, crops = score(job, volumes, splits_csv, trained)
        rows += [row | {"run": str(count)} for row in found]
        if not watched and count != UNTUNED:
            watched.append({"labelled": UNTUNED, "patients": 0} | _watch(job, weights, crops))
        watched.append({"labelled": count, "patients": patients} | _watch(job, trained, crops))
        if trained.trained is not None:
            trained.trained.unlink()
    write_scores(
        scores_out, pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(["run", *KEYS], kind="stable")
    )
    write_csv(watch_out, pd.DataFrame(watched))


def _tune(job: Any, sweeps: FewSweeps, weights: Weights, output: Path, count: int) -> Weights:
    files = {
        key: output.with_name(f"{output.stem}_{count}.{key}")
        for key in ("safetensors", "csv", "json", "cost.json")
    }
    finetune(
        job,
        sweeps,
        weights,
        out_weights=files["safetensors"],
        curve_csv=files["csv"],
        info_json=files["json"],
        cost_json=files["cost.json"],
    )
    for key in ("csv", "json", "cost.json"):
        files[key].unlink()
    return Weights(weights.base, weights.start, files["safetensors"])


def score(
    job: Any, volumes: Path, splits_csv: Path, weights: Weights
) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """Rows of the usual scores of the sweeps of `job.evaluate.splits`, and the middle crop of each."""
    prepare_torch(job.seed, job.threads, "evaluate", job.run.id)
    method = find_method(job.method.module or job.run.method).load(job, weights)
    settings, rows, seen = list_settings(method, job.evaluate), [], []
    evaluate = job.evaluate
    items = list_sweep_items(
        volumes,
        splits_csv,
        None,
        evaluate.splits,
        job.classes,
        evaluate.min_target_voxels,
        evaluate.untracked_distance,
    )
    for case in _by_case(items):
        seen.append(_middle(case[0].image, job.model.image_size))
        for setting in settings:
            for prediction in predict(job, method, case, setting):
                if isinstance(prediction, Prediction):
                    rows += score_prediction(job, prediction, setting)
    return rows, seen


def _by_case(items: Iterator[Any]) -> Iterator[list[Item]]:
    scored = (item for item in items if isinstance(item, Item))
    for _, of_case in groupby(scored, key=lambda item: item.case):
        yield list(of_case)


def _middle(image: np.ndarray, size: int) -> np.ndarray:
    """The middle of a sweep as a crop (1, size, size, size), padded with zeros."""
    crop = np.zeros((1, size, size, size), np.float32)
    start = [max(0, (length - size) // 2) for length in image.shape]
    part = image[tuple(slice(at, at + size) for at in start)]
    d, h, w = part.shape
    crop[0, :d, :h, :w] = part
    return crop


@torch.no_grad()
def _watch(job: Any, weights: Weights, crops: list[np.ndarray]) -> dict[str, float]:
    """The collapse watch of a run's encoder on crops."""
    method: Any = find_method(job.method.module or job.run.method).load(job, weights)
    features = [pool_grid(method.embed(torch.from_numpy(crop[None]))).float().cpu() for crop in crops]
    return collapse(torch.cat(features))
