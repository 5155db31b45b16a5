"""Published ultrasound sets as cohorts: a cohort.csv that points into the set's own folder.

One module per layout (see `base.PublicSet`). A new set is one file here and one line in `LAYOUTS`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic, save_volume, write_csv
from uscl_med3d.data.cohort import OPTIONAL, REQUIRED
from uscl_med3d.data.public import camus, segthy, tdsc_abus
from uscl_med3d.data.public.base import PublicSet, Recording
from uscl_med3d.data.volumes import read_header

LAYOUTS: dict[str, PublicSet] = {"tdsc_abus": tdsc_abus, "camus": camus, "segthy": segthy}
NOT_ANNOTATED = 255

__all__ = ["LAYOUTS", "write_cohort"]


def write_cohort(
    layout: str, folder: str | Path, out: str | Path, classes: Mapping[str, int], key_frames: int
) -> None:
    """Write the cohort table `out` of a published set, and beside it the folder `<out without suffix>_labels`.

    Clips stay where they are. The published label maps cover every frame, which no user of this pipeline has: `key_frames`
    frames, evenly spaced from the first to the last that shows a structure, become the annotation, and the whole map becomes
    the reference, which only scores. Both are written with the values of `classes`.

    Raises:
        InputError: for an unknown layout, a folder that is another set, a class that `classes` lacks, unreadable files.
    """
    folder, out = Path(folder), Path(out)
    if layout not in LAYOUTS:
        raise InputError(
            file=folder,
            found=f"layout {layout!r}",
            expected=f"one of {', '.join(LAYOUTS)}",
            remedy="correct the name of the set",
        )
    recordings = LAYOUTS[layout].list_recordings(folder)
    wanted = sorted({name for recording in recordings for name in recording.names.values()})
    missing = [name for name in wanted if name not in classes]
    if missing:
        raise InputError(
            file=folder,
            found=f"structures {', '.join(wanted)}, of which `classes` lacks {', '.join(missing)}",
            expected="a value for every structure of the set",
            remedy="add them to `classes` in the parameters",
        )
    labels = out.with_name(f"{out.stem}_labels")
    rows = []
    with atomic(labels) as place:
        for recording in recordings:
            spacing_mm = _write_labels(recording, place, classes, key_frames)
            annotated = (place / _key_frames_of(recording)).is_file()
            rows.append(_describe(recording, labels, annotated, spacing_mm, out.parent))
    write_csv(out, pd.DataFrame(rows, columns=[*REQUIRED, *OPTIONAL]).sort_values(["patient", "sweep"]))


def _write_labels(
    recording: Recording, place: Path, classes: Mapping[str, int], count: int
) -> tuple[float, float, float]:
    """Write key frames and reference of a recording; its spacing_mm (d, h, w) as its header states it."""
    published, spacing_mm = _read(recording.label)
    table = np.full(256, NOT_ANNOTATED, np.uint8)
    table[0] = 0
    for value, name in recording.names.items():
        table[value] = classes[name]
    unknown = sorted(set(np.unique(published).tolist()) - {0, *recording.names})
    if unknown:
        raise InputError(
            file=recording.label,
            found=f"label value(s) {', '.join(map(str, unknown))}",
            expected=", ".join(f"{value} {name}" for value, name in recording.names.items()),
            remedy="use the label maps as published",
        )
    reference = table[published.astype(np.uint8)]
    shown = np.flatnonzero(reference.any(axis=(1, 2)))
    chosen: np.ndarray = shown
    if shown.size:
        chosen = np.unique(np.rint(np.linspace(shown[0], shown[-1], count)).astype(int))
    annotated = np.full(reference.shape, NOT_ANNOTATED, np.uint8)
    annotated[chosen] = reference[chosen]
    # With the place that the published map has: ingest brings it to the clip by both.
    affine = read_header(recording.label).affine
    save_volume(place / "reference" / f"{recording.sweep}.nii.gz", reference, spacing_mm, affine)
    if shown.size:
        save_volume(place / _key_frames_of(recording), annotated, spacing_mm, affine)
    return spacing_mm


def _describe(
    recording: Recording, labels: Path, annotated: bool, spacing_mm: tuple[float, float, float], base: Path
) -> dict[str, str]:
    return {
        "patient": recording.patient,
        "sweep": recording.sweep,
        "group": recording.group,
        "view": recording.view,
        "split": recording.split,
        "video": _relative(recording.image, base),
        "key_frames": _relative(labels / _key_frames_of(recording), base) if annotated else "",
        "probe": recording.probe,
        "spacing_mm": f"{spacing_mm[1]:.6g} {spacing_mm[2]:.6g}",
        "frame_spacing_mm": f"{spacing_mm[0]:.6g}" if recording.tracked else "",
        "reference": _relative(labels / "reference" / f"{recording.sweep}.nii.gz", base),
    }


def _key_frames_of(recording: Recording) -> str:
    return f"key_frames/{recording.sweep}.nii.gz"


def _relative(path: Path, base: Path) -> str:
    return Path(os.path.relpath(path.absolute(), base.absolute())).as_posix()


def _read(path: Path) -> tuple[np.ndarray, tuple[float, float, float]]:
    """A label map (frames, rows, columns) in stored order, and its spacing_mm (d, h, w)."""
    import SimpleITK

    try:
        volume = SimpleITK.ReadImage(str(path))
        array = SimpleITK.GetArrayFromImage(volume)
    except RuntimeError as error:
        raise InputError(
            file=path,
            found="not readable as an image volume",
            expected="a label map of every frame",
            remedy="copy the file again",
        ) from error
    if array.ndim != 3 or array.min() < 0 or array.max() > 255:
        raise InputError(
            file=path,
            found=f"shape {array.shape}, values {array.min()} to {array.max()}",
            expected="3 axes, label values of 0 to 255",
            remedy="use the label maps as published",
        )
    w, h, d = volume.GetSpacing()
    return array, (float(d), float(h), float(w))
