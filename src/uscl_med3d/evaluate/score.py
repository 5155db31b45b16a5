"""Scores of one run: one row per data set, case, class, reference, way of clicking and click."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from uscl_med3d.clicks.crops import common_part
from uscl_med3d.core.io import atomic, save_volume, write_csv
from uscl_med3d.core.seeds import prepare_torch
from uscl_med3d.data.general import Reading
from uscl_med3d.evaluate.cases import Item, Unscored, list_general_items, list_sweep_items
from uscl_med3d.evaluate.metrics import BOTH_EMPTY, dice_percent, surface_scores
from uscl_med3d.evaluate.predict import fill_volume
from uscl_med3d.evaluate.protocol import Prediction, Setting, click_through
from uscl_med3d.methods.base import Method
from uscl_med3d.methods.registry import find_method

COLUMNS = [
    "run", "method", "rank", "modules", "vcl", "training_seed", "dataset", "split", "patient", "case",
    "class", "reference", "crop", "click_simulator", "click_seed", "click", "click_d", "click_h", "click_w",
    "click_label", "volume_clicks", "dice", "nsd", "hd95", "distance_unit", "reason",
]  # fmt: skip


def evaluate(
    job: Any, volumes_dir: Path, splits_csv: Path, general_dirs: Mapping[str, Path],
    base_weights: Path | None, checkpoint: Path | None, vcl_weights: Path | None, scores_csv: Path, predictions_dir: Path,
) -> None:  # fmt: skip
    """Score one run on the data sets that `job.run` names, and keep a few masks for the figures.

    Masks after the last click of the first test case of every class (by patient and sweep) go to
    `predictions_dir/<case>_<class>.nii.gz`, on the volume's grid; those of the test case with the lowest Dice of
    every class to `predictions_dir/worst/`.

    Raises:
        InputError: for missing or unsuitable files.
    """
    prepare_torch(job.seed, job.threads, "evaluate", job.run.id)
    method = find_method(job.run.method).load(job, base_weights, checkpoint, vcl_weights)
    settings = list_settings(method.prompt, job.evaluate)
    rows: list[dict[str, Any]] = []
    shown: set[str] = set()
    worst: dict[str, tuple[float, Prediction]] = {}
    with atomic(predictions_dir) as folder:
        folder.mkdir()
        for batch in _batches(
            _list_items(job, volumes_dir, splits_csv, general_dirs), job.evaluate.batch_size
        ):
            items = [entry for entry in batch if isinstance(entry, Item)]
            for entry in batch:
                if isinstance(entry, Unscored):
                    rows += _unscored_rows(job, entry, settings)
            examples = {(item.case, item.name) for item in items if _is_example(item, shown)}
            for setting in settings if items else []:
                for prediction in _predict(job, method, items, setting):
                    scored = _score(job, prediction, setting)
                    rows += scored
                    last = prediction.number in (0, job.evaluate.clicks) and setting == settings[0]
                    key = (prediction.item.case, prediction.item.name)
                    if last and key in examples:
                        _keep_mask(prediction, folder)
                        examples.remove(key)
                    if last and prediction.item.dataset == "us" and prediction.item.split == "test":
                        _remember_worst(worst, scored, prediction)
        for _, prediction in worst.values():
            _keep_mask(prediction, folder / "worst")
    frame = pd.DataFrame(rows, columns=COLUMNS)
    keys = [
        "dataset",
        "split",
        "patient",
        "case",
        "class",
        "reference",
        "crop",
        "click_simulator",
        "click_seed",
        "click",
    ]
    write_csv(scores_csv, frame.sort_values(keys, kind="stable"))


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


def _predict(job: Any, method: Method, items: Sequence[Item], setting: Setting) -> Iterator[Prediction]:
    if method.prompt == "clicks":
        return click_through(method, items, setting, job.evaluate, job.model.image_size, job.seed)
    if method.prompt == "slice_clicks":
        from uscl_med3d.evaluate.slices import click_through_slices

        return click_through_slices(method, items, setting, job.evaluate, job.seed)
    from uscl_med3d.evaluate.whole import predict_whole

    return predict_whole(method, items, job)


def _list_items(
    job: Any, volumes_dir: Path, splits_csv: Path, general_dirs: Mapping[str, Path]
) -> Iterator[Item | Unscored]:
    settings = job.evaluate
    for dataset in job.run.datasets:
        if dataset == "us":
            yield from list_sweep_items(
                volumes_dir, splits_csv, settings.splits, job.classes, settings.min_target_voxels,
                settings.untracked_distance,
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
    """Consecutive items in lists of `size`, with progress on standard error."""
    from tqdm import tqdm

    batch: list[Item | Unscored] = []
    for item in tqdm(items, desc="cases x classes", mininterval=5, file=sys.stderr):
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _is_example(item: Item, shown: set[str]) -> bool:
    """Whether this is the first ultrasound test case of its class; remembers it in `shown`."""
    if item.dataset != "us" or item.split != "test" or item.name in shown:
        return False
    shown.add(item.name)
    return True


def _remember_worst(
    worst: dict[str, tuple[float, Prediction]], scored: Sequence[dict[str, Any]], prediction: Prediction
) -> None:
    """Keep the prediction with the lowest Dice of its class, by the first reference that it is scored on."""
    dice, name = (scored[0]["dice"] if scored else math.nan), prediction.item.name
    if not math.isnan(dice) and (name not in worst or dice < worst[name][0]):
        worst[name] = (dice, prediction)


def _keep_mask(prediction: Prediction, folder: Path) -> None:
    item = prediction.item
    spacing = item.distance.spacing if item.distance.unit.startswith("mm") else (1.0, 1.0, 1.0)
    save_volume(
        folder / f"{item.case}_{item.name}.nii.gz", fill_volume(prediction.region, item.truth.shape), spacing
    )


def _score(job: Any, prediction: Prediction, setting: Setting) -> list[dict[str, Any]]:
    """Rows of one prediction: against the reference volume, and against held-out key frames."""
    item, rule = prediction.item, job.evaluate.empty_masks
    common = _identify(job, item, setting) | {"class": item.name} | _describe_click(prediction)
    inside, outside = common_part(item.truth.shape, prediction.region.origin, prediction.region.mask.shape)
    predicted = prediction.region.mask[inside]
    rows = []
    if item.reference is not None:
        dice = dice_percent(
            int((predicted & item.truth[outside]).sum()), int(predicted.sum()), int(item.truth.sum()), rule
        )
        row = common | {"reference": item.reference, "dice": dice}
        # A method that is given no clicks has one prediction, number 0.
        if job.evaluate.surface_at and prediction.number in (0, *job.evaluate.surface_at):
            tolerance = job.evaluate.nsd_tolerance
            row["nsd"], row["hd95"] = surface_scores(
                fill_volume(prediction.region, item.truth.shape).astype(bool), item.truth, item.distance,
                tolerance.voxel if item.distance.unit == "voxel" else tolerance.mm,
            )  # fmt: skip
            row["distance_unit"] = item.distance.unit
        rows.append(row)
    if item.held_out is not None:
        frames, masks = item.held_out
        first, last = outside[0].start, outside[0].stop
        seen = (frames >= first) & (frames < last)
        predicted_frames = predicted[frames[seen] - first]
        overlap = predicted_frames & masks[seen][(slice(None), *outside[1:])]
        dice = dice_percent(int(overlap.sum()), int(predicted_frames.sum()), int(masks.sum()), rule)
        reason = BOTH_EMPTY if math.isnan(dice) else ""
        rows.append(common | {"reference": "held_out_key_frames", "dice": dice, "reason": reason})
    return rows


def _identify(job: Any, case: Item | Unscored, setting: Setting) -> dict[str, Any]:
    run = job.run
    values = [
        run.id, run.method, run.rank, run.modules, run.vcl, run.training_seed,
        case.dataset, case.split, case.patient, case.case,
    ]  # fmt: skip
    scores = {"nsd": np.nan, "hd95": np.nan, "distance_unit": "", "reason": ""}
    return dict(zip(COLUMNS, values, strict=False)) | asdict(setting) | scores


def _describe_click(prediction: Prediction) -> dict[str, Any]:
    d, h, w, label = prediction.click or (None, None, None, None)
    return {
        "click": prediction.number, "click_d": d, "click_h": h, "click_w": w, "click_label": label,
        "volume_clicks": prediction.volume_clicks,
    }  # fmt: skip


def _unscored_rows(job: Any, case: Unscored, settings: list[Setting]) -> list[dict[str, Any]]:
    """A row for every score that cannot be given, with the reason instead."""
    clicks = [0] if settings[0].crop == "whole" else range(1, job.evaluate.clicks + 1)
    return [
        _identify(job, case, setting)
        | {"class": name, "reference": "", "click": click, "dice": np.nan, "reason": case.reason}
        for setting in settings
        for name in job.classes
        for click in clicks
    ]
