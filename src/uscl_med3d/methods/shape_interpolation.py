"""Shape interpolation: between two annotated frames the signed distance maps of a class are blended.

Prompt: annotated key frames of the sweep. No model, no image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import nn

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.methods import Prompt
from uscl_med3d.methods.base import Card, WholeMethod
from uscl_med3d.propagation.alternatives import interpolate_shapes
from uscl_med3d.propagation.key_frames import finish_labels, list_key_masks


class ShapeInterpolationOptions(Section):
    """Nothing to choose."""


class ShapeInterpolationMethod(WholeMethod):
    """Blends shapes; looks at no image."""

    card: ClassVar[Card] = Card(
        paper="Raya and Udupa, Shape-based interpolation of multidimensional objects, 1990 (IEEE TMI 9:32-42)",
        code="this project",
        licence="Apache-2.0",
        normalisation="none: the image only says where the fan is",
    )
    prompt: ClassVar[Prompt] = "key_frames"
    Options: ClassVar[type[Section]] = ShapeInterpolationOptions

    def __init__(self) -> None:
        self.network = nn.Module()

    @classmethod
    def load(
        cls, job: Any, base_weights: Path | None, checkpoint: Path | None, vcl_weights: Path | None
    ) -> ShapeInterpolationMethod:
        """See `Method.load`; there is nothing to load."""
        if base_weights or checkpoint or vcl_weights:
            raise ValueError("interpolating shapes takes no weights")
        cls.read_options(job)
        return cls()

    def segment(
        self, volume: np.ndarray, key_frames: np.ndarray | None, classes: Mapping[str, int],
        frames: Sequence[int] | None,
    ) -> np.ndarray:  # fmt: skip
        """See `WholeMethod.segment`."""
        key_masks = list_key_masks(key_frames)
        return finish_labels(interpolate_shapes(key_masks, len(volume)), volume, key_masks)


METHOD = ShapeInterpolationMethod
