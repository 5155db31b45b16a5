"""How a video wants to be shown: turned, mirrored, with pixels that are not square."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.clips.base import Note

LEAN = 1e-3  # share of the other axis that a matrix may mix in and still count as upright
SQUARE = 1e-3  # pixels whose sides differ by less are square
MOST_ASPECT = 16.0


@dataclass(frozen=True)
class Display:
    """Applied to the stored picture, in this order: rows and columns swapped, columns reversed, rows reversed.

    aspect: width / height of a pixel of the picture as it is shown.
    """

    swapped: bool = False
    mirrored: bool = False
    upside_down: bool = False
    aspect: float = 1.0
    notes: tuple[Note, ...] = field(default=())

    def show(self, stored: np.ndarray) -> np.ndarray:
        """The picture (h, w) as displayed; rows and columns change places where it is turned by a quarter."""
        shown = stored.T if self.swapped else stored
        shown = shown[:, ::-1] if self.mirrored else shown
        shown = shown[::-1] if self.upside_down else shown
        return np.ascontiguousarray(shown)


def read_display(path: Path, container: av.container.InputContainer, stream: av.VideoStream) -> Display:
    """What the container says of a stream's display; reads its first frame, which carries the matrix.

    Raises:
        InputError: for a matrix that is no turn by quarters with or without a mirror.
    """
    matrix = _first_matrix(container, stream)
    ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    aspect = float(ratio) if ratio else 1.0
    if not 1 / MOST_ASPECT < aspect < MOST_ASPECT:
        aspect = 1.0
    swapped = mirrored = upside_down = False
    if matrix is not None:
        # ISO/IEC 14496-12, 6.2.2: x' = a x + c y, y' = b x + d y, in 16.16 fixed point.
        a, b, c, d = (float(matrix[i]) for i in (0, 1, 3, 4))
        swapped = abs(b) + abs(c) > abs(a) + abs(d)
        along_x, along_y = (c, b) if swapped else (a, d)
        mixed = max(abs(a), abs(d)) if swapped else max(abs(b), abs(c))
        if not along_x or not along_y or mixed > LEAN * min(abs(along_x), abs(along_y)):
            raise InputError(
                file=path,
                found=f"a display matrix that turns the picture by no quarter ({a:g} {b:g}; {c:g} {d:g})",
                expected="turns by 90 degrees and mirrors",
                remedy="export the clip again without the turn, or convert it to one that has it in its pixels",
            )
        mirrored, upside_down = along_x < 0, along_y < 0
        aspect = (1 / aspect if swapped else aspect) * abs(along_x / along_y)
    notes = []
    if swapped or mirrored or upside_down:
        what = [
            word
            for word, is_so in (("turned", swapped), ("mirrored", mirrored), ("upside down", upside_down))
            if is_so
        ]
        notes.append(
            Note(
                f"the container shows the picture {' and '.join(what)}, and so is it read: key frames must be "
                "drawn on the picture as players show it"
            )
        )
    if abs(aspect - 1) > SQUARE:
        notes.append(
            Note(
                f"pixels are not square (width / height = {aspect:.4g}): the volume's grid makes up for it, "
                "frames and key frames keep the stored pixels"
            )
        )
    else:
        aspect = 1.0
    if (streams := len(container.streams.video)) > 1:
        notes.append(
            Note(f"{streams} video streams: the one that players show is used (stream {stream.index})")
        )
    return Display(swapped, mirrored, upside_down, aspect, tuple(notes))


def _first_matrix(container: av.container.InputContainer, stream: av.VideoStream) -> np.ndarray | None:
    try:
        frame = next(container.decode(stream), None)
    except av.FFmpegError:
        return None  # said again, with the number of the frame, when frames are read
    if frame is None:
        return None
    entries: Any = frame.side_data
    for data in entries:
        if "MATRIX" in str(data.type).upper():
            values = np.frombuffer(bytes(data), np.int32)
            return values if values.size >= 9 else None
    return None
