"""Which files below a folder are clips, and whose they are."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.listing import choose_delimiter
from uscl_med3d.data.clips import FORMATS, choose_format
from uscl_med3d.data.clips.dicom import is_dicom, read_dicom

NAMED = re.compile(r"(?<![a-z0-9])(patient|pat|subject|subj|sub|case|p)[ _-]?(\d+)", re.IGNORECASE)
"""How a path says whose clip it is: a word for patient and a number, `P01/left.mp4`, `Reg_pat1Image.mpeg`, `sub-03.nii`."""
COLUMNS = ("file", "patient")


@dataclass(frozen=True)
class Found:
    """What lies below a folder, by its path relative to it, sorted.

    Attributes:
        clips: name -> file, or folder of single DICOM frames. others: files that are no clips.
    """

    clips: Mapping[str, Path]
    others: Sequence[str]


def find_clips(folder: Path) -> Found:
    """Clips of every format that `ingest` reads; hidden files and folders are passed over.

    Whether a clip can be read shows only when it is read.

    Raises:
        InputError: no folder, or no clip in it.
    """
    if not folder.is_dir():
        raise InputError(
            file=folder,
            found="a file" if folder.is_file() else "no such folder",
            expected="a folder with clips",
            remedy="name the folder that the clips are in",
        )
    clips: dict[str, Path] = {}
    others: list[str] = []
    for place, folders, _ in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(place)
        files = sorted(path for path in here.iterdir() if not path.is_dir() and not path.name.startswith("."))
        frames = _list_single_frames(files)
        if len(frames) > 1:
            clips["." if here == folder else here.relative_to(folder).as_posix()] = here
        for path in files:
            name = path.relative_to(folder).as_posix()
            if len(frames) > 1 and path in frames:
                continue
            if _is_clip(path):
                clips[name] = path
            else:
                others.append(name)
    if not clips:
        raise InputError(
            file=folder,
            found=f"no clip among {len(others)} files" if others else "an empty folder",
            expected="sweep clips: videos, DICOM, NIfTI, NRRD or MHA",
            remedy="name the folder that the clips are in (docs/inputs.md says what is read)",
        )
    return Found(dict(sorted(clips.items())), sorted(others))


def _is_clip(path: Path) -> bool:
    known = path.name.lower().endswith(tuple(suffix for module in FORMATS for suffix in module.SUFFIXES))
    if not path.is_file():
        return False  # a link to nowhere
    try:
        if path.stat().st_size == 0:
            return known  # what cannot be read is named and left out when it is read
        choose_format(path)
    except OSError:
        return known
    except InputError:
        return False
    return True


def _list_single_frames(files: Sequence[Path]) -> set[Path]:
    """DICOM files of one folder if all of them hold one frame: together they are one clip."""
    found = set()
    for path in files:
        try:
            if not (path.is_file() and is_dicom(path)):
                continue
            header = read_dicom(path, stop_before_pixels=True, specific_tags=["NumberOfFrames", "Rows"])
            if "Rows" in header and int(header.get("NumberOfFrames") or 1) > 1:
                return set()
        except Exception:  # pydicom has many kinds; the reader of clips says what is wrong
            continue
        found.add(path)
    return found


def name_patients(clips: Sequence[str], table: Path | None) -> dict[str, str]:
    """Clip -> patient: by a table; else by what its path says (`NAMED`), else each clip is a patient of its own.

    Raises:
        InputError: for a table that cannot be read, or does not name every clip once.
    """
    if table is not None:
        return _read_table(table, clips)
    found = {}
    for name in clips:
        said = NAMED.search(name)
        found[name] = f"{said[1]}{said[2]}".lower() if said else f"clip {name}"
    return found


def describe_patients(patients: Mapping[str, str], table: Path | None) -> str:
    """In one sentence: how many patients there are, and what says so."""
    count = f"{len(patients)} clips of {len(set(patients.values()))} patients"
    if table is not None:
        return f"{count}, by {table}"
    named = Counter(patient for name, patient in patients.items() if patient != f"clip {name}")
    said = ", ".join(
        f"{patient} ({clips} clips)" if clips > 1 else patient for patient, clips in named.items()
    )
    alone = len(patients) - named.total()
    words = [f"named in the paths: {said}"] if named else []
    if alone:
        words.append(
            f"assumed: {'each' if not named else 'each of the other ' + str(alone)} is its own patient"
        )
    return f"{count} ({'; '.join(words)}). Clips of one patient under two names? --patients TABLE says so"


def _read_table(table: Path, clips: Sequence[str]) -> dict[str, str]:
    expected = f"a CSV table with the columns {', '.join(COLUMNS)}, one row for every clip"
    try:
        lines = table.read_text(encoding="utf-8-sig").splitlines()
        reader = csv.DictReader(lines, delimiter=choose_delimiter(lines[0] if lines else ""))
        rows = [{key: (row.get(key) or "").strip() for key in COLUMNS} for row in reader]
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            file=table, found=str(error), expected=expected, remedy="save the table as CSV (UTF-8)"
        ) from error
    said: dict[str, set[str]] = {}
    for row in rows:
        said.setdefault(Path(row["file"]).as_posix(), set()).add(row["patient"])
    problems = {
        "no column {}": missing,
        "no row for {}": [name for name in clips if name not in said],
        "no such clip: {}": [name for name in said if name not in clips],
        "no patient, or several, of {}": [name for name, who in said.items() if len(who) > 1 or "" in who],
    }
    for words, names in problems.items():
        if names:
            listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            raise InputError(
                file=table,
                found=words.format(listed),
                expected=expected,
                remedy="correct the table; files are named relative to the folder of the clips",
            )
    return {name: next(iter(said[name])) for name in clips}
