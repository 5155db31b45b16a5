"""Ways of tuning a network: which of its weights train, and how they are stored. One file each, found by its name."""

from __future__ import annotations

import importlib
import pkgutil

from uscl_med3d.core.errors import InputError
from uscl_med3d.tuning.base import Tuning


def list_tunings() -> list[str]:
    """Names of all strategies, sorted: the modules of this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base")


def find_tuning(name: str) -> type[Tuning]:
    """The class of a strategy. Raises `InputError` for an unknown name."""
    if name not in list_tunings():
        raise InputError(
            file="params.yaml",
            found=f"the tuning strategy {name!r}",
            expected=f"one of {', '.join(list_tunings())}",
            remedy=f"correct the name, or add src/uscl_med3d/tuning/{name}.py",
        )
    return importlib.import_module(f"uscl_med3d.tuning.{name}").TUNING
