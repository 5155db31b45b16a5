"""Tracked freehand sweeps: poses of the frames, and reconstruction on a regular grid of millimetres."""

from uscl_med3d.data.tracked.calibration import find_calibration, read_calibration
from uscl_med3d.data.tracked.combine import check_images, check_sweep, combine
from uscl_med3d.data.tracked.grid import VolumeGrid, frame_steps_mm, plan_volume
from uscl_med3d.data.tracked.poses import Track, is_tracked, read_fields, read_track
from uscl_med3d.data.tracked.reconstruct import Reconstruction, reconstruct

__all__ = [
    "Reconstruction",
    "Track",
    "VolumeGrid",
    "check_images",
    "check_sweep",
    "combine",
    "find_calibration",
    "frame_steps_mm",
    "is_tracked",
    "plan_volume",
    "read_calibration",
    "read_fields",
    "read_track",
    "reconstruct",
]
