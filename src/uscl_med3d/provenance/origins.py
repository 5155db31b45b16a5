"""With what results were made: the code, the kernels and the libraries that receipts name.

None of it contradicts anything: a job is planned again when its code changes, not because another machine would give
other last digits. But a reader should know, and where two results differ, this is the first place to look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from uscl_med3d.core.receipts import hash_modules, read_receipts

UNKNOWN = "not recorded"
SHOWN = 6
"""Names of jobs in one line."""

Receipts = Mapping[str, dict[str, Any]]


def list_notes(scale: str) -> list[str]:
    """What a reader of a scale should know: receipts of code other than the present one, kernels of several kinds."""
    receipts = read_receipts(Path("results", scale))
    unnamed = [name for name, receipt in receipts.items() if not isinstance(receipt["code"]["modules"], list)]
    older = [
        name for name, receipt in receipts.items() if name not in unnamed and not is_present(receipt["code"])
    ]
    notes = []
    if unnamed:
        notes.append(
            f"{len(unnamed)} of {len(receipts)} receipts do not name their modules: {_shorten(unnamed)}"
        )
    if older:
        notes.append(
            f"{len(older)} of {len(receipts)} receipts are of other code than the present: {_shorten(older)}"
        )
    for key, values in _kinds(receipts).items():
        if key == "mode" or len(values) > 1:
            mixed = "" if len(values) == 1 else " (not all jobs alike)"
            notes.append(f"numerics, {key}: {', '.join(values)}{mixed}")
    return notes


def compare_origins(first: Path, second: Path) -> list[str]:
    """What differs between jobs of the same name in two folders `results/<scale>`, in words; each difference once.

    Empty where nothing differs, and where one of the folders has no receipts.
    """
    here, there = read_receipts(first), read_receipts(second)
    lines: dict[str, None] = {}
    for name in sorted(here.keys() & there.keys()):
        lines |= dict.fromkeys(_compare(here[name], there[name]))
    return list(lines)


def is_present(code: Mapping[str, Any]) -> bool:
    """Whether the modules that a receipt names are the present ones."""
    names = code["modules"]
    return isinstance(names, list) and hash_modules(names) == code["sha256"]


def count_modules(receipt: Mapping[str, Any]) -> int:
    """Number of modules that made a job's files; receipts of earlier versions hold only that."""
    modules = receipt["code"]["modules"]
    return modules if isinstance(modules, int) else len(modules)


def describe_numerics(receipt: Mapping[str, Any]) -> str:
    """The kernels of a job, in one line."""
    found = receipt.get("numerics") or {}
    return ", ".join(f"{name} {kernel}" for name, kernel in found.items()) or UNKNOWN


def _compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[str]:
    kinds = ((f"numerics, {name}", each) for name, each in _pairs(first, second, "numerics"))
    libraries = ((name, each) for name, each in _pairs(first, second, "libraries"))
    for name, (one, other) in (*kinds, *libraries, ("Python", (first["python"], second["python"]))):
        if one != other:
            yield f"{name}: {one} | {other}"
    if first["code"] != second["code"]:
        yield "code: jobs of the same name were made by other modules"


def _pairs(
    first: Mapping[str, Any], second: Mapping[str, Any], key: str
) -> list[tuple[str, tuple[str, str]]]:
    """Name -> its values in two receipts, of those that either names."""
    one, other = first.get(key) or {}, second.get(key) or {}
    return [(name, (one.get(name, UNKNOWN), other.get(name, UNKNOWN))) for name in sorted({*one, *other})]


def _kinds(receipts: Receipts) -> dict[str, list[str]]:
    """Library -> the kernels that jobs have used, sorted; "mode" -> native, portable or not recorded."""
    found: dict[str, set[str]] = {"mode": set()}
    for receipt in receipts.values():
        numerics = receipt.get("numerics") or {"mode": UNKNOWN}
        for name, kernel in numerics.items():
            found.setdefault(name, set()).add(kernel)
    return {name: sorted(kernels) for name, kernels in found.items()}


def _shorten(names: Iterable[str]) -> str:
    listed = list(names)
    more = len(listed) - SHOWN
    return ", ".join(listed[:SHOWN]) + (f" and {more} more" if more > 0 else "")
