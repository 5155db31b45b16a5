"""Finds methods by name: a method's name is its module here, its key in params.yaml and its score column."""

from __future__ import annotations

import importlib
import pkgutil

from uscl_med3d import methods
from uscl_med3d.core.errors import InputError
from uscl_med3d.methods.base import Method

_NO_METHODS = {"base", "registry", "slicewise", "stills"}


def list_methods() -> list[str]:
    """Names of all methods, sorted: the modules of this folder."""
    return sorted(
        module.name for module in pkgutil.iter_modules(methods.__path__) if module.name not in _NO_METHODS
    )


def find_method(name: str) -> type[Method]:
    """The class of a method; only its own module is imported.

    Raises:
        InputError: for an unknown name.
    """
    if name not in list_methods():
        raise InputError(
            file="params.yaml",
            found=f"methods.{name}",
            expected=f"one of {', '.join(list_methods())}",
            remedy=f"correct the key, or add src/uscl_med3d/methods/{name}.py",
        )
    return importlib.import_module(f"uscl_med3d.methods.{name}").METHOD
