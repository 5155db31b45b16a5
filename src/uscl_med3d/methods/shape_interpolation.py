"""Shape interpolation: between two annotated frames the signed distance maps of a class are blended.

Prompt: annotated key frames of the sweep. No model, no image; everything but the blending is as in `nearest_key_frame`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from uscl_med3d.methods.base import Card
from uscl_med3d.methods.nearest_key_frame import NearestKeyFrameMethod
from uscl_med3d.propagation.alternatives import interpolate_shapes


class ShapeInterpolationMethod(NearestKeyFrameMethod):
    """Blends shapes; looks at no image."""

    card: ClassVar[Card] = Card(
        paper="Raya and Udupa, Shape-based interpolation of multidimensional objects, 1990 (IEEE TMI 9:32-42)",
        code="this project",
        licence="Apache-2.0",
        normalisation="none: the image only says where the fan is",
    )

    @staticmethod
    def fill(key_masks: Mapping[int, np.ndarray], frames: int) -> np.ndarray:
        """See `NearestKeyFrameMethod.fill`."""
        return interpolate_shapes(key_masks, frames)


METHOD = ShapeInterpolationMethod
