"""The trained U-Net, told which class is meant, as click methods are by their first click: that class or background.

It shows how much of the U-Net's error is a wrong name for a structure that it has found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from uscl_med3d.methods.unet import UNetMethod


class UNetToldMethod(UNetMethod):
    """Weights of the U-Net's main run; other classes are left out of the comparison with background."""

    told_class: ClassVar[bool] = True

    def segment(
        self,
        volume: np.ndarray,
        key_frames: np.ndarray | None,
        classes: Mapping[str, int],
        frames: Sequence[int] | None,
    ) -> np.ndarray:
        """See `WholeMethod.segment`; classes that are not asked for do not count."""
        asked = [name for name in self.classes if name in classes]
        channels = [0, *(1 + self.classes.index(name) for name in asked)]
        found = self.predict_logits(volume)[channels].argmax(0).numpy()
        labels = np.array([0, *(classes[name] for name in asked)], dtype=np.uint8)[found]
        labels[volume == 0] = 0
        return labels


METHOD = UNetToldMethod
