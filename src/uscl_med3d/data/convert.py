"""One inspected sweep to files: its volume, key frames, reference and sidecar."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import sparse

from uscl_med3d.core.io import save_volume, write_json
from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.data.annotations import IGNORE
from uscl_med3d.data.clips.base import FrameSource
from uscl_med3d.data.corrections import add_corrections
from uscl_med3d.data.fan import bounding_box
from uscl_med3d.data.inspect import Inspection
from uscl_med3d.data.resample import (
    Grid,
    PlaneResampler,
    frame_weights,
    one_per_voxel,
    plan_axis,
    plan_frames,
)
from uscl_med3d.data.roles import assign_roles
from uscl_med3d.data.sidecar import describe_sweep, source_spacing_mm


def convert_sweep(inspection: Inspection, split: str, settings: Ingest, seed: int, folder: Path) -> None:
    """Write image, key_frames, reference (if any) and sidecar of one sweep into `folder`."""
    row, (clip, fan) = inspection.row, inspection.decoded()
    source_mm = source_spacing_mm(inspection)
    grid = plan_grid(fan, inspection.frames, source_mm, clip.info.pixel_aspect, settings)
    resampler = PlaneResampler(fan, grid)
    weights = frame_weights(inspection.frames, grid, settings.frame_reduction)
    spacing_mm = {
        "d": source_mm["d"] * grid.frame_step if source_mm["d"] else None,
        "h": settings.spacing_mm if source_mm["h"] else None,
        "w": settings.spacing_mm if source_mm["w"] else None,
    }
    # NIfTI needs a number on every axis: 1.0 stands for "unknown", and the sidecar says where.
    stored = (spacing_mm["d"] or 1.0, spacing_mm["h"] or 1.0, spacing_mm["w"] or 1.0)
    used, unused = one_per_voxel(sorted(inspection.masks), grid)
    annotated = {frame: inspection.masks[frame] for frame in used}
    # Roles are drawn before corrections come in, so that no correction changes which frame is held out.
    drawn = assign_roles(
        annotated, split=split, held_out=settings.held_out_key_frames, seed=seed, sweep=row.sweep
    )
    masks, roles, not_used = add_corrections(inspection, split, annotated, drawn, grid)
    image = read_image(clip, resampler, weights)
    save_volume(folder / "image.nii.gz", image, stored)
    key_frames = np.full(image.shape, IGNORE, np.uint8)
    for frame, mask in masks.items():
        key_frames[grid.index_of(frame)] = resampler.label_map([mask], [1.0])
    save_volume(folder / "key_frames.nii.gz", key_frames, stored)
    if inspection.reference is not None:
        reference = resample_labels(inspection.reference, resampler, weights)
        save_volume(folder / "reference.nii.gz", reference, stored)
    sidecar = describe_sweep(inspection, split, grid, source_mm, spacing_mm)
    sidecar["key_frames"] = [
        {"frame": frame, "index": grid.index_of(frame), "role": roles[frame]} for frame in masks
    ]
    sidecar["key_frames_not_used"] = [
        {"frame": frame, "reason": f"frame {kept} is nearer to the middle of the same voxel"}
        for frame, kept in unused
    ] + [{"frame": frame, "reason": reason} for frame, reason in not_used]
    write_json(folder / "sidecar.json", sidecar)


def plan_grid(
    fan: np.ndarray, frames: int, source_mm: dict[str, float | None], pixel_aspect: float, settings: Ingest
) -> Grid:
    """The grid of a volume: the fan's bounding box in pixels of `spacing_mm`, or `max_side` of them.

    pixel_aspect: width / height of the clip's pixels, for those of unknown size; the volume's pixels are square.
    """
    top, bottom, left, right = bounding_box(fan)
    h_mm, w_mm = source_mm["h"], source_mm["w"]
    if h_mm is not None and w_mm is not None:  # a clip has both or none
        h_step, w_step = settings.spacing_mm / h_mm, settings.spacing_mm / w_mm
    else:
        h_step = max(bottom - top, (right - left) * pixel_aspect) / settings.max_side
        w_step = h_step / pixel_aspect
    frame_step, frame_size = plan_frames(frames, settings.max_frames)
    h_start, h_size = plan_axis(top, bottom, h_step)
    w_start, w_size = plan_axis(left, right, w_step)
    return Grid(
        frame_step=frame_step,
        frame_size=frame_size,
        h_start_px=h_start,
        h_step_px=h_step,
        h_size=h_size,
        w_start_px=w_start,
        w_step_px=w_step,
        w_size=w_size,
    )


def read_image(clip: FrameSource, resampler: PlaneResampler, weights: sparse.csr_matrix) -> np.ndarray:
    """The volume, uint8 (d, h, w): weighted means of the clip's frames, which are read one by one."""
    volume = np.zeros((weights.shape[0], *resampler.inside.shape), np.float32)
    by_frame = weights.tocsc()
    for number, frame in enumerate(clip.frames()):
        column = by_frame[:, [number]].tocoo()
        if column.nnz:
            grey = resampler.grey(frame)
        for i, weight in zip(column.row, column.data, strict=True):
            volume[i] += weight * grey
    return resampler.to_uint8(volume)


def resample_labels(labels: np.ndarray, resampler: PlaneResampler, weights: sparse.csr_matrix) -> np.ndarray:
    """A label map (frames, rows, columns) of the clip on the volume's grid, uint8 (d, h, w)."""
    groups = [weights[[i]].tocoo() for i in range(weights.shape[0])]
    return np.stack([resampler.label_map(labels[group.col], group.data) for group in groups])
