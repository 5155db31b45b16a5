"""One inspected sweep to files: its volume, key frames, reference and sidecar."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.io import load_volume, save_volume, write_json
from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.data.annotations import IGNORE, read_annotations
from uscl_med3d.data.clips import Clip
from uscl_med3d.data.fan import bounding_box
from uscl_med3d.data.inspect import Inspection
from uscl_med3d.data.resample import Grid, PlaneResampler, frame_step, plan_axis
from uscl_med3d.data.roles import assign_roles


def convert_sweep(inspection: Inspection, split: str, settings: Ingest, seed: int, folder: Path) -> None:
    """Write image, key_frames, reference (if any) and sidecar of one sweep into `folder`."""
    row = inspection.row
    spacing_mm = _pixel_spacing_mm(inspection)
    grid = plan_grid(inspection.fan, inspection.frames, spacing_mm, settings)
    resampler = PlaneResampler(inspection.fan, grid)
    image = _read_image(inspection.clip, resampler, grid.frame_step, settings.frame_reduction)
    masks = read_annotations(row.key_frames) if row.key_frames is not None else {}
    roles = assign_roles(
        masks, split=split, held_out=settings.held_out_key_frames, seed=seed, sweep=row.sweep
    )
    used, unused = _one_per_volume_frame(sorted(masks), grid.frame_step)
    frame_spacing_mm = _frame_spacing_mm(inspection)
    true_mm = {
        "d": frame_spacing_mm * grid.frame_step if frame_spacing_mm else None,
        "h": settings.spacing_mm if spacing_mm else None,
        "w": settings.spacing_mm if spacing_mm else None,
    }
    stored = tuple(true_mm[axis] or 1.0 for axis in "dhw")
    save_volume(folder / "image.nii.gz", image, stored)
    key_frames = np.full(image.shape, IGNORE, np.uint8)
    for frame in used:
        key_frames[frame // grid.frame_step] = resampler.label_map([masks[frame]])
    save_volume(folder / "key_frames.nii.gz", key_frames, stored)
    if row.reference is not None:
        save_volume(
            folder / "reference.nii.gz",
            _resample_reference(row.reference, resampler, grid.frame_step),
            stored,
        )
    sidecar = _describe(inspection, split, grid, image.shape, true_mm, spacing_mm, frame_spacing_mm)
    sidecar["key_frames"] = [
        {"frame": frame, "index": frame // grid.frame_step, "role": roles[frame]} for frame in used
    ]
    sidecar["key_frames_not_used"] = [
        {
            "frame": frame,
            "reason": f"another key frame of the same volume frame is nearer to its centre ({kept})",
        }
        for frame, kept in unused
    ]
    write_json(folder / "sidecar.json", sidecar)


def plan_grid(fan: np.ndarray, frames: int, spacing_mm: tuple[float, float] | None, settings: Ingest) -> Grid:
    """The grid of a volume: the fan's bounding box in pixels of `spacing_mm`, or `max_side` of them."""
    top, bottom, left, right = bounding_box(fan)
    if spacing_mm is not None:
        h_step, w_step = settings.spacing_mm / spacing_mm[0], settings.spacing_mm / spacing_mm[1]
    else:
        h_step = w_step = max(bottom - top, right - left) / settings.max_side
    h_start, h_size = plan_axis(top, bottom, h_step)
    w_start, w_size = plan_axis(left, right, w_step)
    return Grid(
        frame_step=frame_step(frames, settings.max_frames),
        h_start_px=h_start,
        h_step_px=h_step,
        h_size=h_size,
        w_start_px=w_start,
        w_step_px=w_step,
        w_size=w_size,
    )


def _read_image(clip: Clip, resampler: PlaneResampler, step: int, reduction: str) -> np.ndarray:
    """The volume (d, h, w) uint8: the mean of each group of `step` frames, or its middle frame."""
    slices = []
    for group in _groups(clip.frames(), step):
        frame = group[len(group) // 2] if reduction == "pick" else np.mean(group, axis=0, dtype=np.float32)
        slices.append(resampler.image(frame))
    return np.stack(slices)


def _groups(frames: Iterator[np.ndarray], step: int) -> Iterator[list[np.ndarray]]:
    while group := list(islice(frames, step)):
        yield group


def _resample_reference(path: Path, resampler: PlaneResampler, step: int) -> np.ndarray:
    reference = load_volume(path)[0].astype(np.uint8)
    groups = (reference[start : start + step] for start in range(0, len(reference), step))
    return np.stack([resampler.label_map(list(group)) for group in groups])


def _one_per_volume_frame(frames: list[int], step: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Key frames to use, and (unused, used instead) where several fall into one volume frame."""
    best: dict[int, int] = {}
    for frame in frames:
        index = frame // step
        if index not in best or _off_centre(frame, step) < _off_centre(best[index], step):
            best[index] = frame
    used = sorted(best.values())
    return used, [(frame, best[frame // step]) for frame in frames if frame not in used]


def _off_centre(frame: int, step: int) -> float:
    return abs(frame % step - (step - 1) / 2)


def _pixel_spacing_mm(inspection: Inspection) -> tuple[float, float] | None:
    """(h, w) pixel size of the clip: the cohort's statement, else the file's own, else unknown."""
    if inspection.row.spacing_mm is not None:
        return inspection.row.spacing_mm, inspection.row.spacing_mm
    return inspection.clip.info.pixel_spacing_mm


def _frame_spacing_mm(inspection: Inspection) -> float | None:
    if inspection.row.frame_spacing_mm is not None:
        return inspection.row.frame_spacing_mm
    return inspection.clip.info.frame_spacing_mm


def _describe(
    inspection: Inspection,
    split: str,
    grid: Grid,
    shape: tuple[int, ...],
    true_mm: dict[str, float | None],
    spacing_mm: tuple[float, float] | None,
    frame_spacing_mm: float | None,
) -> dict[str, Any]:
    row, info, fan = inspection.row, inspection.clip.info, inspection.fan
    top, bottom, left, right = bounding_box(fan)
    return {
        "patient": row.patient,
        "sweep": row.sweep,
        "group": row.group,
        "view": row.view,
        "split": split,
        "probe": row.probe or None,
        "source": row.source,
        "source_sha256": inspection.source_sha256,
        "source_format": info.format,
        "source_codec": info.codec,
        "source_frames_per_second": info.frames_per_second,
        "source_shape": [inspection.frames, *fan.shape],
        "source_spacing_mm": {
            "d": frame_spacing_mm,
            "h": spacing_mm[0] if spacing_mm else None,
            "w": spacing_mm[1] if spacing_mm else None,
        },
        "shape_dhw": list(shape),
        "spacing_mm": true_mm,
        # Where millimetres are unknown the NIfTI header holds 1.0, which is no measurement.
        "axis_without_millimetres": None if true_mm["d"] else "d",
        "axes_without_millimetres": [axis for axis in "dhw" if true_mm[axis] is None],
        "grid": grid.as_dict(),
        "fan": {
            "share_of_frame": round(float(fan.mean()), 6),
            "bounding_box_px": {"top": top, "bottom": bottom, "left": left, "right": right},
        },
        "has_reference": row.reference is not None,
    }
