"""Clicks in single slices for SAM and its two-dimensional relatives: only slices with clicks are segmented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from uscl_med3d.methods.slicewise import SlicewiseMethod
from uscl_med3d.user.inputs import Source
from uscl_med3d.user.official import OfficialChoice
from uscl_med3d.user.official_stills import MODELS, StillSlices, load_stills

Click = tuple[int, int, int, int]
"""(frame, row, column, label)."""


def load_method(choice: OfficialChoice, device: torch.device) -> SlicewiseMethod | StillSlices:
    """The method of a two-dimensional checkpoint: its resize rule, mask choice and feedback."""
    from uscl_med3d.methods.registry import find_method

    if choice.model in MODELS:
        return load_stills(choice.model, choice.network, device)

    kind: Any = find_method(choice.model)
    # Pictures are given as they are, so that no percentiles of a volume matter.
    return kind(choice.network, choice.architecture, (0.0, 100.0), device)


class SlicedVolume:
    """A stack of pictures; the working grid is the input's own.

    Args:
        source: 8-bit frames.
    """

    def __init__(self, source: Source) -> None:
        self.shape, self.notes = source.frames.shape, list[str]()

    def index_of(self, voxel: tuple[float, float, float], in_region: bool) -> tuple[int, int, int]:
        """Voxel (x, y, z) = (column, row, frame) to (frame, row, column). Raises `ValueError` outside the input."""
        frames, rows, columns = self.shape
        x, y, z = voxel
        for name, value, size in (("x (column)", x, columns), ("y (row)", y, rows), ("z (frame)", z, frames)):
            if not -0.5 <= value <= size - 0.5:
                raise ValueError(f"{name} = {value:g} lies outside the input, which has 0 to {size - 1}")
        frame, row, column = (
            min(int(np.floor(value + 0.5)), size - 1)
            for value, size in zip((z, y, x), self.shape, strict=True)
        )
        return frame, row, column

    def to_input(self, masks: list[np.ndarray]) -> np.ndarray:
        """Masks (frames, rows, columns) per object to one map: 0 background, else 1 + object, later over earlier."""
        result = np.zeros(self.shape, np.uint8)
        for number, mask in enumerate(masks, 1):
            result[mask > 0] = number
        return result


class SlicePredictor:
    """A two-dimensional network on a stack; a slice is encoded once.

    Args:
        method: of `load_method`.
        source: frames uint8 (n, h, w), or their colours (n, h, w, 3) where the picture has some.
    """

    side = 0  # a box may be of any size

    def __init__(self, method: SlicewiseMethod | StillSlices, source: Source) -> None:
        self.method, self.source = method, source
        self._embeddings: dict[int, torch.Tensor] = {}

    def check(self, clicks: Sequence[Click]) -> None:
        """Raises `ValueError` for a slice with background clicks only."""
        for frame in {click[0] for click in clicks}:
            if not any(click[3] == 1 for click in clicks if click[0] == frame):
                raise ValueError(
                    f"slice {frame} has no click on the object, and the network sees single slices"
                )

    def predict(self, clicks: Sequence[Click], mask: None = None) -> np.ndarray:
        """The mask uint8 (frames, rows, columns); every slice by its own clicks, in order."""
        _, *size = self.source.frames.shape
        result: np.ndarray = np.zeros(self.source.frames.shape, np.uint8)
        for frame in sorted({click[0] for click in clicks}):
            given = [click for click in clicks if click[0] == frame]
            points = torch.tensor([[click[1:3] for click in given]]).float()
            labels = torch.tensor([[click[3] for click in given]])
            with torch.inference_mode():
                state: Any = self.method.start(self._embed(frame), (size[0], size[1]))
                for count in range(1, len(given) + 1):
                    logits = self.method.click(state, points[:, :count], labels[:, :count])
            result[frame] = (logits[0, 0] > 0).cpu().numpy()
        return result

    def _embed(self, frame: int) -> torch.Tensor:
        if frame not in self._embeddings:
            picture = to_picture(self.source, frame, self.method.base == "sam_med2d")
            self._embeddings[frame] = self.method.embed(picture)
        return self._embeddings[frame]


def to_picture(source: Source, frame: int, blue_first: bool) -> torch.Tensor:
    """One frame as the networks take it, (1, 3, h, w), float with whole numbers of 0..255; grey three times.

    blue_first: channels as OpenCV reads them, without a swap: what SAM-Med2D learned from.
    """
    if source.colours is not None:
        colours = source.colours[frame][..., ::-1] if blue_first else source.colours[frame]
        return torch.from_numpy(colours.astype(np.float32)).permute(2, 0, 1)[None]
    grey = torch.from_numpy(np.ascontiguousarray(source.frames[frame]).astype(np.float32))
    return grey.expand(1, 3, -1, -1)
