"""Pseudo-labels of single frames for a person to correct, as images on the clip's own pixels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic, load_volume, read_json
from uscl_med3d.core.plan import Plan
from uscl_med3d.data.annotations.palette import label_colours
from uscl_med3d.data.clips import hash_clip, open_clip
from uscl_med3d.data.cohort import CohortRow, read_cohort
from uscl_med3d.data.resample import Grid

IGNORE = 255
UNUSED = (128, 128, 128)
FRAMES, LABELS = "frames", "labels"  # folders below the one that is asked for


@dataclass(frozen=True)
class Exported:
    """What was written. frames: of the clip; held_out: flagged, but kept back to score the pseudo-labels."""

    sweep: str
    frames: list[int]
    held_out: list[int]
    folder: Path
    cohort_csv: str
    simulated: bool
    classes: Mapping[str, int]


def export_review(results: Path, sweep: str, frames: Sequence[int] | None, out: Path) -> Exported:
    """Write `out`/frames/ and `out`/labels/frame_0031.png for the frames to look at.

    Args:
        results: folder of a scale with pseudo-labels.
        sweep: of the training or validation patients.
        frames: of the clip, from 0. None: the middle frame of every voxel along the sweep that the gate rejected.
        out: folder; labels that are there already are never overwritten.

    Raises:
        InputError: for an unknown sweep or frame, a test sweep, one that is reconstructed from its poses, a
            held-out frame, and for a clip that has changed since it was ingested.
    """
    plan = Plan(read_json(results / "params/all.json"), str(results / "params/all.json"))
    sidecar = _read_sidecar(results, sweep)
    grid = Grid(**sidecar["grid"])
    proposed = load_volume(results / "pseudolabels/review" / f"{sweep}.nii.gz")[0]
    held_out = {entry["index"] for entry in sidecar["key_frames"] if entry["role"] == "held_out"}
    skipped: list[int] = []
    if frames is None:
        flagged = list_flagged(results, sweep)
        middles = {index: middle_frame(index, grid, sidecar["source_shape"][0]) for index in flagged}
        skipped = [frame for index, frame in middles.items() if index in held_out]
        chosen = [frame for index, frame in middles.items() if index not in held_out]
    else:
        chosen = sorted(set(frames))
        _check_frames(chosen, sidecar, grid, held_out)
    row = _find_row(Path(plan.cohort_csv), sweep)
    existing = [path for path in _label_files(out, chosen) if path.exists()]
    if existing:
        raise InputError(
            file=existing[0],
            found="a label image that is there already",
            expected=f"none of frame {', '.join(map(str, chosen))}: work on it would be lost",
            remedy="name another folder by --out",
        )
    if chosen:
        _write_images(row, sidecar, proposed, grid, chosen, out, plan.params.classes)
    return Exported(sweep, chosen, skipped, out, plan.cohort_csv, plan.simulated, plan.params.classes)


def describe(made: Exported) -> str:
    """What was written, and what to do with it."""
    lines = []
    if made.held_out:
        frames = ", ".join(map(str, made.held_out))
        lines.append(f"not written: frame {frames}, a key frame that is held out to score the pseudo-labels")
    if not made.frames:
        return "\n".join([*lines, f"{made.sweep}: no frame is flagged; name frames by --frames"])
    labels = made.folder / LABELS
    values = ", ".join(f"{value} {name}" for name, value in made.classes.items())
    lines += [
        f"{made.sweep}: frame {', '.join(map(str, made.frames))} in {made.folder / FRAMES}, the pseudo-labels in {labels}",
        f"1. Correct the images in {labels} (indexed colours: the pixel value is the class; 0 background, {values},"
        f" {IGNORE} not annotated).",
        "2. Delete those that you have not checked: every image that stays counts as drawn by a person.",
    ]
    if made.simulated:
        return "\n".join(
            [*lines, "3. This cohort is simulated, so there is no table of your own to name the folder in."]
        )
    return "\n".join(
        [
            *lines,
            f"3. In {made.cohort_csv}, column `corrections` of {made.sweep}, name the folder {labels.resolve()}",
            "   (or its path relative to the table).",
            "4. Run the same command as before: this sweep is ingested and propagated again, the others are not.",
        ]
    )


def label_on_clip(label: np.ndarray, grid: Grid, shape: tuple[int, int]) -> np.ndarray:
    """A label map (h, w) of the volume on the clip's pixels: each has the label of the voxel that it lies in.

    shape: (rows, columns) of the clip. Outside the volume there is background.
    """
    rows = np.floor((np.arange(shape[0]) + 0.5 - grid.h_start_px) / grid.h_step_px).astype(int)
    columns = np.floor((np.arange(shape[1]) + 0.5 - grid.w_start_px) / grid.w_step_px).astype(int)
    result = np.zeros(shape, np.uint8)
    inside = np.ix_((rows >= 0) & (rows < grid.h_size), (columns >= 0) & (columns < grid.w_size))
    kept_rows = rows[(rows >= 0) & (rows < grid.h_size)]
    kept_columns = columns[(columns >= 0) & (columns < grid.w_size)]
    result[inside] = label[np.ix_(kept_rows, kept_columns)]
    return result


def _read_sidecar(results: Path, sweep: str) -> dict[str, Any]:
    volumes = results / "volumes"
    if not (volumes / sweep / "sidecar.json").is_file():
        known = sorted(path.parent.name for path in volumes.glob("*/sidecar.json"))
        raise InputError(
            file=volumes / sweep,
            found="no such sweep",
            expected=f"one of {', '.join(known) or '(none)'}",
            remedy="correct the name, or the folder in --results",
        )
    sidecar = read_json(volumes / sweep / "sidecar.json")
    mode = (sidecar.get("tracking") or {}).get("mode")
    if sidecar["split"] == "test" or mode == "reconstruct":
        what = "a test sweep" if sidecar["split"] == "test" else "a sweep reconstructed from its poses"
        raise InputError(
            file=volumes / sweep,
            found=what,
            expected="a training or validation sweep whose volume keeps the frames of the clip",
            remedy="name another sweep: only those have pseudo-labels that can be corrected",
        )
    proposed = results / "pseudolabels/review" / f"{sweep}.nii.gz"
    if not proposed.is_file():
        raise InputError(
            file=proposed,
            found="no such file",
            expected="the labels of the sweep before the gate",
            remedy="run the stage `pseudolabel`; a sweep without key frames has no pseudo-labels",
        )
    return sidecar


def list_flagged(results: Path, sweep: str) -> list[int]:
    """Positions along d of the frames that the gate rejected."""
    # Identifiers are text: a sweep may be called `001` or `NA`.
    table = pd.read_csv(results / "pseudolabels/frames.csv", dtype=str, keep_default_na=False)
    rejected = table[(table["sweep"] == sweep) & (table["accepted"].str.lower() != "true")]
    return sorted({int(index) for index in rejected["frame"]})


def middle_frame(index: int, grid: Grid, frames: int) -> int:
    return min(int((index + 0.5) * grid.frame_step), frames - 1)


def _check_frames(
    chosen: Sequence[int], sidecar: Mapping[str, Any], grid: Grid, held_out: Collection[int]
) -> None:
    last = sidecar["source_shape"][0] - 1
    for frame in chosen:
        if not 0 <= frame <= last:
            found, expected = f"frame {frame}", f"frames 0 to {last} of {sidecar['source']}"
        elif grid.index_of(frame) in held_out:
            found = f"frame {frame}, where a key frame is held out to score the pseudo-labels"
            expected = "other frames: a correction of this one would be refused"
        else:
            continue
        raise InputError(file="--frames", found=found, expected=expected, remedy="name other frames")


def _find_row(cohort_csv: Path, sweep: str) -> CohortRow:
    row = next((row for row in read_cohort(cohort_csv)[0] if row.sweep == sweep), None)
    if row is None:
        raise InputError(
            file=cohort_csv,
            found=f"no row of {sweep}",
            expected="the table that the volumes were made from",
            remedy="restore the row",
        )
    return row


def _label_files(out: Path, frames: Sequence[int]) -> list[Path]:
    return [out / LABELS / f"frame_{frame:04d}.png" for frame in frames]


def _write_images(
    row: CohortRow,
    sidecar: Mapping[str, Any],
    proposed: np.ndarray,
    grid: Grid,
    chosen: Sequence[int],
    out: Path,
    classes: Mapping[str, int],
) -> None:
    from PIL import Image

    clip = open_clip(row.video)
    if hash_clip(row.video) != sidecar["source_sha256"]:
        raise InputError(
            file=row.video,
            found="another clip than the one that was ingested",
            expected=f"SHA-256 {sidecar['source_sha256']}",
            remedy="restore the clip, or run the pipeline again",
        )
    colours = palette(classes)
    for number, frame in enumerate(clip.frames()):
        if number not in chosen:
            continue
        name = f"frame_{number:04d}.png"
        label = label_on_clip(proposed[grid.index_of(number)], grid, frame.shape)
        drawn = Image.fromarray(label, mode="L")
        drawn.putpalette(colours)
        for image, folder in ((Image.fromarray(frame), FRAMES), (drawn, LABELS)):
            with atomic(out / folder / name) as temporary:
                image.save(temporary, format="PNG")


def palette(classes: Mapping[str, int]) -> list[int]:
    """256 colours: those of labels (`data.annotations.palette`), grey for values that no class has."""
    known = label_colours(classes)
    return [part for value in range(256) for part in known.get(value, UNUSED)]
