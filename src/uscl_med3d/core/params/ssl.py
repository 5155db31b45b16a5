"""Parameters of the comparison of pretext tasks (target `ssl`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any, Literal

from pydantic import Field, field_validator

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.schedule import Schedule

NONE = "none"
LABELS, LABELS_SHUFFLED = TAUGHT = ("labels", "labels_shuffled")
"""The tasks of the positive and the negative control on frames, which are no pretext tasks (`ssl.supervised`)."""
ENCODER, PIXELS, PLACE = "encoder", "pixels", "place"
"""Kinds of features of a cell."""


class Table8(Section):
    """Pretext tasks on the adapters of SAM-Med3D's encoder, then the usual fine-tune on few or all labelled patients.

    Attributes:
        arms: pretext tasks, and `none`: the fine-tune starts from the base model.
        training_seeds: repetitions of pretext task and fine-tune.
        labelled: training patients of each group whose pseudo-labels are used; null: all.
        images: of a pretext step, in place of the task's own number.
        pretrain: values of `pretrain.schedule`, and finetune: of the section `finetune`, that are shortened here.
        clicks: of the simulated user, on test patients.
    """

    arms: tuple[str, ...] = Field(min_length=2)
    training_seeds: tuple[int, ...] = Field(min_length=1)
    labelled: tuple[int | None, ...] = Field(min_length=1)
    images: int = Field(ge=2)
    pretrain: dict[str, Any]
    finetune: dict[str, Any]
    clicks: int = Field(ge=1)


class Arm(Section):
    """One way of making the encoder of frames.

    Attributes:
        task: a pretext task, or one of `TAUGHT`; null: the encoder keeps its random start, or none is used.
        options: of the task, in place of those of `tasks`.
        batch: images of a step; steps follow, so that every arm sees as many images. null: that of the schedule.
        group: only sweeps of this group are seen in pretraining; null: all.
        features: of a cell: what the `encoder` says, or grey values around it (`pixels`), or its `place` alone.
        training_seeds: repetitions; null: those of all arms.
    """

    task: str | None
    options: dict[str, Any] = Field(default_factory=dict)
    batch: int | None = None
    group: str | None = None
    features: Literal["encoder", "pixels", "place"] = "encoder"
    training_seeds: tuple[int, ...] | None = None

    @property
    def pretext(self) -> str | None:
        """The pretext task; None for controls, which are taught nothing or what the probes ask."""
        return None if self.task in TAUGHT else self.task

    @property
    def is_control(self) -> bool:
        """Whether no pretext task teaches it; probes of shuffled labels are made of these arms only."""
        return self.pretext is None


class Augment(Section):
    """Every combination of changes of a view, on a base of random crops alone.

    Attributes:
        task: the pretext task. factors: name -> values of its `augmentation` when the change is on.
        base: values of `augmentation` when all are off. training_seeds: repetitions.
    """

    task: str
    base: dict[str, Any]
    factors: dict[str, dict[str, Any]] = Field(min_length=1)
    training_seeds: tuple[int, ...] = Field(min_length=1)

    def list_cells(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name and values of `augmentation` of every combination."""
        for count in range(len(self.factors) + 1):
            for chosen in combinations(self.factors, count):
                values = dict(self.base)
                for factor in chosen:
                    values |= self.factors[factor]
                yield name_cell(chosen), values

    def list_effect(self, factor: str) -> list[tuple[float, str]]:
        """Weights of the cells whose sum is the main effect of a change: mean with it minus mean without it."""
        signs = {
            name_cell(chosen): 1 if factor in chosen else -1
            for count in range(len(self.factors) + 1)
            for chosen in combinations(self.factors, count)
        }
        return [(sign * 2 / len(signs), name) for name, sign in signs.items()]


class Frames(Section):
    """A small 2D encoder of single frames, pretrained from random weights.

    Attributes:
        size: pixels per side of a view. widths: channels of its stages.
        every: frames of a sweep between two that are probed.
        grid: cells per side of a frame. grid_step: every so many-th of them is probed, in both directions.
        cell_share: a cell shows a structure from this share of it.
        supervised_rate: learning rate of the arms that are taught the labels of the probes.
        training_seeds: repetitions of every arm; its start, order and views.
    """

    size: int = Field(ge=16)
    widths: tuple[int, ...] = Field(min_length=2)
    every: int = Field(ge=1)
    grid: int = Field(ge=2)
    grid_step: int = Field(ge=1)
    cell_share: float = Field(gt=0, le=1)
    schedule: Schedule
    supervised_rate: float = Field(gt=0)
    training_seeds: tuple[int, ...] = Field(min_length=1)
    arms: dict[str, Arm] = Field(min_length=1)
    augment: Augment | None

    @field_validator("arms", mode="before")
    @classmethod
    def _leave_out(cls, values: Any) -> Any:
        """An overlay cannot remove a key: an arm that it sets to null is left out."""
        return (
            {name: arm for name, arm in values.items() if arm is not None}
            if isinstance(values, dict)
            else values
        )

    def list_arms(self) -> dict[str, tuple[Arm, tuple[int, ...]]]:
        """Name -> arm and its training seeds, those of the factorial included."""
        found = {name: (arm, arm.training_seeds or self.training_seeds) for name, arm in self.arms.items()}
        if self.augment is not None:
            for name, values in self.augment.list_cells():
                arm = Arm(task=self.augment.task, options={"augmentation": values})
                found[name] = (arm, self.augment.training_seeds)
        return found


def name_cell(factors: tuple[str, ...]) -> str:
    """Name of the arm of the factorial with these changes."""
    return "_".join(("augment", *(factors or ("crop",))))


class Probe(Section):
    """What frozen features of frames are worth.

    Attributes:
        neighbours: of k-NN. strengths: of the squared penalty of ridge regression, chosen on validation patients.
        labelled: training patients of each group whose frames are labelled; null: all. draws: of so few patients.
        shuffles: draws of shuffled labels, for arms without a pretext task.
    """

    neighbours: int = Field(ge=1)
    strengths: tuple[float, ...] = Field(min_length=1)
    labelled: tuple[int | None, ...] = Field(min_length=1)
    draws: int = Field(ge=1)
    shuffles: int = Field(ge=1)


class Ssl(Section):
    """See params/ssl.yaml. `tasks`: options of pretext tasks beside those of `pretrain.tasks`.

    In the job of a single arm of `frames`, `table8` and `frames.augment` are null.
    """

    tasks: dict[str, dict[str, Any]]
    table8: Table8 | None
    frames: Frames
    probe: Probe

    def check(self, tasks: Iterable[str]) -> None:
        """Raise ValueError for an arm whose pretext task has no options in `tasks`."""
        named = {
            f"ssl.table8.arms: {task}": task
            for task in (self.table8.arms if self.table8 else ())
            if task != NONE
        }
        arms = self.frames.list_arms().items()
        named |= {
            f"ssl.frames.arms.{name}.task": arm.pretext for name, (arm, _) in arms if arm.pretext is not None
        }
        for place, task in named.items():
            if task not in tasks:
                raise ValueError(f"{place} is {task!r}; pretrain.tasks and ssl.tasks have {', '.join(tasks)}")
