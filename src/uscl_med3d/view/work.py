"""What a client of the nnInteractive protocol works on: one image and one object, in the client's own axes.

Arrays are (frames, rows, columns) = the three axes that a client sends; the first is taken for the frames. Objects live in
the client: it resets between them, and sends an object's mask when its user comes back to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uscl_med3d.user.segmenter import DEFAULT_OBJECT, Segmenter
from uscl_med3d.view.session import Session


class Work:
    """A client's image and prompts."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.segmenter = segmenter
        self.session: Session | None = None
        self.dtype = np.dtype("uint8")

    def set_image(self, image: np.ndarray, spacing: Sequence[float] | None) -> None:
        """Take a new image (1, frames, rows, columns); everything before is forgotten. Raises `ValueError`."""
        if image.ndim != 4 or image.shape[0] != 1:
            raise ValueError(f"an image has shape (1, frames, rows, columns), got {image.shape}")
        self.session = None
        self.segmenter.encode(image[0], read_spacing(spacing))
        self.session = Session(self.segmenter)

    @property
    def open(self) -> Session:
        """The session. Raises `ValueError` before an image."""
        if self.session is None:
            raise ValueError("no image yet")
        return self.session

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raises `ValueError` for another shape than the image's."""
        expected = self.open.segmenter.source.frames.shape
        if shape != expected:
            raise ValueError(f"shape {list(shape)}; the image has {list(expected)}")

    def add_point(self, point: Sequence[float], label: int) -> None:
        """A click at (frame, row, column); background where there is no image anyway changes nothing."""
        z, y, x = point
        try:
            self.open.click((x, y, z), label, DEFAULT_OBJECT)
        except ValueError:
            if label == 1 or not np.isfinite(point).all():
                raise
            self.open.skip((x, y, z), DEFAULT_OBJECT)

    def add_box(self, box: Sequence[Sequence[float]], label: int) -> None:
        """A box, half-open and possibly beyond the image; a box of background is a background click on its middle."""
        if not np.isfinite(np.asarray(box)).all():
            raise ValueError("a box that is not finite")
        first, last = [], []
        for (one, other), length in zip(box, self.open.segmenter.source.frames.shape, strict=True):
            low, high = round(min(one, other)), round(max(one, other)) - 1
            first.append(min(max(low, 0), length - 1))
            last.append(max(min(high, length - 1), first[-1]))
        if label == 0:
            self.add_point([(a + b) / 2 for a, b in zip(first, last, strict=True)], 0)
        else:
            self.open.box((*first[::-1], *last[::-1]), DEFAULT_OBJECT)

    def start_from(self, mask: np.ndarray) -> None:
        """Prompts are forgotten, and the mask counts; one of this session brings its prompts back."""
        session = self.open
        session.remember()
        known = session.recall(mask)
        session.restart(known or ())
        if known is None and mask.any():
            session.start_from(mask, DEFAULT_OBJECT)
            session.restart(session.steps)
        session.change()  # the client fills its buffer itself

    def reset(self) -> None:
        """Prompts are forgotten; what was computed is not."""
        self.open.remember()
        self.open.restart()
        self.open.change()


def read_spacing(spacing: Sequence[float] | None) -> tuple[float, float] | None:
    """(row, column) in millimetres of (frame, row, column); some clients give negative ones. All 1 says nothing."""
    if spacing is None or len(spacing) != 3:
        return None
    sides = [abs(float(side)) for side in spacing]
    return None if sides == [1.0, 1.0, 1.0] else (sides[1], sides[2])
