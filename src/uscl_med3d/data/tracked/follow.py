"""What ingest does with the poses of a tracked sweep: note the mean frame spacing, or bring the sweep to millimetres."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.data.annotations import IGNORE, label_values
from uscl_med3d.data.clips.base import ClipInfo, Note
from uscl_med3d.data.inspect import Inspection
from uscl_med3d.data.timing import FrameTimes
from uscl_med3d.data.tracked.calibration import Transforms, find_calibration, read_calibration
from uscl_med3d.data.tracked.combine import check_sweep
from uscl_med3d.data.tracked.grid import VolumeGrid, frame_steps_mm, plan_volume
from uscl_med3d.data.tracked.poses import Track, is_tracked, read_track
from uscl_med3d.data.tracked.reconstruct import reconstruct

LEAST_AREA = 0.25  # of a pixel, seen along the sweep: a frame turned further shows another plane


@dataclass(frozen=True)
class SliceClip:
    """Slices of a reconstructed volume as a clip; see `uscl_med3d.data.clips.base.Clip`."""

    info: ClipInfo
    slices: np.ndarray
    affine: np.ndarray | None = None  # coordinates are those of the tracker, not the patient's
    times_s: FrameTimes | None = None
    notes: list[Note] = field(default_factory=list)

    def frames(self) -> Iterator[np.ndarray]:
        """Grey slices, uint8 (h, w), in the direction of the sweep."""
        return iter(self.slices)


def follow_poses(inspection: Inspection, settings: Ingest) -> Inspection:
    """The inspection of a tracked sweep with its `tracking`; other sweeps, and those with errors, as they are.

    With `ingest.tracked: stack` the frames stay a stack, and poses are noted only. With `reconstruct` clip, image region and
    key frames are those of the volume, whose slices follow the sweep; problems come as errors of the inspection.
    """
    row = inspection.row
    if inspection.errors or not is_tracked(row.video):
        return inspection
    if settings.tracked == "stack":
        return replace(inspection, tracking=_note(inspection))
    try:
        return _reconstruct(inspection, settings)
    except InputError as error:
        return replace(inspection, errors=(error,))


def read_calibrated_track(path: Any, source: str) -> Track:
    """Poses of a sweep with the calibration that lies beside it. Raises `InputError`."""
    calibration: Transforms = {}
    if (file := find_calibration(path)) is not None:
        calibration = read_calibration(file)
    return read_track(path, calibration, source)


def describe_track(track: Track, pixel: tuple[float, float], point: str) -> dict[str, Any]:
    """Facts of the poses for the sidecar. None of the header's own words: a field may name a person."""
    steps = frame_steps_mm(track, pixel)
    return {
        "frames_without_pose": sorted(track.lost),
        "mean_frame_spacing_mm": round(float(steps.mean()), 4) if steps.size else None,
        "measured_at": point,
    }


def _note(inspection: Inspection) -> dict[str, Any]:
    """Information only: a stack has no millimetres along its frames, whatever this says."""
    height, width = inspection.decoded()[1].shape
    for source, point, pixel in (
        ("Image", "middle of the image", (width / 2, height / 2)),
        ("Probe", "probe", (0.0, 0.0)),
    ):
        try:
            track = read_calibrated_track(inspection.row.video, source)
        except InputError:
            continue
        return {"mode": "stack"} | describe_track(track, pixel, point)
    return {"mode": "stack", "mean_frame_spacing_mm": None}


def _reconstruct(inspection: Inspection, settings: Ingest) -> Inspection:
    row, chosen = inspection.row, settings.reconstruction
    clip, region = inspection.decoded()
    if row.reference is not None:
        raise InputError(
            file=row.reference,
            found=f"a reference label map on the frames of {row.source}, which is to be reconstructed",
            expected="no reference, or a stack",
            remedy="leave reference empty in cohort.csv, or set ingest.tracked: stack",
        )
    track = read_calibrated_track(row.video, "Image")
    check_sweep(track, (region.shape[0], region.shape[1]), row.video)
    grid = plan_volume(track, region, chosen.spacing_mm, "sweep", row.video)
    made = reconstruct(clip.frames(), track, grid, region, chosen.interpolation, chosen.fill_mm)
    masks, unused = map_key_frames(inspection.masks, track, grid, chosen.max_off_plane_mm)
    corrections, lost = map_key_frames(inspection.corrections, track, grid, chosen.max_off_plane_mm)
    if inspection.masks and all(set(label_values(mask)) <= {0, IGNORE} for mask, _ in masks.values()):
        raise InputError(
            file=row.key_frames or row.video,
            found="no labelled pixel of a key frame within the volume",
            expected=f"key frames with a pose, within {chosen.max_off_plane_mm:g} mm of a slice",
            remedy="annotate frames with a valid pose, raise ingest.reconstruction.max_off_plane_mm, or stack",
        )
    info = replace(
        clip.info,
        pixel_spacing_mm=(grid.spacing_mm, grid.spacing_mm),
        frame_spacing_mm=grid.spacing_mm,
    )
    height, width = region.shape
    tracking = {
        "mode": "reconstruct",
        **describe_track(track, (width / 2, height / 2), "middle of the image"),
        "clip_shape": [inspection.frames, height, width],
        "volume_origin_mm": grid.origin_mm.round(4).tolist(),
        "volume_axes": grid.axes.round(6).tolist(),
        "volume_spacing_mm": grid.spacing_mm,
        "seen_share": round(made.seen_share, 4),
        "slice_of_key_frame": {str(frame): index for index, (_, frame) in sorted(masks.items())},
        "key_frames_not_mapped": sorted(unused),
        **({"corrections_not_mapped": sorted(lost)} if lost else {}),
    }
    return replace(
        inspection,
        # What cohort.csv says of the clip's pixels and frames is not true of the volume's.
        row=replace(row, spacing_mm=None, frame_spacing_mm=None),
        clip=SliceClip(info, made.image, notes=list(clip.notes)),
        frames=grid.size[2],
        fan=np.asarray(made.covered.any(axis=0)),
        masks={index: mask for index, (mask, _) in sorted(masks.items())},
        corrections={index: mask for index, (mask, _) in sorted(corrections.items())},
        tracking=tracking,
    )


def map_key_frames(
    masks: Mapping[int, np.ndarray], track: Track, grid: VolumeGrid, max_off_plane_mm: float
) -> tuple[dict[int, tuple[np.ndarray, int]], list[int]]:
    """Key frames on the slices of a volume: slice -> (label map uint8 (y, x), frame), and frames that have no slice.

    A key frame goes to the slice that its middle lies in, pixel by pixel along z. Where its plane is further from the slice
    than `max_off_plane_mm`, and beside the frame, nothing is annotated (255). Of two in one slice the first stays.
    """
    mapped: dict[int, tuple[np.ndarray, int]] = {}
    unused = []
    for frame, mask in sorted(masks.items()):
        pose = track.poses.get(frame)
        found = None if pose is None else _map_frame(mask, grid.to_voxel(pose), grid, max_off_plane_mm)
        if found is None or found[0] in mapped:
            unused.append(frame)
        else:
            mapped[found[0]] = (found[1], frame)
    return mapped, unused


def _map_frame(
    mask: np.ndarray, to_voxel: np.ndarray, grid: VolumeGrid, max_off_plane_mm: float
) -> tuple[int, np.ndarray] | None:
    height, width = mask.shape
    in_plane = to_voxel[:2, :2]
    lengths = np.linalg.norm(to_voxel[:3, :2], axis=0)
    if abs(np.linalg.det(in_plane)) < LEAST_AREA * lengths.prod():
        return None
    index = int(np.rint(to_voxel[2] @ [(width - 1) / 2, (height - 1) / 2, 0, 1]))
    if not 0 <= index < grid.size[2]:
        return None
    y, x = np.indices(grid.size[1::-1])
    back = np.linalg.inv(in_plane)
    column, row = np.tensordot(back, np.stack([x - to_voxel[0, 3], y - to_voxel[1, 3]]), axes=1)
    off_mm = np.abs(to_voxel[2, 0] * column + to_voxel[2, 1] * row + to_voxel[2, 3] - index) * grid.spacing_mm
    column, row = np.rint(column).astype(int), np.rint(row).astype(int)
    valid = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (off_mm <= max_off_plane_mm)
    result = np.full(x.shape, IGNORE, np.uint8)
    result[valid] = mask[row[valid], column[valid]]
    return index, result
