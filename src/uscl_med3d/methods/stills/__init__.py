"""Methods for single images: SAMUS, and what its article compares it with. One module per method, class `METHOD`."""

from __future__ import annotations

import importlib
import pkgutil

from uscl_med3d.core.errors import InputError
from uscl_med3d.methods.stills.base import StillMethod

_NO_METHODS = {"base", "grey"}


def list_still_methods() -> list[str]:
    """Names of the modules of this folder, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NO_METHODS)


def find_still_method(name: str) -> type[StillMethod]:
    """The class of a method.

    Raises:
        InputError: for an unknown name.
    """
    if name not in list_still_methods():
        raise InputError(
            file="params.yaml",
            found=f"stills.methods: module {name}",
            expected=f"one of {', '.join(list_still_methods())}",
            remedy=f"correct the name, or add src/uscl_med3d/methods/stills/{name}.py",
        )
    method: type[StillMethod] = importlib.import_module(f"uscl_med3d.methods.stills.{name}").METHOD
    return method
