"""A folder of single-frame DICOM files of one series as a clip."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.clips.base import ClipInfo
from uscl_med3d.data.clips.dicom import SIGNATURE, DicomClip

LEAST_STEP_MM = 1e-6
EVEN = 0.05  # steps between frames may differ by this share of their mean and still count as one distance


class DicomSeriesClip:
    """Frames in the order of their positions, else of their instance numbers; see `uscl_med3d.data.clips.base.Clip`.

    Attributes:
        files: of the frames, in order.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder
        headers = _sort(_read_headers(folder))
        _check(headers, folder)
        self.files = [path for path, _ in headers]
        self._headers = [header for _, header in headers]
        first = DicomClip(self.files[0]).info
        self.info = ClipInfo(
            format="dicom folder",
            codec=first.codec,
            frames_per_second=first.frames_per_second,
            pixel_spacing_mm=first.pixel_spacing_mm,
            frame_spacing_mm=self._frame_spacing_mm(),
        )

    def frames(self) -> Iterator[np.ndarray]:
        """Grey frames, uint8 (h, w)."""
        clips = [DicomClip(file) for file in self.files]
        ranges = [limits for clip in clips if (limits := clip.limits()) is not None]
        # One scale for all frames, not one for each.
        limits = (min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None
        for clip in clips:
            yield from clip.frames(limits)

    @cached_property
    def affine(self) -> np.ndarray | None:
        """(4, 4) voxel (column, row, frame) -> millimetres in LPS, where the headers state it."""
        first = self._headers[0]
        if not all(_is_placed(header) for header in self._headers) or "PixelSpacing" not in first:
            return None
        right, down = _plane(first)
        start = np.array(first.ImagePositionPatient, float)
        if len(self._headers) > 1:
            step = (np.array(self._headers[-1].ImagePositionPatient, float) - start) / (
                len(self._headers) - 1
            )
        else:
            step = np.cross(right, down) * float(first.get("SliceThickness") or 1)
        if np.linalg.norm(step) < LEAST_STEP_MM:
            return None
        affine = np.eye(4)
        row_mm, column_mm = (float(value) for value in first.PixelSpacing)
        affine[:3, 0], affine[:3, 1], affine[:3, 2], affine[:3, 3] = (
            right * column_mm,
            down * row_mm,
            step,
            start,
        )
        return affine

    def _frame_spacing_mm(self) -> float | None:
        """The one distance between frames, where positions state it."""
        if len(self._headers) < 2 or not all(_is_placed(header) for header in self._headers):
            return None
        places = np.array(
            [[float(value) for value in header.ImagePositionPatient] for header in self._headers]
        )
        steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
        even = steps.mean() > LEAST_STEP_MM and np.abs(steps - steps.mean()).max() <= EVEN * steps.mean()
        return float(steps.mean()) if even else None


def list_dicom_files(folder: Path) -> list[Path]:
    """Files of a folder (not of those below it) with DICOM's signature, sorted by name."""
    found = []
    for path in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
        with open(path, "rb") as stream:
            if stream.read(132)[128:] == SIGNATURE:
                found.append(path)
    return found


def open_clip(folder: Path) -> DicomSeriesClip:
    """Open a series; the headers are read at once. Raises `InputError`."""
    return DicomSeriesClip(folder)


def _read_headers(folder: Path) -> list[tuple[Path, Any]]:
    """Headers of the files that are images (a DICOMDIR is none)."""
    import pydicom

    headers = []
    for path in list_dicom_files(folder):
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True)
        except Exception as error:
            raise _error(
                path, f"not readable as DICOM ({type(error).__name__})", "an ultrasound image"
            ) from error
        if "Rows" in header:
            headers.append((path, header))
    if not headers:
        found = "a folder without DICOM images"
        raise _error(
            folder, found, "a sweep clip: a file, or a folder with the single frames of one DICOM series"
        )
    return headers


def _check(headers: list[tuple[Path, Any]], folder: Path) -> None:
    """One series of single frames of one size, each of them once. Raises `InputError`."""

    def count(*names: str) -> int:
        return len({tuple(str(header.get(name, "")) for name in names) for _, header in headers})

    expected = "the single frames of one series"
    if count("SeriesInstanceUID") > 1:
        raise _error(
            folder,
            f"{count('SeriesInstanceUID')} series",
            expected,
            "put each series into a folder of its own",
        )
    several = [
        path for path, header in headers if str(header.get("NumberOfFrames") or 1).strip() not in ("0", "1")
    ]
    if several and len(headers) > 1:
        raise _error(folder, f"{len(several)} multi-frame file(s) among {len(headers)}", expected,
                     "name a multi-frame file itself; it is a sweep of its own")  # fmt: skip
    if count("Rows", "Columns") > 1:
        raise _error(folder, f"frames of {count('Rows', 'Columns')} sizes", "frames of one size",
                     "keep the frames of one acquisition only")  # fmt: skip
    if count("PixelSpacing") > 1:
        raise _error(folder, f"frames of {count('PixelSpacing')} pixel sizes", "frames of one pixel size",
                     "keep the frames of one acquisition only")  # fmt: skip
    images = [str(header.get("SOPInstanceUID")) for _, header in headers if header.get("SOPInstanceUID")]
    if len(set(images)) < len(images):
        raise _error(folder, f"{len(images) - len(set(images))} image(s) more than once", "each frame once",
                     "delete the copies")  # fmt: skip


def _sort(headers: list[tuple[Path, Any]]) -> list[tuple[Path, Any]]:
    if all(_is_placed(header) for _, header in headers):
        along = np.cross(*_plane(headers[0][1]))
        # Frames of one place (a still probe) keep the order of their numbers.
        return sorted(
            headers,
            key=lambda item: (_round(along @ np.array(item[1].ImagePositionPatient, float)), _number(item)),
        )
    return sorted(headers, key=_number)


def _round(distance_mm: float) -> float:
    return round(float(distance_mm), 4)


def _number(item: tuple[Path, Any]) -> tuple[int, str]:
    try:
        return int(item[1].get("InstanceNumber") or 0), item[0].name
    except (TypeError, ValueError):
        return 0, item[0].name


def _is_placed(header: Any) -> bool:
    return (
        len(header.get("ImagePositionPatient") or ()) == 3
        and len(header.get("ImageOrientationPatient") or ()) == 6
    )


def _plane(header: Any) -> tuple[np.ndarray, np.ndarray]:
    values = np.array(header.ImageOrientationPatient, float)
    return values[:3], values[3:]


def _error(
    file: Path, found: str, expected: str, remedy: str = "correct the path, or export the series again"
) -> InputError:
    return InputError(file=file, found=found, expected=expected, remedy=remedy)
