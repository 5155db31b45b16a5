"""Sweep clips of any file format as a stream of grey frames.

One module per format; `open_clip` chooses it by content where the format has a signature, else by suffix. A
new format is one file here and one line in `FORMATS`. A folder is a series of single DICOM frames.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import ModuleType

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import DETACHED, list_data_files, sha256
from uscl_med3d.data.clips import dicom, dicom_series, video, volume
from uscl_med3d.data.clips.base import Clip, ClipInfo, Note

# Each module has SUFFIXES and open_clip(path) -> Clip, and imports its library only when it reads a file.
FORMATS: tuple[ModuleType, ...] = (video, dicom, volume)

__all__ = ["FORMATS", "Clip", "ClipInfo", "Note", "choose_format", "hash_clip", "open_clip", "read_clip"]


def choose_format(path: Path) -> ModuleType:
    """The module that reads `path`.

    Raises `InputError` where the file is missing, empty or of no known format.
    """
    if path.is_dir():
        return dicom_series
    if not path.is_file():
        raise InputError(
            file=path,
            found="no such file",
            expected="a sweep clip",
            remedy="correct the path in cohort.csv (it is relative to cohort.csv), or put the file there",
        )
    if path.stat().st_size == 0:
        raise InputError(
            file=path,
            found="an empty file (0 bytes)",
            expected="a sweep clip",
            remedy="export the clip again; the copy was probably interrupted",
        )
    if dicom.is_dicom(path):  # exports from a scanner often have no suffix
        return dicom
    name = path.name.lower()
    for module in FORMATS:
        if name.endswith(module.SUFFIXES):
            return module
    if video.is_video(path):
        return video
    known = ", ".join(suffix for module in FORMATS for suffix in module.SUFFIXES)
    raise InputError(
        file=path,
        found=f"suffix {path.suffix!r}, and nothing that FFmpeg shows as a video",
        expected=f"one of {known}, any other video, or a DICOM file",
        remedy="export the clip in one of these formats",
    )


def open_clip(path: str | Path) -> Clip:
    """The clip at `path`; nothing but its header is read yet. Raises `InputError`."""
    path = Path(path)
    return choose_format(path).open_clip(path)


def hash_clip(path: str | Path) -> str:
    """SHA-256 of a clip's file; of several, of their SHA-256 in the order of their names.

    Several are the DICOM files of a folder, and a header (.mhd, .nhdr) with the files that hold its pixels.
    """
    path = Path(path)
    files = dicom_series.list_dicom_files(path) if path.is_dir() else [path]
    if path.name.lower().endswith(DETACHED):
        named = [path.parent / name for name in list_data_files(path)]
        files += [file for file in named if file.is_file()]
    if path.is_file() and len(files) == 1:
        return sha256(path)
    digests = "\n".join(sha256(file) for file in files)
    return hashlib.sha256(digests.encode()).hexdigest()


def read_clip(path: str | Path) -> tuple[np.ndarray, ClipInfo]:
    """All frames of a clip as uint8 (d, h, w), and its facts. Raises `InputError`."""
    clip = open_clip(path)
    frames = np.stack(list(clip.frames()))
    return frames, clip.info
