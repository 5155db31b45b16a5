"""What every importer of a published ultrasound set provides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Recording:
    """One published sweep or sequence, with a label map of every frame.

    names: published label value -> class name. tracked: whether frames have a distance in millimetres.
    split: as published, or empty.
    """

    patient: str
    sweep: str
    group: str
    view: str
    split: str
    probe: str
    image: Path
    label: Path
    names: Mapping[int, str]
    tracked: bool


class PublicSet(Protocol):
    """A module of this package that reads one published layout."""

    EXPECTED: str

    def list_recordings(self, folder: Path) -> list[Recording]:
        """Recordings of a folder. Raises `InputError` where it is another one, or files are missing."""
        ...
