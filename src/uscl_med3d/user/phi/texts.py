"""File names, sidecars, tables and logs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePath

from uscl_med3d.user.phi.finding import NOT_ITS, Found

SUFFIXES = (".json", ".csv", ".tsv", ".txt", ".log", ".md", ".html", ".yaml", ".yml", ".xml", ".tex")
LARGEST_BYTES = 20 * 2**20
_DATE = re.compile(r"(?<!\d)(19|20)\d\d[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d)")
_NUMBER = re.compile(r"(?<!\d)\d{6,}(?!\d)")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[a-z]{2,}")
_PERSON = re.compile(r"[A-Z][A-Za-z'-]+\^[A-Z][A-Za-z'^ -]*")


def find_in_name(place: PurePath, identity: Collection[str]) -> Iterator[Found]:
    """What a path may say about a patient: values of a DICOM header beside it, dates, long numbers, `Name^First`."""
    text = place.as_posix()
    remedy = "rename it: ingest notes a clip's path in its sidecar"
    if _contains(text, identity):
        yield "file name", "holds a value that names the patient in a DICOM header here", remedy
    if _DATE.search(text):
        yield "file name", "holds a date", remedy
    elif _NUMBER.search(text):
        yield "file name", "holds a long number, maybe an identifier", remedy
    if _PERSON.search(text):
        yield "file name", "looks like a person's name", remedy


def find_in_text(path: Path, identity: Collection[str]) -> Iterator[Found]:
    """The same in the content of text files, and e-mail addresses."""
    if not path.name.lower().endswith(SUFFIXES):
        return
    if path.stat().st_size > LARGEST_BYTES:
        yield "text", f"larger than {LARGEST_BYTES // 2**20} MB, not looked through", NOT_ITS
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    if _contains(text, identity):
        yield "text", "holds a value that names the patient in a DICOM header here", NOT_ITS
    if _PERSON.search(text):
        yield "text", "holds what looks like a person's name (Name^First)", NOT_ITS
    if _EMAIL.search(text):
        yield "text", "holds an e-mail address", NOT_ITS


def _contains(text: str, identity: Collection[str]) -> bool:
    lowered = text.lower()
    return any(re.search(rf"(?<![a-z0-9]){re.escape(value)}(?![a-z0-9])", lowered) for value in identity)
