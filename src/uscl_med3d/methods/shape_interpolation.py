"""Shape interpolation: between two annotated frames the signed distance maps of a class are blended.

Prompt: annotated key frames of the sweep. No model, no image; everything but the blending is as in `nearest_key_frame`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    fill: ClassVar[Callable[[Mapping[int, np.ndarray], int], np.ndarray]] = staticmethod(interpolate_shapes)


METHOD = ShapeInterpolationMethod
