"""What a scanner's screen shows around the image: depth ticks and a grey bar, motionless, outside the fan."""

from __future__ import annotations

import numpy as np

from uscl_med3d.simulate.probe import Fan


def draw_furniture(frames: np.ndarray, fan: Fan) -> None:
    """Add a grey bar (left) and centimetre ticks (right) to frames (f, h, w), in place, outside the fan."""
    height, width = fan.shape
    layer = np.zeros(fan.shape, np.uint8)
    layer[12 : 12 + 64, 4:9] = np.linspace(255, 0, 64).astype(np.uint8)[:, None]
    surface = int(np.argmin(np.abs(fan.below_mm)))
    for centimetre in range(int(fan.depth_mm // 10) + 1):
        row = surface + round(10 * centimetre / fan.spacing_mm)
        if row < height:
            layer[row, width - (7 if centimetre % 5 == 0 else 4) : width - 1] = 170
    layer[fan.mask] = 0
    frames |= layer
