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
from uscl_med3d.core.numerics import describe_kernels

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT.name
NOT_USED = ("cli", "core.params")
"""Modules that decide nothing of what a job computes: what they say stands in the job file."""
EARLIER: Mapping[str, Any] = {"numerics": "native"}
"""Parameters that jobs of earlier versions did not name, and the values that they had."""
LIBRARIES = (
    "av",
    "matplotlib",
    "monai",
    "nibabel",
    "numpy",
    "pandas",
    "peft",
    "pyarrow",
    "pydicom",
    "scipy",
    "SimpleITK",
    "torch",
    "transformers",
)
"""Libraries whose version is recorded, if a job has loaded them."""


def write_receipt(
    path: Path, verb: str, params: Path, inputs: Iterable[Path], outputs: Iterable[Path]
) -> None:
    """Write a job's receipt.

    Args:
        path: of the receipt. verb: of the command line. params: its job file.
        inputs, outputs: files and folders, as given to the job.
    """
    write_json(
        path,
        {
            "verb": verb,
            "params": read_json(params),
            "inputs": hash_all(inputs),
            "outputs": hash_all(outputs),
            "code": describe_code(),
            "numerics": describe_kernels(),
            "python": platform.python_version(),
            "libraries": {name: metadata.version(name) for name in LIBRARIES if name in sys.modules},
        },
    )


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
    return {str(path.relative_to(folder).with_suffix("")): _complete(read_json(path)) for path in paths}


def complete_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a job, with those that jobs of earlier versions did not name."""
    return {**EARLIER, **params}


def _complete(receipt: dict[str, Any]) -> dict[str, Any]:
    return receipt | {"params": complete_params(receipt["params"])}


def find_maker(receipts: Mapping[str, dict[str, Any]], path: str) -> str | None:
    """Name of the receipt whose job made a file or folder, or a folder that holds it."""
    for name, receipt in receipts.items():
        if any(path == made or path.startswith(f"{made}/") for made in receipt["outputs"]):
            return name
    return None


def describe_code() -> dict[str, Any]:
    """The modules of this package that a job has used, and one hash of them.

    Without `NOT_USED`.
    """
    names = [name.removeprefix(f"{PACKAGE}.") for name in sys.modules if name.startswith(f"{PACKAGE}.")]
    names = sorted(name for name in names if not name.startswith(NOT_USED) and _source(name).is_file())
    return {"modules": names, "sha256": hash_modules(names)}


def hash_modules(names: Iterable[str]) -> str:
    """SHA-256 over names and present contents of modules of this package; one that is gone counts as empty."""
    files = {name: _source(name) for name in names}
    return hash_listing({name: file for name, file in files.items() if file.is_file()})


def _source(name: str) -> Path:
    """File of a module, given by its name within this package."""
    base = ROOT.joinpath(*name.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
