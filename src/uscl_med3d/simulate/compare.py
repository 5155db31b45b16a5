"""A figure of simulated frames beside real clips: for judging the generator by eye, not part of any run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image


def compare_frames(
    simulated: Sequence[str | Path], real: Sequence[str | Path], out: str | Path, columns: int, height_px: int
) -> None:
    """Draw one frame per file (the middle one of a video): simulated first, real ones below a white line.

    Frames are scaled to one height. Pass no real files for a figure that may be shared.
    """
    blocks = [
        _tile([_read(Path(file), height_px) for file in files], columns)
        for files in (simulated, real)
        if files
    ]
    width = max(block.shape[1] for block in blocks)
    parts: list[np.ndarray] = []
    for block in blocks:
        if parts:
            parts.append(np.full((6, width), 255, np.uint8))
        parts.append(np.pad(block, ((0, 0), (0, width - block.shape[1]))))
    Image.fromarray(np.concatenate(parts)).save(out, optimize=True)


def _read(file: Path, height_px: int) -> np.ndarray:
    if file.suffix.lower() in {".png", ".jpg", ".jpeg"}:
        image = Image.open(file).convert("L")
    else:
        frames = list(_decode(file))
        image = Image.fromarray(frames[len(frames) // 2])
    return np.asarray(
        image.resize((round(image.width * height_px / image.height), height_px), Image.Resampling.BILINEAR)
    )


def _decode(file: Path) -> Iterator[np.ndarray]:
    with av.open(str(file)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="gray")


def _tile(images: list[np.ndarray], columns: int) -> np.ndarray:
    width = max(image.shape[1] for image in images)
    images = [np.pad(image, ((0, 0), (0, width - image.shape[1]))) for image in images]
    images += [np.zeros_like(images[0])] * (-len(images) % columns)
    return np.concatenate(
        [np.concatenate(images[i : i + columns], axis=1) for i in range(0, len(images), columns)]
    )
