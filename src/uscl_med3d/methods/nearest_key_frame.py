"""Nearest key frame: every frame gets the masks of the annotated frame nearest to it.

The least that key frames are worth without any model. Prompt: annotated key frames of the sweep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from torch import nn

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.methods import Takes
from uscl_med3d.methods.base import Card, Weights, WholeMethod
from uscl_med3d.propagation.alternatives import copy_nearest_key_frame
from uscl_med3d.propagation.key_frames import finish_labels, list_key_masks


class NearestKeyFrameOptions(Section):
    """Nothing to choose."""


class NearestKeyFrameMethod(WholeMethod):
    """Copies; looks at no image."""

    card: ClassVar[Card] = Card(
        paper="none: the trivial comparison",
        code="this project",
        licence="Apache-2.0",
        normalisation="none: the image only says where the fan is",
    )
    takes: ClassVar[Takes] = "key_frames"
    Options: ClassVar[type[Section]] = NearestKeyFrameOptions

    def __init__(self) -> None:
        self.network = nn.Module()

    @staticmethod
    def fill(key_masks: Mapping[int, np.ndarray], frames: int) -> np.ndarray:
        """Labels (d, h, w) from label maps (h, w) by key frame, and the number of frames."""
        return copy_nearest_key_frame(key_masks, frames)

    @classmethod
    def load(cls, job: Any, weights: Weights) -> Self:
        """See `Method.load`; there is nothing to load."""
        if weights != Weights():
            raise ValueError(f"{cls.__name__} takes no weights")
        cls.read_options(job)
        return cls()

    def segment(
        self,
        volume: np.ndarray,
        key_frames: np.ndarray | None,
        classes: Mapping[str, int],
        frames: Sequence[int] | None,
    ) -> np.ndarray:
        """See `WholeMethod.segment`."""
        key_masks = list_key_masks(key_frames)
        return finish_labels(self.fill(key_masks, len(volume)), volume, key_masks)


METHOD = NearestKeyFrameMethod
