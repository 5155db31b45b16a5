"""Which source files a module needs: the static import closure inside this package.

The workflow lists these files as inputs of a rule, so that an edit re-runs exactly the rules whose code imports it.
Parameter classes (`core.params`) are left out: what they decide reaches a job through its job file alone.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from uscl_med3d.core.io import hash_listing

PACKAGE = "uscl_med3d"
SOURCE = Path(__file__).resolve().parents[2]
EXCLUDED = (f"{PACKAGE}.core.params",)


def list_sources(*modules: str) -> list[str]:
    """Files of `modules` and of everything they import from this package, sorted, relative to the repository.

    Imports inside functions count too. `modules` are dotted names; an unknown one raises ModuleNotFoundError.
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found or name.startswith(EXCLUDED):
            continue
        path = _find(name)
        if path is None:
            raise ModuleNotFoundError(f"no module {name} under {SOURCE}")
        found[name] = path
        waiting += _imports(path, name)
    return sorted(str(path.relative_to(SOURCE.parent)) for path in found.values())


def hash_sources(*modules: str) -> str:
    """SHA-256 over names and contents of the files of `list_sources`."""
    return hash_listing({file: SOURCE.parent / file for file in list_sources(*modules)})


def _find(name: str) -> Path | None:
    base = SOURCE / Path(*name.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _imports(path: Path, name: str) -> tuple[str, ...]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
            # `from package import module` names a module only if such a file exists.
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    # Importing a.b.c also runs a/__init__ and a.b/__init__.
    parents = {".".join(full.split(".")[:end]) for full in names for end in range(1, full.count(".") + 2)}
    wanted = {full for full in names | parents if full.split(".")[0] == PACKAGE and full != name}
    return tuple(sorted(full for full in wanted if _find(full) is not None))
