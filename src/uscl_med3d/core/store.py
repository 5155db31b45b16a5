"""What single sweeps gave, kept beside the results: a stage computes again only the sweeps that changed.

An entry is a folder named after the fingerprint of everything that its files depend on, with the SHA-256 of each. A store
changes no result: it may be deleted at any time, and an entry that is damaged is made again.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from uscl_med3d.core.closure import hash_sources
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic, list_data_files, read_json, remove, sha256, write_json
from uscl_med3d.core.receipts import LIBRARIES

LIST = "files.json"  # name -> SHA-256, in every entry
NAMING = (".mha", ".mhd", ".nrrd", ".nhdr")  # formats whose header may name the file with the pixels


class Store:
    """Entries of one stage below `folder`; with None nothing is kept, and everything is made."""

    def __init__(self, folder: str | Path | None) -> None:
        self.folder = None if folder is None else Path(folder)

    def fill(self, target: Path, fingerprint: str, make: Callable[[Path], None]) -> bool:
        """Fill the folder `target`, which does not exist yet: from the store, or by `make(target)`.

        What was made is kept. Returns whether the store had it.
        """
        entry = None if self.folder is None else self.folder / fingerprint
        if entry is not None and _copy_checked(entry, target):
            return True
        target.mkdir(parents=True, exist_ok=True)
        try:
            make(target)
        except BaseException:
            remove(target)
            raise
        if entry is not None:
            with atomic(entry) as folder:
                shutil.copytree(target, folder)
                write_json(folder / LIST, {name: sha256(target / name) for name in _list_names(target)})
        return False

    def keep_only(self, fingerprints: Collection[str]) -> None:
        """Remove every other entry, and what an interrupted run left behind."""
        if self.folder is not None and self.folder.is_dir():
            for entry in sorted(self.folder.iterdir()):
                if entry.name not in fingerprints:
                    remove(entry)


def fingerprint(values: Mapping[str, Any]) -> str:
    """SHA-256 of values that JSON can hold."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def describe_code(*modules: str) -> dict[str, Any]:
    """For a fingerprint: source files of `modules` and of all they import, and versions of libraries."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {"sources": hash_sources(*modules), "python": platform.python_version(), "libraries": versions}


def hash_files(paths: Iterable[Path]) -> dict[str, str | None]:
    """Path -> SHA-256 of every file, of every file below a folder, and of what a volume's header refers to.

    None stands for what does not exist. Unlike `receipts.hash_tree` nothing is remembered: a file may change.
    """
    found: dict[str, str | None] = {}
    for path in paths:
        if path.exists():
            found |= {str(part): sha256(part) for part in list_parts(path)}
        else:
            found[str(path)] = None
    return found


def list_parts(path: Path) -> list[Path]:
    """A file with the files that its header refers to, or every file below a folder; nothing where there is neither."""
    if path.is_dir():
        return [path / name for name in _list_names(path)]
    return [path, *_list_companions(path)] if path.is_file() else []


def _list_companions(path: Path) -> list[Path]:
    """Files that a volume file may need: of the same name up to the first dot, or named in its header."""
    if path.suffix.lower() not in NAMING:
        return []
    start = path.name.split(".")[0] + "."
    beside = {other for other in path.parent.iterdir() if other.name.startswith(start) and other.is_file()}
    beside |= {path.parent / name for name in list_data_files(path) if (path.parent / name).is_file()}
    return sorted(beside - {path})


def _list_names(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def _copy_checked(entry: Path, target: Path) -> bool:
    """Copy an entry's files, if all of them are as they were stored; else nothing is left at `target`."""
    try:
        expected = read_json(entry / LIST)
        if not isinstance(expected, dict) or {*_list_names(entry)} != {*expected, LIST}:
            return False
        # Copied, never linked: an edit of the results must not reach the store.
        shutil.copytree(entry, target, ignore=lambda folder, _: [LIST] if Path(folder) == entry else [])
        if all(sha256(target / name) == digest for name, digest in expected.items()):
            return True
    except (InputError, OSError):
        pass
    remove(target)
    return False
