"""Parts of a published set, which a reader needs."""

from __future__ import annotations

from pathlib import Path

from uscl_med3d.core.errors import InputError


def need(path: Path, expected: str) -> Path:
    """`path`, if it is there; else an `InputError`."""
    if path.exists():
        return path
    raise InputError(
        file=path,
        found="no such file or folder",
        expected=expected,
        remedy="give the folder that holds the published set as it was unpacked, complete",
    )
