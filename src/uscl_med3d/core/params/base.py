"""The base class of every parameter section."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Typed, frozen, strict about names: an unknown or missing key is an error that names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
