"""Scores of one run: one row per data set, case, class, reference, way of clicking and click."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.io import atomic
from uscl_med3d.core.scores import COLUMNS, write_scores
from uscl_med3d.core.seeds import prepare_torch
from uscl_med3d.data.general import Reading
from uscl_med3d.evaluate.cases import Item, Unscored, list_general_items, list_sweep_items
from uscl_med3d.evaluate.kept import Keeper
from uscl_med3d.evaluate.protocol import NoPrediction, Prediction, Setting, click_through
from uscl_med3d.evaluate.rows import explain_missing_prediction, explain_unscored, score_prediction
from uscl_med3d.methods.base import ClickMethod, Method, SliceMethod, WholeMethod
from uscl_med3d.methods.registry import find_method

KEYS = [
    "dataset", "split", "patient", "case", "class", "reference", "crop", "click_simulator", "click_seed", "click",
]  # fmt: skip


def evaluate(
    job: Any, volumes_dir: Path, splits_csv: Path, pseudolabels_dir: Path, general_dirs: Mapping[str, Path],
    base_weights: Path | None, checkpoint: Path | None, vcl_weights: Path | None, scores_file: Path, predictions_dir: Path,
) -> None:  # fmt: skip
    """Score one run on the data sets that `job.run` names, and keep a few masks for the figures.

    Masks after the last click of the first test case of every class (by patient and sweep) go to
    `predictions_dir/<case>_<class>.nii.gz`, on the volume's grid; those of the test case with the lowest Dice of
    every class to `predictions_dir/worst/`; clicks in every slice to `predictions_dir/slice_clicks.csv.gz`. On
    validation sweeps the same predictions are also compared with the pseudo-labels, in rows of their own.

    Raises:
        InputError: for missing or unsuitable files.
    """
    prepare_torch(job.seed, job.threads, "evaluate", job.run.id)
    method = find_method(job.run.method).load(job, base_weights, checkpoint, vcl_weights)
    settings = list_settings(method.prompt, job.evaluate)
    entries = _list_items(job, volumes_dir, splits_csv, pseudolabels_dir, general_dirs)
    rows: list[dict[str, Any]] = []
    with atomic(predictions_dir) as folder:
        folder.mkdir()
        keeper = Keeper(folder, job.evaluate.clicks, settings[0])
        for batch in _batches(entries, job.evaluate.batch_size):
            items = [entry for entry in batch if isinstance(entry, Item)]
            for entry in batch:
                if isinstance(entry, Unscored):
                    rows += explain_unscored(job, entry, settings)
            keeper.meet(items)
            for setting in settings if items else []:
                for prediction in _predict(job, method, items, setting):
                    if isinstance(prediction, NoPrediction):
                        rows += explain_missing_prediction(job, prediction, setting)
                        continue
                    scored = score_prediction(job, prediction, setting)
                    keeper.add(prediction, scored, setting)
                    rows += scored
        keeper.finish()
    write_scores(scores_file, pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(KEYS, kind="stable"))


def list_settings(prompt: str, evaluate: Any) -> list[Setting]:
    """The ways of clicking that a kind of prompt is scored with."""
    if prompt in ("none", "key_frames"):
        return [Setting("whole", "none", 0)]
    crops = evaluate.crops if prompt == "clicks" else ["slice"]
    return [
        Setting(crop, simulator, click_seed)
        for crop in crops
        for simulator in evaluate.click_simulators
        for click_seed in evaluate.click_seeds
    ]


def _predict(
    job: Any, method: Method, items: Sequence[Item], setting: Setting
) -> Iterator[Prediction | NoPrediction]:
    if isinstance(method, ClickMethod):
        return click_through(method, items, setting, job.evaluate, job.model.image_size, job.seed)
    if isinstance(method, SliceMethod):
        from uscl_med3d.evaluate.slices import click_through_slices

        return click_through_slices(method, items, setting, job.evaluate, job.seed)
    from uscl_med3d.evaluate.whole import predict_whole

    assert isinstance(method, WholeMethod)
    return predict_whole(method, items, job)


def _list_items(
    job: Any, volumes_dir: Path, splits_csv: Path, pseudolabels_dir: Path, general_dirs: Mapping[str, Path]
) -> Iterator[Item | Unscored]:
    settings = job.evaluate
    for dataset in job.run.datasets:
        if dataset == "us":
            yield from list_sweep_items(
                volumes_dir, splits_csv, pseudolabels_dir, settings.splits, job.classes,
                settings.min_target_voxels, settings.untracked_distance,
            )  # fmt: skip
        else:
            yield from list_general_items(
                dataset,
                general_dirs[dataset],
                job.seed,
                settings.min_target_voxels,
                settings.max_classes_per_case,
                Reading.of(job),
            )


def _batches(items: Iterator[Item | Unscored], size: int) -> Iterator[list[Item | Unscored]]:
    """The items of one case at a time, in lists of at most `size`, with progress on standard error.

    Cases never share a batch, so that a case's floating-point sums, and with them its clicks, are its own.
    """
    from tqdm import tqdm

    shown = tqdm(items, desc="cases x classes", mininterval=5, file=sys.stderr)
    for _, of_case in groupby(shown, key=lambda item: (item.dataset, item.case)):
        together = list(of_case)
        for start in range(0, len(together), size):
            yield together[start : start + size]
