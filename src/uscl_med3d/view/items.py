"""What there is to open: one file, or the sweeps of a cohort with the frames that a person should look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.io import load_volume, read_json
from uscl_med3d.data.cohort import CohortRow, raise_all, read_cohort
from uscl_med3d.data.resample import Grid
from uscl_med3d.user.inputs import check_exists
from uscl_med3d.user.review import label_on_clip, list_flagged, middle_frame
from uscl_med3d.user.save import DEFAULT_SUFFIX, SUFFIXES, check_suffix, name_mask, stem_of
from uscl_med3d.view.desk import Item
from uscl_med3d.view.key_frames import Target


def one_file(
    path: Path,
    output: Path | None,
    session: Path | None,
    key_frames: Path | None,
    spacing_mm: tuple[float, float] | None,
) -> list[Item]:
    """The list of one input.

    Args:
        output: of the mask; None: NAME_mask.nii.gz in the current folder.
        session: None: beside the mask. key_frames: folder; None: NAME_key_frames beside the mask.

    Raises:
        InputError: for a missing input, or a mask that no writer is known for.
    """
    check_exists(path)
    output = output or name_mask(path)
    check_suffix(output)
    folder = key_frames or output.with_name(f"{stem_of(path)}_key_frames")
    hint = f"In the cohort table, name {folder} in the column key_frames of this clip's row."
    return [Item(path, path.name, spacing_mm, output, session or beside(output), Target(folder, hint))]


def of_cohort(table: Path, output: Path | None, scale: str) -> list[Item]:
    """The sweeps of a cohort table in its order.

    Args:
        output: folder of masks and sessions; None: TABLE_masks beside the table.
        scale: whose pseudo-labels are looked at, where results/<scale> has some of these sweeps.

    Raises:
        InputError: for a table that does not parse.
    """
    rows, errors = read_cohort(table)
    raise_all(table, errors)
    folder = output or table.with_name(f"{stem_of(table)}_masks")
    results = Path("results", scale)
    return [_of_row(row, table, folder, results) for row in rows]


def beside(output: Path) -> Path:
    """The session file of a mask."""
    suffix = next(suffix for suffix in SUFFIXES if output.name.lower().endswith(suffix))
    return output.with_name(f"{output.name[: -len(suffix)]}.session.json")


def _of_row(row: CohortRow, table: Path, folder: Path, results: Path) -> Item:
    output = folder / f"{row.sweep}{DEFAULT_SUFFIX}"
    sidecar = _read_sidecar(row, results)
    flagged: tuple[int, ...] = ()
    proposals: Callable[[], dict[str, np.ndarray]] | None = None
    held_out: frozenset[int] = frozenset()
    if sidecar is not None:
        grid = Grid(**sidecar["grid"])
        kept = {entry["index"] for entry in sidecar["key_frames"] if entry["role"] == "held_out"}
        frames = int(sidecar["source_shape"][0])
        held_out = frozenset(frame for frame in range(frames) if grid.index_of(frame) in kept)
        indices = [index for index in list_flagged(results, row.sweep) if index not in kept]
        flagged = tuple(middle_frame(index, grid, frames) for index in indices)
        proposals = _Proposals(results, row.sweep, sidecar)
    return Item(
        path=row.video,
        title=row.sweep,
        spacing_mm=row.spacing_mm,
        output=output,
        session=beside(output),
        target=_target(row, table, held_out),
        flagged=flagged,
        proposals=proposals,
    )


def _target(row: CohortRow, table: Path, held_out: frozenset[int]) -> Target:
    """Corrections where a sweep has key frames already, else its first key frames."""
    column = "corrections" if row.key_frames is not None else "key_frames"
    named = row.corrections if column == "corrections" else None
    folder = named or table.parent / column / row.sweep
    if column == "corrections" and row.split == "test":
        return Target(folder, refused=f"{row.sweep} is a test sweep: corrections would leak into the scores")
    if folder.is_file():
        return Target(folder, refused=f"{folder.name} is a file of another program: add the frame there")
    hint = "" if named else f"In {table.name}, column {column} of {row.sweep}: {column}/{row.sweep}"
    return Target(folder, hint, held_out=held_out)


class _Proposals:
    """Pseudo-labels of a sweep before the gate, on the clip's own pixels, by class."""

    def __init__(self, results: Path, sweep: str, sidecar: dict[str, Any]) -> None:
        self._results, self._sweep, self._sidecar = results, sweep, sidecar

    def __call__(self) -> dict[str, np.ndarray]:
        grid, shape = Grid(**self._sidecar["grid"]), self._sidecar["source_shape"]
        proposed = load_volume(self._results / "pseudolabels/review" / f"{self._sweep}.nii.gz")[0]
        classes = read_json(self._results / "params/all.json")["classes"]
        planes = [label_on_clip(plane, grid, (shape[1], shape[2])) for plane in proposed]
        labels = np.stack([planes[grid.index_of(frame)] for frame in range(shape[0])])
        return {name: labels == value for name, value in classes.items() if (labels == value).any()}


def _read_sidecar(row: CohortRow, results: Path) -> dict[str, Any] | None:
    """How a sweep was ingested; None where this scale has no pseudo-labels of it that can be corrected."""
    file = results / "volumes" / row.sweep / "sidecar.json"
    if not file.is_file() or not (results / "pseudolabels/review" / f"{row.sweep}.nii.gz").is_file():
        return None
    sidecar = read_json(file)
    if sidecar["source"] != row.source or (sidecar.get("tracking") or {}).get("mode") == "reconstruct":
        return None
    return sidecar if sidecar["split"] != "test" else None
