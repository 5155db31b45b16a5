"""Pretext tasks: what an encoder can learn from sweeps without any label. One file or folder each, found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from pydantic import ValidationError

from uscl_med3d.core.errors import InputError
from uscl_med3d.selfsupervised.pretext import Pretext

_NO_TASKS = {"stage"}


def list_pretexts() -> list[str]:
    """Names of all pretext tasks, sorted: the modules of this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NO_TASKS)


def find_pretext(name: str) -> type[Pretext]:
    """The class of a pretext task. Raises `InputError` for an unknown name."""
    if name not in list_pretexts():
        raise InputError(
            file="params.yaml",
            found=f"the pretext task {name!r}",
            expected=f"one of {', '.join(list_pretexts())}",
            remedy=f"correct the name, or add src/uscl_med3d/pretext/{name}.py",
        )
    return importlib.import_module(f"uscl_med3d.pretext.{name}").PRETEXT


def read_options(kind: type[Pretext], values: Any, place: str) -> Any:
    """Typed options of a task. Raises `InputError` that names `place` and every wrong key."""
    try:
        return kind.Options.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InputError(
            file=place,
            found=wrong,
            expected=f"the keys {', '.join(sorted(kind.Options.model_fields))}",
            remedy="correct or remove the named keys",
        ) from None
