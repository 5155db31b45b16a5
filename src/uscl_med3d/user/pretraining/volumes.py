"""Clips to the volumes that pretext tasks learn from, as `ingest` makes them, and who of the patients measures."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic, read_json, write_csv, write_json
from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.core.seeds import rng
from uscl_med3d.core.store import describe_code, fingerprint
from uscl_med3d.data.clips import hash_clip
from uscl_med3d.data.cohort import CohortRow
from uscl_med3d.data.convert import convert_sweep
from uscl_med3d.data.inspect import inspect_sweep
from uscl_med3d.data.splits import COLUMNS

MADE_FROM = "made_from.json"
"""Beside each volume: what it depends on. An interrupted call finds it again."""


@dataclass(frozen=True)
class Used:
    """A clip that became a volume. `teaches`: or it measures; `sweep`: name of its folder."""

    name: str
    sweep: str
    sha256: str
    patient: str
    frames: int
    teaches: bool
    assumed: tuple[str, ...]


@dataclass(frozen=True)
class Volumes:
    """Folder of the volumes, split manifest, clips that are used, and name -> reason of those that are not."""

    folder: Path
    splits_csv: Path
    used: tuple[Used, ...]
    left_out: Mapping[str, str]

    @property
    def measuring(self) -> set[str]:
        """Patients that measure."""
        return {one.patient for one in self.used if not one.teaches}


def make_volumes(
    clips: Mapping[str, Path],
    patients: Mapping[str, str],
    settings: Ingest,
    seed: int,
    measuring: float,
    folder: Path,
) -> Volumes:
    """Read every clip, and write volumes and a split manifest below `folder`; volumes that are there already stay.

    Args:
        clips: name -> file. patients: name -> patient. settings: grid and image region.
        measuring: share of the patients that measure and teach nothing, drawn by `seed`: at least one of two or more.

    Raises:
        InputError: no clip can be used.
    """
    from tqdm import tqdm

    code, sweeps = describe_code("uscl_med3d.data.ingest"), name_sweeps(list(clips))
    sources: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for name, sweep in tqdm(sweeps.items(), desc="read", unit="clip", file=sys.stderr, mininterval=1):
        try:
            digest = hash_clip(clips[name])
            if digest in sources:
                raise InputError(
                    file=name,
                    found=f"the same bytes as {sources[digest]}",
                    expected="another clip",
                    remedy="remove one",
                )
            row = _make_row(name, sweep, clips[name], patients[name])
            key = fingerprint(
                {"clip": digest, "row": vars(row), "ingest": settings.model_dump(), "code": code}
            )
            _make_volume(row, settings, seed, folder / "volumes" / sweep, key)
            sources[digest] = name
        except InputError as error:
            left_out[name] = f"{error.found} (expected: {error.expected}; {error.remedy})"
        except PermissionError as error:
            left_out[name] = f"{error.strerror} (expected: a file that this user may read)"
    if not sources:
        listed = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:3])
        raise InputError(
            file=next(iter(clips.values())).parent,
            found=f"{len(clips)} clips, none of which can be used: {listed}",
            expected="at least one clip that can be read",
            remedy="see what is wrong with each: uscl-med3d inspect FILE",
        )
    used_patients = sorted({patients[name] for name in sources.values()})
    measure = choose_measuring(used_patients, measuring, seed)
    used = tuple(
        _describe(
            folder / "volumes" / sweeps[name], name, sweeps[name], digest, patients[name] not in measure
        )
        for digest, name in sorted(sources.items(), key=lambda pair: pair[1])
    )
    table = [(one.patient, one.sweep, "", "", "train" if one.teaches else "val") for one in used]
    write_csv(folder / "splits.csv", pd.DataFrame(table, columns=COLUMNS))
    return Volumes(folder / "volumes", folder / "splits.csv", used, left_out)


def choose_measuring(patients: list[str], share: float, seed: int) -> set[str]:
    """Patients that measure: `share` of them, at least one of two or more, and never all; none for a share of 0."""
    if share == 0:
        return set()
    count = min(max(1, round(share * len(patients))), len(patients) - 1)
    order = rng(seed, "pretrain clips", "measuring").permutation(len(patients))
    return {patients[place] for place in order[:count]}


def name_sweeps(names: list[str]) -> dict[str, str]:
    """Clip -> name of its volume's folder: letters, digits, `_` and `-`, each once."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[-80:] or "clip"
        taken = {other.casefold() for other in found.values()}
        number, sweep = 1, plain
        while sweep.casefold() in taken:
            number += 1
            sweep = f"{plain}_{number}"
        found[name] = sweep
    return found


def _make_row(name: str, sweep: str, path: Path, patient: str) -> CohortRow:
    """A clip as the row of a cohort table: no group, no view, no label."""
    return CohortRow(
        line=0,
        patient=patient,
        sweep=sweep,
        group="",
        view="",
        split="",
        probe="",
        source=name,
        video=path,
        key_frames=None,
        reference=None,
        spacing_mm=None,
        frame_spacing_mm=None,
    )


def _make_volume(row: CohortRow, settings: Ingest, seed: int, target: Path, key: str) -> None:
    """One clip to one folder, unless it is there. Raises `InputError` for a clip that cannot be used."""
    made_from = target / MADE_FROM
    if made_from.is_file() and read_json(made_from) == {"fingerprint": key}:
        return
    inspection = inspect_sweep(row, settings.fan, {})
    if inspection.errors:
        raise inspection.errors[0]
    with atomic(target) as temporary:
        temporary.mkdir()
        convert_sweep(inspection, "", settings, seed, temporary)
        write_json(temporary / MADE_FROM, {"fingerprint": key})


def _describe(folder: Path, name: str, sweep: str, digest: str, teaches: bool) -> Used:
    sidecar: dict[str, Any] = read_json(folder / "sidecar.json")
    assumed = tuple(note["text"] for note in sidecar.get("assumed", []) if note["changes_results"])
    return Used(name, sweep, digest, sidecar["patient"], sidecar["source_shape"][0], teaches, assumed)
