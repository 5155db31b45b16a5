"""A folder of single-frame DICOM files of one series as a clip."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.clips.base import MOST_DAMAGED, ClipInfo, Note, refuse_blank
from uscl_med3d.data.clips.dicom import SUFFIXES, DicomClip, has_signature, is_dicom, read_dicom
from uscl_med3d.data.clips.places import describe_steps, find_gaps, off_by_mm, order_along, place_frames
from uscl_med3d.data.clips.regions import list_tissue
from uscl_med3d.data.timing import FrameTimes

USED = (
    "Rows",
    "Columns",
    "NumberOfFrames",
    "PixelSpacing",
    "SliceThickness",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SequenceOfUltrasoundRegions",
)
ALIGNED = 1e-3  # directions of rows and columns may differ by this between parallel frames
MOST_NAMED = 5  # files in a message


class DicomSeriesClip:
    """Frames in the order of their positions, else of their instance numbers; see `uscl_med3d.data.clips.base.Clip`.

    Attributes:
        files: of the frames, in order.
        unreadable: files that look like frames and cannot be read, few enough to go on.
        off_by_mm: how far even steps along the sweep would put a frame from its true place.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder
        headers, self.unreadable = _read_headers(folder)
        _check(headers, folder)
        self._assumed: list[Note] = []
        headers, self._along = _sort(headers, folder, self._assumed)
        self._range: list[Note] = []
        self.files = [path for path, _ in headers]
        self._headers = [header for _, header in headers]
        self.off_by_mm = 0.0 if self._along is None else off_by_mm(self._along)
        self._frame_mm, self._note = (None, None) if self._along is None else describe_steps(self._along)
        self._first = DicomClip(self.files[0])
        self._brightest: np.ndarray | None = None
        self.times_s = FrameTimes([None] * len(self.files))
        self.times_s.unreadable = [path.name for path in self.unreadable]
        self.times_s.gaps = self._find_gaps()

    @property
    def info(self) -> ClipInfo:
        """Facts of the clip, those of its first frame."""
        return replace(self._measure()[0], format="dicom folder", frame_spacing_mm=self._frame_mm)

    @property
    def notes(self) -> list[Note]:
        """What was assumed."""
        notes = [*self._first.notes_of_decoding, *self._measure()[1], *self._assumed, *self._range]
        if self._note is not None:
            notes.append(self._note)
        elif self.times_s.gaps:
            missing = sum(count for _, count in self.times_s.gaps)
            notes.append(
                Note(
                    f"{missing} frame(s) missing by their instance numbers, first after frame {self.times_s.gaps[0][0]}"
                )
            )
        if self.unreadable:
            notes.append(
                Note(
                    f"{len(self.unreadable)} file(s) that cannot be read are left out: {_names(self.unreadable)}"
                )
            )
        numbers = [_number(header) for header in self._headers]
        if self._along is not None and None not in numbers and numbers != sorted(numbers):  # type: ignore[type-var]
            notes.append(
                Note(
                    "frames are in the order of their positions, which is not that of their instance numbers"
                )
            )
        if self._along is not None and not self._parallel():
            notes.append(Note("frames are not parallel: no place in the patient is given to voxels"))
        return notes

    def frames(self) -> Iterator[np.ndarray]:
        """Grey frames, uint8 (h, w)."""
        clips = [DicomClip(file) for file in self.files]
        ranges = [limits for clip in clips if (limits := clip.limits()) is not None]
        # One scale for all frames, not one for each.
        limits = (min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None
        if limits is not None:
            self._range = [self._first.note_range(limits)]
        single = (frame for clip in clips for frame in clip.single_frames(limits))
        brightest: np.ndarray | None = None
        for frame in refuse_blank(self.path, single):
            brightest = frame.copy() if brightest is None else np.maximum(brightest, frame)
            yield frame
        self._brightest = brightest

    @cached_property
    def affine(self) -> np.ndarray | None:
        """(4, 4) voxel (column, row, frame) -> millimetres in RAS, where the headers state it and frames are parallel.

        By the mean step along the sweep; `off_by_mm` says how far that may be from the truth.
        """
        first = self._headers[0]
        if self._along is None or "PixelSpacing" not in first or not self._parallel():
            return None
        row_mm, column_mm = (float(value) for value in first.PixelSpacing)
        points = np.array([header.ImagePositionPatient for header in self._headers], float)
        affine = place_frames(points, _plane(first), (row_mm, column_mm))
        if affine is not None and len(points) == 1:
            affine[:3, 2] *= float(first.get("SliceThickness") or 1)
        return affine

    def _measure(self) -> tuple[ClipInfo, list[Note]]:
        if self._brightest is None and self._first.has_regions:
            for _ in self.frames():
                pass
        return self._first.measure(self._brightest)

    def _parallel(self) -> bool:
        planes = np.array([_plane(header) for header in self._headers])
        return bool(np.abs(planes - planes[0]).max() < ALIGNED)

    def _find_gaps(self) -> list[tuple[int, int]]:
        """By positions where frames move, else by instance numbers."""
        if self._along is not None and np.ptp(self._along) > 0:
            return find_gaps(self._along)
        numbers = [_number(header) for header in self._headers]
        if None in numbers or len(set(numbers)) < len(numbers):
            return []
        return find_gaps(np.array(numbers, float))


def list_dicom_files(folder: Path) -> list[Path]:
    """Files of a folder (not of those below it) that are DICOM, with or without the signature, sorted by name."""
    return [path for path in _list_files(folder) if is_dicom(path)]


def open_clip(folder: Path) -> DicomSeriesClip:
    """Open a series; the headers are read at once. Raises `InputError`."""
    return DicomSeriesClip(folder)


def _list_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _read_headers(folder: Path) -> tuple[list[tuple[Path, Any]], list[Path]]:
    """Headers of the files that are images (a DICOMDIR is none), and files that look like frames and are unreadable."""
    headers: list[tuple[Path, Any]] = []
    unreadable: list[Path] = []
    for path in _list_files(folder):
        if not is_dicom(path):
            if path.name.lower().endswith(SUFFIXES):
                unreadable.append(path)
            continue
        try:
            header = read_dicom(path, stop_before_pixels=True)
            for keyword in USED:  # values are parsed when they are asked for
                header.get(keyword)
            _check_numbers(header)
        except Exception:  # each damage has an exception of its own
            unreadable.append(path)
            continue
        if "Rows" in header:
            headers.append((path, header))
        elif path.name.lower().endswith(SUFFIXES):
            unreadable.append(path)
    if not headers:
        expected = "a sweep clip: a file, or a folder with the single frames of one DICOM series"
        if unreadable:
            raise _error(
                unreadable[0], f"not readable as DICOM ({len(unreadable)} file(s))", "an ultrasound image"
            )
        raise _error(folder, "a folder without DICOM images", expected)
    if len(unreadable) > MOST_DAMAGED * (len(headers) + len(unreadable)):
        found = f"not readable as DICOM: {len(unreadable)} of {len(headers) + len(unreadable)} files ({_names(unreadable)})"
        raise _error(unreadable[0], found, f"whole files; at most {MOST_DAMAGED:.0%} unreadable")
    return headers, unreadable


def _check_numbers(header: Any) -> None:
    """Raise where a place or a size is no number."""
    list_tissue(header)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        if not np.isfinite(np.array(header.get(keyword) or [], float)).all():
            raise ValueError(keyword)
    float(header.get("SliceThickness") or 1)


def _check(headers: list[tuple[Path, Any]], folder: Path) -> None:
    """One series of single frames of one size, each of them once. Raises `InputError`."""

    def count(*names: str) -> int:
        return len({tuple(str(header.get(name, "")) for name in names) for _, header in headers})

    acquisition = "keep the frames of one acquisition only"
    bare = [path for path, _ in headers if not has_signature(path)]
    if bare and len(bare) < len(headers):
        raise _error(
            bare[0],
            f"{len(bare)} of {len(headers)} files without DICOM's signature (128 bytes and DICM): {_names(bare)}",
            "the files of a series as one program wrote them",
            "copy these files again, or write them anew with a DICOM toolkit",
        )
    if count("SeriesInstanceUID") > 1:
        raise _error(
            folder,
            f"{count('SeriesInstanceUID')} series",
            "the single frames of one series",
            "put each series into a folder of its own",
        )
    several = [
        path for path, header in headers if str(header.get("NumberOfFrames") or 1).strip() not in ("0", "1")
    ]
    if several and len(headers) > 1:
        raise _error(
            folder,
            f"{len(several)} multi-frame file(s) among {len(headers)}",
            "the single frames of one series",
            "name a multi-frame file itself; it is a sweep of its own",
        )
    if count("Rows", "Columns") > 1:
        raise _error(folder, f"frames of {count('Rows', 'Columns')} sizes", "frames of one size", acquisition)
    sizes = {(str(header.get("PixelSpacing")), tuple(list_tissue(header))) for _, header in headers}
    if len(sizes) > 1:
        raise _error(folder, f"frames of {len(sizes)} pixel sizes", "frames of one pixel size", acquisition)
    images = [str(header.get("SOPInstanceUID")) for _, header in headers if header.get("SOPInstanceUID")]
    if len(set(images)) < len(images):
        raise _error(
            folder,
            f"{len(images) - len(set(images))} image(s) more than once",
            "each frame once",
            "delete the copies",
        )


def _sort(
    headers: list[tuple[Path, Any]], folder: Path, assumed: list[Note]
) -> tuple[list[tuple[Path, Any]], np.ndarray | None]:
    """Headers in order, and the distance of each along the sweep where all are placed; notes are added to `assumed`.

    Raises:
        InputError: where neither positions nor numbers say the order.
    """
    if len({str(header.get("RescaleSlope") or 1) for _, header in headers}) > 1:
        assumed.append(Note("files differ in RescaleSlope: grey values are taken as stored"))
    numbers = [_number(header) for _, header in headers]
    unnumbered = numbers.count(None)
    headers = sorted(headers, key=lambda item: (_number(item[1]) or 0, _natural(item[0].name)))
    if all(_is_placed(header) for _, header in headers):
        points = np.array([header.ImagePositionPatient for _, header in headers], float)
        order, along = order_along(points, _plane(headers[0][1]))
        _refuse_times(along, folder)
        if np.ptp(along) > 0 or len(headers) == 1:
            return [headers[i] for i in order], along[order]
        found: np.ndarray | None = along
    else:
        found = None
    if unnumbered == len(headers) > 1:
        assumed.append(
            Note("no positions and no instance numbers: frames are in the order of their file names")
        )
    elif unnumbered or len(set(numbers)) < len(numbers):
        what = (
            f"{unnumbered} without a number" if unnumbered else f"{len(numbers) - len(set(numbers))} repeated"
        )
        raise _error(
            folder,
            f"instance numbers that give {len(headers)} frames no order ({what}), and no positions that do",
            "a number of its own for each frame, or a position",
            "put the frames of one acquisition into a folder of its own, or export them as one multi-frame file",
        )
    return headers, found


def _refuse_times(along: np.ndarray, folder: Path) -> None:
    """Raise `InputError` for several volumes in time: every place of the sweep as often as all the others."""
    _, counts = np.unique(np.round(along, 4), return_counts=True)
    if len(counts) > 1 and counts.min() == counts.max() > 1:
        raise _error(
            folder,
            f"{len(along)} frames at {len(counts)} places: several volumes in time, or several views",
            "one frame at each place",
            "put the frames of each volume into a folder of its own",
        )


def _natural(name: str) -> list[tuple[int, str]]:
    """For sorting: `im2` comes before `im10`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def _number(header: Any) -> int | None:
    try:
        return int(header.get("InstanceNumber"))
    except Exception:  # missing, no number, or damaged: pydicom decodes an element when it is asked for
        return None


def _is_placed(header: Any) -> bool:
    return (
        len(header.get("ImagePositionPatient") or ()) == 3
        and len(header.get("ImageOrientationPatient") or ()) == 6
    )


def _plane(header: Any) -> np.ndarray:
    return np.array(header.ImageOrientationPatient, float)


def _names(files: list[Path]) -> str:
    more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
    return ", ".join(path.name for path in files[:MOST_NAMED]) + more


def _error(
    file: Path, found: str, expected: str, remedy: str = "correct the path, or export the series again"
) -> InputError:
    return InputError(file=file, found=found, expected=expected, remedy=remedy)
