"""Rows of the score file: what one prediction is worth against every reference that its case has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from uscl_med3d.clicks.crops import common_part
from uscl_med3d.core.scores import COLUMNS
from uscl_med3d.evaluate.cases import NO_PSEUDO_LABEL, FrameMasks, Item, Unscored
from uscl_med3d.evaluate.metrics import BOTH_EMPTY, dice_percent, surface_scores
from uscl_med3d.evaluate.protocol import NoPrediction, Prediction, Setting
from uscl_med3d.predict.crops import fill_volume

HELD_OUT = "held_out_key_frames"
PSEUDO_LABEL, SAME_FRAMES = "pseudo_label", "true_mask_same_frames"
NO_COMPLETE_REFERENCE = "not scored: no complete reference masks"


def score_prediction(job: Any, prediction: Prediction, setting: Setting) -> list[dict[str, Any]]:
    """Rows of one prediction: volume reference, held-out key frames, pseudo-label beside the truth on its frames."""
    item, rule = prediction.item, job.evaluate.empty_masks
    common = _identify(job, item, setting) | {"class": item.name} | _describe_click(prediction)
    rows = []
    if item.reference is not None:
        rows.append(common | _score_volume(job, prediction))
    if item.held_out is not None:
        rows.append(common | {"reference": HELD_OUT} | _score_frames(prediction, item.held_out, rule))
    if item.pseudo_label is not None:
        rows += [common | row for row in _score_pseudo_label(prediction, item.pseudo_label, rule)]
    return rows


def explain_missing_prediction(job: Any, missing: NoPrediction, setting: Setting) -> list[dict[str, Any]]:
    """A row with the reason for every reference that has no prediction to compare with."""
    item = missing.item
    common = _identify(job, item, setting) | {
        "class": item.name,
        "click": missing.number,
        "reason": missing.reason,
    }
    return [common | {"reference": name, "dice": np.nan} for name in _list_references(item)]


def explain_unscored(job: Any, case: Unscored, settings: Sequence[Setting]) -> list[dict[str, Any]]:
    """A row for every score that a case without any reference cannot be given, with the reason instead."""
    clicks = [0] if settings[0].crop == "whole" else range(1, job.evaluate.clicks + 1)
    return [
        _identify(job, case, setting)
        | {"class": name, "reference": "", "click": click, "dice": np.nan, "reason": case.reason}
        for setting in settings
        for name in job.classes
        for click in clicks
    ]


def _list_references(item: Item) -> list[str]:
    named = [] if item.reference is None else [item.reference]
    named += [HELD_OUT] * (item.held_out is not None)
    return named + [PSEUDO_LABEL, SAME_FRAMES] * (item.pseudo_label is not None)


def _score_volume(job: Any, prediction: Prediction) -> dict[str, Any]:
    item = prediction.item
    inside, outside = common_part(item.truth.shape, prediction.region.origin, prediction.region.mask.shape)
    predicted = prediction.region.mask[inside]
    overlap, found = int((predicted & item.truth[outside]).sum()), int(predicted.sum())
    row: dict[str, Any] = {"reference": item.reference}
    row["dice"] = dice_percent(overlap, found, int(item.truth.sum()), job.evaluate.empty_masks)
    # A method that is given no clicks has one prediction, number 0.
    if job.evaluate.surface_at and prediction.number in (0, *job.evaluate.surface_at):
        tolerance = job.evaluate.nsd_tolerance
        row["nsd"], row["hd95"] = surface_scores(
            fill_volume(prediction.region, item.truth.shape).astype(bool),
            item.truth,
            item.distance,
            tolerance.voxel if item.distance.unit == "voxel" else tolerance.mm,
        )
        row["distance_unit"] = item.distance.unit
    return row


def _score_frames(prediction: Prediction, reference: FrameMasks, rule: str) -> dict[str, Any]:
    """Dice on some frames alone; what lies outside the predicted region counts as missed."""
    region, shape = prediction.region, prediction.item.truth.shape
    inside, outside = common_part(shape, region.origin, region.mask.shape)
    first, last = outside[0].start, outside[0].stop
    seen = (reference.frames >= first) & (reference.frames < last)
    predicted = region.mask[inside][reference.frames[seen] - first]
    overlap = predicted & reference.masks[seen][(slice(None), *outside[1:])]
    dice = dice_percent(int(overlap.sum()), int(predicted.sum()), int(reference.masks.sum()), rule)
    return {"dice": dice, "reason": BOTH_EMPTY if math.isnan(dice) else ""}


def _score_pseudo_label(
    prediction: Prediction, pseudo_label: FrameMasks, rule: str
) -> Iterator[dict[str, Any]]:
    """The same prediction on the same frames, against the pseudo-label and against the truth."""
    item, frames = prediction.item, pseudo_label.frames
    truth = FrameMasks(frames, item.truth[frames])
    for name, masks in ((PSEUDO_LABEL, pseudo_label), (SAME_FRAMES, truth)):
        if not frames.size:
            yield {"reference": name, "dice": np.nan, "reason": NO_PSEUDO_LABEL}
        elif name == SAME_FRAMES and item.known is not None:
            yield {"reference": name, "dice": np.nan, "reason": NO_COMPLETE_REFERENCE}
        else:
            yield {"reference": name} | _score_frames(prediction, masks, rule)


def _identify(job: Any, case: Item | Unscored, setting: Setting) -> dict[str, Any]:
    run = job.run
    values = [
        run.id,
        run.method,
        run.rank,
        run.modules,
        run.pretraining,
        run.training_seed,
        case.dataset,
        case.split,
        case.patient,
        case.case,
    ]
    scores = {"nsd": np.nan, "hd95": np.nan, "distance_unit": "", "reason": ""}
    return dict(zip(COLUMNS, values, strict=False)) | asdict(setting) | scores


def _describe_click(prediction: Prediction) -> dict[str, Any]:
    d, h, w, label = prediction.click or (None, None, None, None)
    return {
        "click": prediction.number,
        "click_d": d,
        "click_h": h,
        "click_w": w,
        "click_label": label,
        "volume_clicks": prediction.volume_clicks,
    }
