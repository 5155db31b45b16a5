"""The trained U-Net, told which class is meant, as click methods are by their first click: that class or background.

It shows how much of the U-Net's error is a wrong name for a structure that it has found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from torch import Tensor

from uscl_med3d.methods.unet import UNetMethod


class UNetToldMethod(UNetMethod):
    """Weights of the U-Net's main run; other classes are left out of the comparison with background."""

    told_class: ClassVar[bool] = True
    _seen: tuple[np.ndarray, Tensor] | None = (
        None  # the last volume and its logits, which all its classes share
    )

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
        if self._seen is None or self._seen[0] is not volume:
            self._seen = volume, self.predict_logits(volume)
        found = self._seen[1][channels].argmax(0).numpy()
        labels = np.array([0, *(classes[name] for name in asked)], dtype=np.uint8)[found]
        labels[volume == 0] = 0
        return labels


METHOD = UNetToldMethod
