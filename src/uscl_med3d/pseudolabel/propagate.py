"""The stage `pseudolabel`: propagate, judge, measure, record, for every training and validation sweep."""

from __future__ import annotations

import os
import sys
import tempfile
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from uscl_med3d.core.io import read_json, save_volume, write_csv, write_json
from uscl_med3d.core.seeds import prepare_torch
from uscl_med3d.core.store import Store, describe_code, fingerprint, hash_files
from uscl_med3d.data.sweeps import Sweep, load_sweep, read_splits
from uscl_med3d.nets.seggpt import load_seggpt
from uscl_med3d.propagation.alternatives import copy_nearest_key_frame, interpolate_shapes
from uscl_med3d.propagation.key_frames import spread
from uscl_med3d.propagation.propose import combine_classes, propose_scores
from uscl_med3d.pseudolabel.gate import Verdict, judge_frames, judge_sweep
from uscl_med3d.pseudolabel.quality import IGNORE, dice_percent, score_sweep
from uscl_med3d.pseudolabel.review import draw_review
from uscl_med3d.pseudolabel.summary import summarise

FRAME_COLUMNS = [
    "sweep",
    "patient",
    "split",
    "class",
    "frame",
    "confidence",
    "consistency",
    "accepted",
    "reason",
]
SWEEP_COLUMNS = [
    "sweep",
    "patient",
    "split",
    "key_frames",
    "frames",
    "frames_accepted",
    "accepted",
    "reason",
    "true_dice_accepted_frames",
    "true_dice_rejected_frames",
]
QUALITY_COLUMNS = ["sweep", "patient", "split", "class", "frame", "method", "reference", "dice"]

ACCEPTED, PROPOSED, SHEET, RECORD = "labels.nii.gz", "proposed.nii.gz", "sheet.png", "record.json"
PLACES = {ACCEPTED: "{sweep}.nii.gz", PROPOSED: "review/{sweep}.nii.gz", SHEET: "review/{sweep}.png"}
"""Files of one sweep, and where in the results they lie."""


def pseudolabel(
    job: Any,
    volumes_dir: str | Path,
    splits_csv: str | Path,
    seggpt_weights: str | Path,
    out_dir: str | Path,
    store_dir: str | Path | None = None,
) -> None:
    """Write `<sweep>.nii.gz` of every accepted sweep (rejected frames are 255), and the record of how it
    came about.

    `job` is the slice `pseudolabel`. Only sweeps of the splits train and val are read. Beside the labels:
    frames.csv, sweeps.csv, quality.csv, summary.json, review/<sweep>.png and review/<sweep>.nii.gz (the labels
    before the gate). With `store_dir`, sweeps of which nothing has changed are taken from there
    (`core.store`), also after an interruption; the result is the same without.

    Raises:
        InputError: the manifest, a volume or the weights are missing or unusable.
    """
    out_dir = Path(out_dir)
    prepare_torch(job.seed, job.threads, "pseudolabel")
    manifest = read_splits(splits_csv)
    manifest = manifest[manifest["split"].isin(["train", "val"])].sort_values("sweep")
    model, store = _Model(seggpt_weights, job.device), Store(store_dir)
    common = {
        "job": [job.seed, job.threads, job.device, job.classes, job.pseudolabel.model_dump(mode="json")],
        "weights": hash_files([Path(seggpt_weights)]),
        "code": describe_code(__name__),
    }
    frames: list[dict[str, Any]] = []
    sweeps: list[dict[str, Any]] = []
    quality: list[dict[str, Any]] = []
    keys: dict[str, bool] = {}
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    for row in tqdm(list(manifest.itertuples()), desc="pseudolabel", unit="sweep", file=sys.stderr):
        who = {"sweep": row.sweep, "patient": row.patient, "split": row.split}
        key = fingerprint(common | who | {"files": hash_files([Path(volumes_dir) / row.sweep])})
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=out_dir.parent) as temporary:
            made = Path(temporary) / row.sweep
            keys[key] = store.fill(made, key, partial(_make, job, volumes_dir, row.sweep, model))
            record = read_json(made / RECORD)
            for name, place in PLACES.items():
                if (made / name).is_file():
                    target = out_dir / place.format(sweep=row.sweep)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(made / name, target)
        frames += [who | entry for entry in record["frames"]]
        quality += [who | entry for entry in record["quality"]]
        sweeps.append(who | record["sweep"])
    _write(out_dir, job, frames, sweeps, quality)
    store.keep_only(keys)
    unchanged = sum(keys.values())
    print(
        f"pseudolabel: {len(keys) - unchanged} of {len(keys)} sweeps computed, {unchanged} unchanged",
        file=sys.stderr,
    )


class _Model:
    """SegGPT, loaded when the first sweep needs it."""

    def __init__(self, weights: str | Path, device: str) -> None:
        self.weights, self.device = weights, device

    @cached_property
    def loaded(self) -> tuple[Any, str]:
        """The model and its kind of embedding."""
        model: Any
        model, embedding_type = load_seggpt(self.weights)
        return model.to(self.device), embedding_type


def _make(job: Any, volumes_dir: str | Path, name: str, model: _Model, folder: Path) -> None:
    """Files of one sweep into `folder`: those of `PLACES`, and its rows of the tables."""
    sweep = load_sweep(volumes_dir, name)
    prompts, corrections = sweep.key_frame_indices("prompt"), sweep.key_frame_indices("correction")
    chosen = spread(sorted(prompts), job.pseudolabel.key_frames, corrections)
    key_masks = {index: sweep.key_frames[index] for index in chosen}
    record: dict[str, Any] = {"frames": [], "quality": []}
    if key_masks:
        result = _propagate(job, sweep, key_masks, *model.loaded)
        record["frames"] = _list_frames(result.verdicts, job.classes)
        record["quality"] = result.quality
        record["sweep"] = _finish(job, sweep, key_masks, result, folder)
    else:
        nothing = {"key_frames": 0, "frames": len(sweep.image), "frames_accepted": 0}
        record["sweep"] = nothing | {"accepted": False, "reason": "no key frames"}
    write_json(folder / RECORD, record)


class _Result:
    """Labels of one sweep before the gate, the verdicts on them, and their quality."""

    def __init__(self, labels: np.ndarray, verdicts: list[Verdict], quality: list[dict[str, Any]]) -> None:
        self.labels, self.verdicts, self.quality = labels, verdicts, quality


def _propagate(
    job: Any, sweep: Sweep, key_masks: dict[int, np.ndarray], model: Any, embedding_type: str
) -> _Result:
    settings = job.pseudolabel
    scores = propose_scores(model, embedding_type, sweep.image, key_masks, settings)
    proposals = {
        "seggpt": combine_classes(scores, settings.score_threshold, sweep.image.shape),
        "nearest_key_frame": copy_nearest_key_frame(key_masks, len(sweep.image)),
        "shape_interpolation": interpolate_shapes(key_masks, len(sweep.image)),
    }
    for volume in proposals.values():
        volume[~sweep.fan] = 0
        for frame, mask in key_masks.items():
            volume[frame] = mask
    labels = proposals[settings.method]
    verdicts = judge_frames(labels, scores if settings.method == "seggpt" else None, key_masks, settings.gate)
    held_out = {index: sweep.key_frames[index] for index in sweep.key_frame_indices("held_out")}
    quality = score_sweep(proposals, held_out, sweep.reference, sorted(key_masks), job.classes)
    return _Result(labels, verdicts, quality)


def _finish(
    job: Any, sweep: Sweep, key_masks: dict[int, np.ndarray], result: _Result, folder: Path
) -> dict[str, Any]:
    """Apply the gate, write label volumes and review sheet, return the row of sweeps.csv."""
    settings = job.pseudolabel
    rejected = {verdict.frame for verdict in result.verdicts if not verdict.accepted}
    accepted = [frame not in rejected for frame in range(len(sweep.image))]
    enters, reason = judge_sweep(accepted, settings.gate)
    d, h, w = (value or 1.0 for value in sweep.spacing_mm)
    spacing_mm = (d, h, w)
    save_volume(folder / PROPOSED, result.labels, spacing_mm)
    if enters:
        gated = result.labels.copy()
        gated[~np.array(accepted)] = IGNORE
        save_volume(folder / ACCEPTED, gated, spacing_mm)
    state = "accepted" if enters else f"rejected: {reason}"
    counts = f"{sum(accepted)} of {len(accepted)} frames accepted"
    title = f"{sweep.id}   {counts}   sweep {state}   method {settings.method}"
    draw_review(
        folder / SHEET,
        title,
        sweep.image,
        result.labels,
        result.verdicts,
        sorted(key_masks),
        job.classes,
        settings.review,
    )
    propagated = np.array([frame not in key_masks for frame in range(len(accepted))])
    return {
        "key_frames": len(key_masks),
        "frames": len(accepted),
        "frames_accepted": sum(accepted),
        "accepted": enters,
        "reason": reason,
        "true_dice_accepted_frames": _true_dice(
            result.labels, sweep.reference, np.array(accepted) & propagated
        ),
        "true_dice_rejected_frames": _true_dice(result.labels, sweep.reference, ~np.array(accepted)),
    }


def _true_dice(labels: np.ndarray, reference: np.ndarray | None, frames: np.ndarray) -> float | None:
    """Mean over classes of the Dice (0..100) with the true masks on some frames; says whether the gate can
    judge."""
    if reference is None or not frames.any():
        return None
    found, truth = labels[frames], reference[frames]
    classes = sorted((set(np.unique(found)) | set(np.unique(truth))) - {0, IGNORE})
    each = (dice_percent(found == label, truth == label) for label in classes)
    values = [value for value in each if value is not None]
    return float(np.mean(values)) if values else None


def _list_frames(verdicts: list[Verdict], classes: dict[str, int]) -> list[dict[str, Any]]:
    names = {label: name for name, label in classes.items()}
    return [
        {
            "class": names[verdict.label],
            "frame": verdict.frame,
            "confidence": verdict.confidence,
            "consistency": verdict.consistency,
            "accepted": verdict.accepted,
            "reason": verdict.reason,
        }
        for verdict in verdicts
    ]


def _write(out_dir: Path, job: Any, frames: list[dict], sweeps: list[dict], quality: list[dict]) -> None:
    out_dir.mkdir(parents=True, exist_ok=True)
    frame_table = pd.DataFrame(frames, columns=FRAME_COLUMNS)
    frame_table = frame_table.sort_values(["sweep", "class", "frame"], kind="stable", ignore_index=True)
    sweep_table = pd.DataFrame(sweeps, columns=SWEEP_COLUMNS)
    quality_table = pd.DataFrame(quality, columns=QUALITY_COLUMNS)
    write_csv(out_dir / "frames.csv", frame_table)
    write_csv(out_dir / "sweeps.csv", sweep_table)
    write_csv(out_dir / "quality.csv", quality_table)
    write_json(
        out_dir / "summary.json", summarise(job.pseudolabel.method, frame_table, sweep_table, quality_table)
    )
