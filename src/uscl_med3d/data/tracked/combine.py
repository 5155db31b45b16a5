"""Tracker and images in two files: which pose belongs to which frame; and what no volume can be made from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.tracked.poses import Track, read_fields

TIME = re.compile(r"Seq_Frame(\d{4,6})_Timestamp")
SMALLEST_IMAGE = 8  # pixels a side; PLUS writes 1 x 1 images where only the tracker was recorded
LEAST_MOTION_MM = 0.01  # the way of every corner of the image over the whole sweep


def check_sweep(track: Track, shape: tuple[int, int], path: Path) -> None:
    """Raise `InputError` for a sweep that makes no volume.

    Args:
        track: its poses. shape: (rows, columns) of its images. path: named in the message.
    """
    check_images(shape, path)
    if track.unnamed:
        listed = ", ".join(map(str, track.unnamed[:10])) + (", ..." if len(track.unnamed) > 10 else "")
        raise _error(
            path,
            f"no transform at all for {len(track.unnamed)} of {track.frames} frames ({listed})",
            "a transform for every frame, or a status that says why it is invalid",
            "export the sequence again as a whole",
        )
    rows, columns = shape
    corners = np.array([[x, y, 0, 1] for x in (0, columns - 1) for y in (0, rows - 1)], float).T
    places = np.stack([(pose @ corners)[:3] for pose in track.poses.values()])
    if len(places) > 1 and float(np.ptp(places, axis=0).max()) < LEAST_MOTION_MM:
        raise _error(
            path,
            f"the same pose in all {len(places)} frames: the probe did not move, or was not tracked",
            "a sweep whose poses differ",
            "export the sweep with its tracking, or take it as an untracked stack",
        )


def check_images(shape: tuple[int, ...], path: Path) -> None:
    """Raise `InputError` for images that PLUS writes where there is none. shape: (rows, columns)."""
    if min(shape) < SMALLEST_IMAGE:
        raise _error(
            path,
            f"images of {shape[1]} x {shape[0]} pixels: a tracker was recorded without images",
            "frames and poses",
            "name the file with the frames, too: --video FILE",
        )


def combine(track: Track, tracker: Path, video: Path, frames: int) -> Track:
    """Poses of one file for the frames of another.

    By the time stamps where both are sequence files that have them (nearest pose within one usual step of the tracker),
    else one pose for each frame, in order.

    Args:
        track: poses of `tracker`. video: file of the frames. frames: how many it has.

    Raises:
        InputError: for numbers that differ without a common clock, or clocks that do not overlap.
    """
    mine, theirs = read_times(tracker), read_times(video)
    if len(mine) == track.frames and len(theirs) == frames and frames:
        return _by_time(track, mine, theirs, tracker, video)
    if track.frames != frames:
        raise _error(
            video,
            f"{frames} frames, and {track.frames} poses in {tracker.name}, without time stamps in both",
            "as many frames as poses, or two sequence files with time stamps of one clock",
            "export both from one recording",
        )
    return track


def read_times(path: Path) -> dict[int, float]:
    """Time stamps in seconds by frame; empty for files without any."""
    if not path.name.lower().endswith((".mha", ".mhd", ".nrrd", ".nhdr")):
        return {}
    times = {}
    for key, text in read_fields(path)[0].items():
        if found := TIME.fullmatch(key):
            try:
                times[int(found[1])] = float(text)
            except ValueError:
                continue
    return times


def _by_time(
    track: Track, mine: Mapping[int, float], theirs: Mapping[int, float], tracker: Path, video: Path
) -> Track:
    times = np.array([mine[frame] for frame in sorted(mine)])
    steps = np.diff(np.sort(times))
    usual = float(np.median(steps)) if steps.size else 0.0
    poses, lost = {}, {}
    for frame, time in sorted(theirs.items()):
        nearest = int(np.abs(times - time).argmin())
        apart = abs(float(times[nearest]) - time)
        if apart > max(usual, 1e-6):
            lost[frame] = f"no pose within {usual:.3g} s of its time"
        elif nearest in track.poses:
            poses[frame] = track.poses[nearest]
        else:
            lost[frame] = track.lost.get(nearest, "no pose")
    if not poses:
        raise _error(
            video,
            f"no frame whose time is near one of {tracker.name}",
            "files of one clock",
            "export both from one recording",
        )
    return replace(track, frames=len(theirs), poses=poses, lost=lost, unnamed=())


def _error(path: Path, found: str, expected: str, remedy: str) -> InputError:
    return InputError(file=path, found=found, expected=expected, remedy=remedy)
