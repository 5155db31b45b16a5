"""The method registry: one key per row of the paper's tables."""

from __future__ import annotations

from typing import Any, Literal

from uscl_med3d.core.params.base import Section

Modules = Literal["encoder", "decoder", "both"]
Prompt = Literal["clicks", "slice_clicks", "key_frames", "none"]


class Grid(Section):
    """The LoRA sweep of Tables 3 and 5: every rank x modules with VCL; the main rank also without."""

    rank: int
    ranks: tuple[int, ...]
    modules: tuple[Modules, ...]
    without_vcl: bool


class MethodEntry(Section):
    """One method. `options` are validated by the method's own file.

    Attributes:
        prompt: what it is given: clicks in the volume, clicks in every slice, key frames, or nothing.
        base: the base model (a key of `foundation`) that it starts from, or None.
        weights_of: a method whose main run's trained weights and options it uses instead of its own, or None.
        trained: whether it is fine-tuned on the pseudo-labels.
    """

    label: str
    prompt: Prompt
    base: str | None
    weights_of: str | None
    trained: bool
    datasets: tuple[str, ...]
    grid: Grid | None
    options: dict[str, Any]


class Run(Section):
    """One trained (or untouched) model: a method, and for the LoRA sweep its cell of the grid."""

    id: str
    method: str
    rank: int | None
    modules: Modules | None
    vcl: bool | None
    training_seed: int
    datasets: tuple[str, ...]
