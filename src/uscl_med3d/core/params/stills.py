"""Parameters of the comparison on single images with masks (target `usgra`)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.schedule import Schedule


class StillAugmentation(Section):
    """SAMUS's augmentation: each step with `probability`."""

    probability: float = Field(ge=0, le=1)
    gamma: tuple[int, int]
    rotation_deg: float = Field(ge=0)
    zoom: tuple[float, float]
    contrast: tuple[float, float]


class StillDense(Section):
    """The first steps of methods that take clicks and train their encoder: every structure of an image, pixel by pixel.

    Attributes:
        share: of the steps; 0: clicks from the first step on.
        head_rate: highest learning rate of the head that is thrown away afterwards.
        background_bias, structure_bias: of the head, at the start.
    """

    share: float = Field(ge=0, lt=1)
    head_rate: float = Field(gt=0)
    background_bias: float
    structure_bias: float


class StillTraining(Schedule):
    """How every method is trained on a fold."""

    dense: StillDense
    augmentation: StillAugmentation


class StillEntry(Section):
    """One method.

    Attributes:
        label: its name in tables.
        module: its file in methods/stills/.
        base: whether it starts from the base SAM.
        image_size: pixels per side of its input.
        learning_rate: highest; null: it is not trained.
        options: validated by the method's own file.
    """

    label: str
    module: str
    base: bool
    image_size: int = Field(ge=16)
    learning_rate: float | None = Field(gt=0)
    options: dict[str, Any]


class Stills(Section):
    """See params/stills.yaml, section `stills`.

    Attributes:
        kept: methods that are trained on all images, too, for `segment --model`.
    """

    layout: str
    folder: str
    folds: int = Field(ge=2)
    points: tuple[int, ...] = Field(min_length=1)
    click_simulator: Literal["random_error", "largest_error_centre"]
    n_boot: int = Field(ge=1)
    confidence: float = Field(gt=0, lt=1)
    training: StillTraining
    kept: tuple[str, ...]
    methods: dict[str, StillEntry]
