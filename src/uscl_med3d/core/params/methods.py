"""The method registry: one key per row of the paper's tables."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from uscl_med3d.core.params.base import Section

Modules = Literal["encoder", "decoder", "both"]
Takes = Literal["clicks", "key_frames", "nothing"]
WorksOn = Literal["crop", "slice", "window", "volume"]


class Grid(Section):
    """The LoRA sweep of Tables 3 and 5.

    Attributes:
        rank: the main rank: all `modules`, with and without pretraining.
        ranks: of the rank sweep, with pretraining; `rank` is one of them.
        modules: parts of the network that get adapters.
        sweep_modules: of these, those that the other ranks are trained for.
        pretraining: the pretext task (a key of `pretrain.tasks`) that runs start from, or null.
        without_pretraining: whether the main rank is also trained without it.
    """

    rank: int = Field(ge=1)
    ranks: tuple[int, ...] = Field(min_length=1)
    modules: tuple[Modules, ...] = Field(min_length=1)
    sweep_modules: tuple[Modules, ...]
    pretraining: str | None
    without_pretraining: bool

    @model_validator(mode="after")
    def _sweep_what_is_there(self) -> Grid:
        if self.rank not in self.ranks:
            raise ValueError(f"rank {self.rank} is none of ranks {list(self.ranks)}")
        if not set(self.sweep_modules) <= set(self.modules):
            raise ValueError("sweep_modules names modules that are not in modules")
        return self


class MethodEntry(Section):
    """One method. `options` are validated by the method's own file, `tuning` by the strategy's.

    Attributes:
        module: file in `methods/` that implements it; null: the one of the key's name.
        takes: what it is given: clicks, annotated key frames, or nothing.
        works_on: a crop round the first click, single slices, windows that cover the volume, or the whole volume.
        base: the base model (a key of `foundation`) that it starts from, or None.
        weights_of: a method whose main run's trained weights, tuning and options it uses instead of its own, or None.
        trained: whether it learns from the pseudo-labels.
        tuning: for methods on a base model that are trained: `strategy` (a file in `tuning/`) and its options.
    """

    label: str
    module: str | None = None
    takes: Takes
    works_on: WorksOn
    base: str | None
    weights_of: str | None
    trained: bool
    tuning: dict[str, Any] | None = None
    datasets: tuple[str, ...]
    grid: Grid | None
    options: dict[str, Any]

    @property
    def prompt(self) -> str:
        """What it takes, in one word for tables: clicks | slice_clicks | key_frames | none."""
        if self.takes == "clicks":
            return "slice_clicks" if self.works_on == "slice" else "clicks"
        return "none" if self.takes == "nothing" else self.takes

    @model_validator(mode="after")
    def _tune_what_is_trained(self) -> MethodEntry:
        if self.tuning is not None and not self.trained:
            raise ValueError("tuning is given, but trained is false")
        if self.tuning is not None and "strategy" not in self.tuning:
            raise ValueError("tuning has no strategy (the name of a file in tuning/)")
        if self.grid is not None and (self.tuning or {}).get("strategy") != "lora":
            raise ValueError("a grid of ranks needs tuning with the strategy lora")
        return self


class Run(Section):
    """One trained (or untouched) model: a method, and for the LoRA sweep its cell of the grid.

    `pretraining`: the pretext task whose encoder it starts from, or None.
    """

    id: str
    method: str
    rank: int | None
    modules: Modules | None
    pretraining: str | None
    training_seed: int
    datasets: tuple[str, ...]
