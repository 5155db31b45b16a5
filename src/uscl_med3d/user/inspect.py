"""What is understood of a file before anything is made of it: facts, assumptions, annotations, a contact sheet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.ingest import Fan
from uscl_med3d.data.annotations import IGNORE
from uscl_med3d.data.clips import open_clip
from uscl_med3d.data.clips.volume import VolumeClip
from uscl_med3d.data.cohort import CohortRow, name_clips, read_cohort
from uscl_med3d.data.fan import bounding_box
from uscl_med3d.data.inspect import Inspection, inspect_sweep
from uscl_med3d.user.contact_sheet import choose_frames, draw_sheet

TABLES = (".csv", ".tsv")


@dataclass(frozen=True)
class Understood:
    """One sweep.

    Attributes:
        name: of the sweep or file. facts: what it is, in the order to read. assumed: what had to be assumed. errors: why it
            cannot be used. key_frames: frame -> class -> pixels. sheet: the picture, None where the clip cannot be read.
    """

    name: str
    facts: dict[str, str]
    assumed: list[str] = field(default_factory=list)
    errors: list[InputError] = field(default_factory=list)
    key_frames: dict[int, dict[str, int]] = field(default_factory=dict)
    sheet: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "facts": self.facts,
            "assumed": self.assumed,
            "errors": [
                {"file": e.file, "found": e.found, "expected": e.expected, "remedy": e.remedy}
                for e in self.errors
            ],
            "key_frames": self.key_frames,
            "contact_sheet": None if self.sheet is None else str(self.sheet),
        }

    def as_text(self) -> str:
        """For a person."""
        lines = [self.name, *(f"  {name}: {value}" for name, value in self.facts.items())]
        lines += [f"  assumed: {text}" for text in self.assumed]
        for frame, classes in self.key_frames.items():
            shown = (
                ", ".join(f"{name} {count} px" for name, count in classes.items()) or "nothing of any class"
            )
            lines.append(f"  key frame {frame}: {shown}")
        lines += [f"  cannot be used: {error}" for error in self.errors]
        if self.sheet is not None:
            lines.append(f"  contact sheet: {self.sheet}")
        return "\n".join(lines)


def inspect_files(
    files: Sequence[Path], labels: Path | None, fan: Fan, classes: dict[str, int], out: Path
) -> list[Understood]:
    """Look at clips, or at every sweep of a cohort table.

    Args:
        files: clips, folders of single DICOM frames, or cohort tables (.csv). labels: annotation of the one clip named.
        fan: how the image region is found. classes: name -> label value. out: folder for contact sheets.

    Raises:
        InputError: for `labels` beside several files, and for a table that cannot be read at all.
    """
    if labels is not None and (len(files) != 1 or files[0].suffix.lower() in TABLES):
        raise InputError(
            file="--labels",
            found=f"labels beside {len(files)} file(s)",
            expected="one clip and its labels",
            remedy="name one clip, or a cohort table that says which labels belong to which",
        )
    found: list[Understood] = []
    taken: set[Path] = set()
    for file in files:
        if file.suffix.lower() in TABLES and file.is_file():
            rows, errors = read_cohort(file)
            if errors:
                found.append(Understood(str(file), {}, errors=errors))
            names = name_clips(rows)
            found += [
                _inspect(row, fan, classes, names[row.sweep], _free_name(out, row.sweep, taken))
                for row in rows
            ]
        else:
            row = _row_of(file, labels)
            found.append(_inspect(row, fan, classes, None, _free_name(out, row.sweep, taken)))
    return found


def _row_of(file: Path, labels: Path | None) -> CohortRow:
    """A clip on its own as the row of a table."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", file.name).strip("_") or "clip"
    return CohortRow(
        line=0,
        patient=name,
        sweep=name,
        group="",
        view="",
        split="",
        probe="",
        source=str(file),
        video=file,
        key_frames=labels,
        reference=None,
        spacing_mm=None,
        frame_spacing_mm=None,
    )


def _free_name(out: Path, name: str, taken: set[Path]) -> Path:
    """A sheet for each clip, also where several have one name."""
    path, number = out / f"{name}.png", 1
    while path in taken:
        number += 1
        path = out / f"{name}_{number}.png"
    taken.add(path)
    return path


def _inspect(row: CohortRow, fan: Fan, classes: dict[str, int], names: Any, sheet: Path) -> Understood:
    inspection = inspect_sweep(row, fan, classes, names)
    errors = list(inspection.errors)
    if inspection.clip is None or inspection.fan is None:
        return Understood(row.sweep, {"file": str(row.video)}, errors=errors)
    facts = _list_facts(inspection)
    assumed = [note.text for note in inspection.assumed]
    values = {value: name for name, value in classes.items()} | {IGNORE: "not annotated"}
    key_frames = {
        frame: {
            values.get(value, f"value {value}"): int((mask == value).sum())
            for value in np.unique(mask).tolist()
            if value
        }
        for frame, mask in inspection.masks.items()
    }
    fitting = {frame: mask for frame, mask in inspection.masks.items() if mask.shape == inspection.fan.shape}
    wanted = choose_frames(inspection.frames, [frame for frame in fitting if frame < inspection.frames])
    frames = {number: grey for number, grey in enumerate(inspection.clip.frames()) if number in wanted}
    lines = [(f"{name}: {value}", False) for name, value in facts.items()]
    lines += [(f"assumed: {text}", True) for text in assumed]
    lines += [(f"cannot be used: {error.found} (expected: {error.expected})", True) for error in errors]
    aspect = _aspect(inspection)
    draw_sheet(sheet, row.sweep, frames, inspection.fan, fitting, classes, lines, aspect)
    return Understood(row.sweep, facts, assumed, errors, key_frames, sheet)


def _aspect(inspection: Inspection) -> float:
    clip, _ = inspection.decoded()
    spacing = inspection.row.spacing_mm or clip.info.pixel_spacing_mm
    return spacing[1] / spacing[0] if spacing else clip.info.pixel_aspect


def _list_facts(inspection: Inspection) -> dict[str, str]:
    row, (clip, fan) = inspection.row, inspection.decoded()
    info, opened = clip.info, open_clip(row.video)
    height, width = fan.shape
    top, bottom, left, right = bounding_box(fan)
    facts = {
        "file": str(row.video),
        "format": info.format + (f", {info.codec}" if info.codec else ""),
        "frames": f"{inspection.frames} of {width} x {height} pixels"
        + (f", {info.frames_per_second:.4g} per second" if info.frames_per_second else ""),
    }
    if row.spacing_mm is not None:
        facts["pixel size"] = (
            f"{row.spacing_mm[0]:.4g} x {row.spacing_mm[1]:.4g} mm (height x width), from the table"
        )
    elif info.pixel_spacing_mm is not None:
        h, w = info.pixel_spacing_mm
        facts["pixel size"] = f"{h:.4g} x {w:.4g} mm (height x width), from {info.spacing_from}"
    else:
        facts["pixel size"] = "unknown"
        if isinstance(opened, VolumeClip) and opened.header.spacing_mm is not None:
            w, h, _ = opened.header.spacing_mm
            facts["pixel size"] = f"{h:.4g} x {w:.4g} mm by the header: used by `segment`, not by `ingest`"
    distance = row.frame_spacing_mm or info.frame_spacing_mm
    facts["distance of frames"] = "unknown" if distance is None else f"{distance:.4g} mm"
    facts["place in the patient"] = (
        "none" if clip.affine is None else f"axes (column, row, frame) to {_axes(clip.affine)}"
    )
    facts["image region"] = (
        f"{fan.mean():.0%} of the frame, rows {top} to {bottom - 1}, columns {left} to {right - 1}"
    )
    if inspection.irregular is not None:
        facts["irregular frames"] = ", ".join(f"{key} {value}" for key, value in inspection.irregular.items())
    return facts


def _axes(affine: np.ndarray) -> str:
    """Directions in the patient, as L, A, S for left, anterior, superior and so on."""
    from nibabel.orientations import aff2axcodes

    return "".join(str(code) for code in aff2axcodes(affine))
