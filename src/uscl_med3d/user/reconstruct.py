"""A tracked sweep of a user as a volume in millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic
from uscl_med3d.core.params.ingest import Fan
from uscl_med3d.data.clips import open_clip
from uscl_med3d.data.fan import find_fan
from uscl_med3d.data.tracked import (
    Reconstruction,
    Track,
    VolumeGrid,
    check_images,
    check_sweep,
    combine,
    find_calibration,
    frame_steps_mm,
    is_tracked,
    plan_volume,
    read_calibration,
    read_fields,
    read_track,
    reconstruct,
)

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")


@dataclass(frozen=True)
class Made:
    """A written volume, for the message to the user."""

    track: Track
    grid: VolumeGrid
    volume: Reconstruction
    mean_step_mm: float | None


def reconstruct_file(
    sweep: Path,
    out: Path,
    *,
    spacing_mm: float,
    calibration: Path | None,
    axes: str,
    interpolation: str,
    fill_mm: float,
    fan: Fan | None,
    video: Path | None = None,
) -> Made:
    """Write the volume of a tracked sweep with a header whose spacing, axes and origin are those of its poses.

    Args:
        sweep: sequence file with poses.
        out: .nii.gz, .nii, .nrrd or .mha.
        spacing_mm: of the voxels, along all axes.
        calibration: file with the transforms that the header lacks; None: the one beside the sweep, if there is one.
        axes: `sweep` or `world`, see `plan_volume`.
        interpolation: `nearest` or `linear`.
        fill_mm: largest distance of a filled voxel from a seen one.
        fan: how the image region is found; None: the whole frame.
        video: file of the frames, where `sweep` holds the tracker alone.

    Raises:
        InputError: for files that are not usable, and for a volume that is too large.
    """
    if not out.name.lower().endswith(SUFFIXES):
        raise InputError(
            file=out,
            found=f"suffix {out.suffix!r}",
            expected=f"one of {', '.join(SUFFIXES)}",
            remedy="give the volume another name",
        )
    if video is None and is_tracked(sweep):
        columns, rows, *_ = read_fields(sweep)[1]
        check_images((rows, columns), sweep)
    frames = np.stack(list(open_clip(video or sweep).frames()))
    file = calibration or find_calibration(sweep)
    known = {} if file is None else read_calibration(file)
    track = read_track(sweep, known, "Image", (frames.shape[2], frames.shape[1]))
    if video is not None:
        track = combine(track, sweep, video, len(frames))
    check_sweep(track, frames.shape[1:], video or sweep)
    region: np.ndarray = np.ones(frames.shape[1:], bool)
    if fan is not None:
        limits = fan.model_dump(exclude={"max_labels_outside"})
        region = find_fan(frames.max(0), frames.min(0), **limits)
    grid = plan_volume(track, region, spacing_mm, axes, sweep)
    volume = reconstruct(frames, track, grid, region, interpolation, fill_mm)
    save_grid(out, volume.image, grid)
    height, width = region.shape
    steps = frame_steps_mm(track, (width / 2, height / 2))
    return Made(track, grid, volume, float(steps.mean()) if steps.size else None)


def save_grid(path: Path, image: np.ndarray, grid: VolumeGrid) -> None:
    """Write uint8 (z, y, x) with the grid's place in the world, whose axes count as left, posterior, superior."""
    import SimpleITK

    volume = SimpleITK.GetImageFromArray(image)
    volume.SetSpacing([grid.spacing_mm] * 3)
    volume.SetOrigin(grid.origin_mm.tolist())
    volume.SetDirection(grid.axes.ravel().tolist())
    with atomic(path) as temporary:
        SimpleITK.WriteImage(volume, str(temporary), useCompression=True)


def describe(out: Path, made: Made) -> str:
    """What was written, and which frames are not in it."""
    size = " x ".join(map(str, made.grid.size))
    step = "" if made.mean_step_mm is None else f"; mean frame spacing {made.mean_step_mm:.2f} mm"
    lines = [
        f"{out}: {size} voxels of {made.grid.spacing_mm:g} mm, coordinates of {made.track.world}",
        f"{len(made.track.poses)} of {made.track.frames} frames used{step}; "
        f"{made.volume.seen_share:.0%} of the covered voxels seen, the rest filled",
    ]
    by_reason: dict[str, list[int]] = {}
    for frame, reason in sorted(made.track.lost.items()):
        by_reason.setdefault(reason, []).append(frame)
    lines += [
        f"skipped: frame(s) {', '.join(map(str, frames))}: {reason}" for reason, frames in by_reason.items()
    ]
    return "\n".join(lines)
