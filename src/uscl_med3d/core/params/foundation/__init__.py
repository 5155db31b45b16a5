"""The base models, one file each. A new one is a new file here, its recipe and its training; nothing else names it."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from pydantic import create_model

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.base_model import BaseModel

BASE_MODELS: dict[str, BaseModel] = {
    module.name: import_module(f"{__name__}.{module.name}").BASE_MODEL
    for module in sorted(iter_modules(__path__), key=lambda module: module.name)
}
"""Key of `foundation` -> declaration, sorted by key."""

if TYPE_CHECKING:

    class Foundation(Section):
        """The section `foundation`: one key a base model."""

        def __getattr__(self, name: str) -> Any: ...

else:
    Foundation = create_model(
        "Foundation", __base__=Section, **{name: (model.settings, ...) for name, model in BASE_MODELS.items()}
    )
