"""Receipts: what a job was made from, written by the job itself when it has ended.

Job files (`results/<scale>/params/`) say what a job would be given now; a receipt says what it was given. So a table
can be traced to parameters, code and files, and nobody can pass off files of other parameters (`uscl-med3d audit`).
A receipt has no clock and no machine name: equal jobs write equal receipts.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from uscl_med3d.core.io import hash_listing, read_json, sha256, write_json

LIBRARIES = ("av", "matplotlib", "monai", "nibabel", "numpy", "pandas", "peft", "pyarrow", "pydicom", "scipy",
             "SimpleITK", "torch", "transformers")  # fmt: skip
"""Libraries whose version is recorded, if a job has loaded them."""


def write_receipt(
    path: Path, verb: str, params: Path, inputs: Iterable[Path], outputs: Iterable[Path]
) -> None:
    """Write a job's receipt.

    Args:
        path: of the receipt. verb: of the command line. params: its job file.
        inputs, outputs: files and folders, as given to the job.
    """
    write_json(path, {
        "verb": verb,
        "params": read_json(params),
        "inputs": hash_all(inputs),
        "outputs": hash_all(outputs),
        "code": _hash_code(),
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES if name in sys.modules},
    })  # fmt: skip


def hash_all(paths: Iterable[Path]) -> dict[str, str]:
    """Path -> SHA-256, sorted; what does not exist is left out."""
    return {str(path): hash_tree(path) for path in sorted(set(map(Path, paths))) if path.exists()}


@cache
def hash_tree(path: Path) -> str:
    """SHA-256 of a file; of a folder, the SHA-256 over the sorted names and hashes of its files.

    Hidden files are no part of a folder: unfinished jobs keep theirs there.
    """
    if path.is_file():
        return sha256(path)
    return hash_listing({str(file.relative_to(path)): file for file in list_files(path)})


def list_files(folder: Path) -> list[Path]:
    """Files below a folder, sorted, without hidden ones."""
    return sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))


def read_receipts(results: Path) -> dict[str, dict[str, Any]]:
    """Every receipt of a scale by its name, `<stage>/<job>`, sorted."""
    folder = results / "receipts"
    paths = sorted(folder.rglob("*.json"))
    return {str(path.relative_to(folder).with_suffix("")): read_json(path) for path in paths}


def find_maker(receipts: Mapping[str, dict[str, Any]], path: str) -> str | None:
    """Name of the receipt whose job made a file or folder, or a folder that holds it."""
    for name, receipt in receipts.items():
        if any(path == made or path.startswith(f"{made}/") for made in receipt["outputs"]):
            return name
    return None


def _hash_code() -> dict[str, Any]:
    """The modules of this package that were loaded, as one hash."""
    package = __name__.split(".")[0]
    files = {
        name: Path(file)
        for name, module in list(sys.modules.items())
        if name.split(".")[0] == package and (file := getattr(module, "__file__", None))
    }
    return {"modules": len(files), "sha256": hash_listing(dict(sorted(files.items())))}
