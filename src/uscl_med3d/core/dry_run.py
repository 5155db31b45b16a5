"""A dry run writes nothing: what planning must write for Snakemake to look at is taken back at the end of the process."""

from __future__ import annotations

import atexit
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

LONG = ("--dry-run", "--dryrun")
SHORT = re.compile(r"-[npqrkfFv]*n[npqrkfFv]*")  # alone, or together with other flags: -np


def is_dry(arguments: Sequence[str]) -> bool:
    """Whether Snakemake's arguments ask for a dry run."""
    return any(argument in LONG or SHORT.fullmatch(argument) for argument in arguments)


def leave_as_found(folders: Iterable[Path]) -> None:
    """When this process ends, everything in these folders is as it is now, times included."""
    atexit.register(remember(folders))


def remember(folders: Iterable[Path]) -> Callable[[], None]:
    """Read all files of some folders; the function returned puts them back, and removes what was not there."""
    folders = [Path(folder) for folder in folders]
    kept = {path: (path.read_bytes(), path.stat()) for folder in folders for path in _files(folder)}
    there = {place for folder in folders for place in (folder, *folder.parents) if place.is_dir()}
    there |= {path for folder in folders if folder.is_dir() for path in folder.rglob("*") if path.is_dir()}

    def restore() -> None:
        for folder in folders:
            for path in _files(folder):
                if path not in kept:
                    path.unlink()
        for path, (content, stat) in kept.items():
            if not path.is_file() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        for folder in folders:
            _drop_new(folder, there)

    return restore


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def _drop_new(folder: Path, there: set[Path]) -> None:
    """Remove empty folders that were not there: below `folder`, itself, and above it."""
    below = (
        sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True) if folder.is_dir() else []
    )
    for place in (*below, folder, *folder.parents):
        if place in there or not place.is_dir():
            continue
        if any(place.iterdir()):
            return
        place.rmdir()
