"""A page of frames of one sweep with the outlines of its labels: does the contour lie on its organ?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from uscl_med3d.core.io import atomic
from uscl_med3d.core.palette import COLOURS
from uscl_med3d.data.annotations.base import IGNORE

TILE_WIDTH, COLUMNS, MARGIN, LINE = 240, 4, 10, 15
PAPER, INK, FAN, WARNING = (255, 255, 255), (30, 30, 30), (120, 120, 120), (200, 30, 30)
NOT_ANNOTATED = (255, 255, 255)
MOST_KEY_FRAMES, PLAIN_FRAMES = 12, 4
WRAP = 150  # characters of a line of text


def choose_frames(count: int, key_frames: Sequence[int]) -> list[int]:
    """Frames to show: the annotated ones, evenly chosen where there are many, and a few between the ends."""
    keys = sorted(key_frames)
    if len(keys) > MOST_KEY_FRAMES:
        keys = [keys[i] for i in np.linspace(0, len(keys) - 1, MOST_KEY_FRAMES).round().astype(int)]
    plain = np.linspace(0, count - 1, PLAIN_FRAMES if keys else 2 * PLAIN_FRAMES).round().astype(int).tolist()
    return sorted({*keys, *plain})


def draw_sheet(
    path: Path,
    title: str,
    frames: Mapping[int, np.ndarray],
    fan: np.ndarray,
    masks: Mapping[int, np.ndarray],
    classes: Mapping[str, int],
    lines: Sequence[tuple[str, bool]],
    aspect: float,
) -> None:
    """Write one PNG.

    Args:
        frames: number -> grey values uint8 (h, w) of what is shown. fan: bool (h, w), drawn as a grey outline.
        masks: key frame -> label map uint8 (h, w). lines: text below, and whether it is a warning.
        aspect: width / height of a pixel.
    """
    height, width = fan.shape
    tile_h = max(1, round(TILE_WIDTH * height / (width * aspect)))
    rows = -(-len(frames) // COLUMNS)
    texts = [(part, warning) for text, warning in lines for part in _wrap(text)]
    size = (
        2 * MARGIN + COLUMNS * (TILE_WIDTH + MARGIN),
        4 * MARGIN + 2 * LINE + rows * (tile_h + LINE + MARGIN) + len(texts) * LINE,
    )
    sheet = Image.new("RGB", size, PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    draw.text((MARGIN, MARGIN), title, fill=INK, font=font)
    _draw_legend(draw, font, masks, classes)
    top = 2 * MARGIN + 2 * LINE
    for place, (number, grey) in enumerate(sorted(frames.items())):
        left = MARGIN + (place % COLUMNS) * (TILE_WIDTH + MARGIN)
        upper = top + (place // COLUMNS) * (tile_h + LINE + MARGIN)
        caption = f"frame {number}" + (" (key frame)" if number in masks else "")
        draw.text((left, upper), caption, fill=INK, font=font)
        tile = _draw_tile(grey, fan, masks.get(number), (TILE_WIDTH, tile_h))
        sheet.paste(tile, (left, upper + LINE))
    below = top + rows * (tile_h + LINE + MARGIN)
    for number, (text, warning) in enumerate(texts):
        draw.text((MARGIN, below + number * LINE), text, fill=WARNING if warning else INK, font=font)
    with atomic(path) as temporary:
        sheet.save(temporary, format="PNG", compress_level=6)


def _draw_tile(
    grey: np.ndarray, fan: np.ndarray, mask: np.ndarray | None, size: tuple[int, int]
) -> Image.Image:
    pixels = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR).convert("RGB")).astype(
        float
    )
    pixels[_outline(_scale(fan.astype(np.uint8), size) > 0)] = FAN
    if mask is not None:
        enlarged = _scale(mask, size)
        for value in np.unique(enlarged).tolist():
            if value == 0:
                continue
            area, colour = enlarged == value, np.array(_colour(value), float)
            pixels[area] = 0.8 * pixels[area] + 0.2 * colour
            pixels[_outline(area)] = colour
    return Image.fromarray(pixels.round().astype(np.uint8))


def _scale(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.NEAREST))


def _outline(area: np.ndarray) -> np.ndarray:
    padded = np.pad(area, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(area & ~inner)


def _draw_legend(
    draw: ImageDraw.ImageDraw, font: Any, masks: Mapping[int, np.ndarray], classes: Mapping[str, int]
) -> None:
    present = {value for mask in masks.values() for value in np.unique(mask).tolist()}
    names = [(name.replace("_", " "), value) for name, value in classes.items() if value in present]
    names += [("not annotated", IGNORE)] if IGNORE in present else []
    left = MARGIN
    for name, value in [*names, ("image region", -1)]:
        colour = FAN if value < 0 else _colour(value)
        draw.rectangle((left, MARGIN + LINE + 3, left + 9, MARGIN + LINE + 12), fill=colour, outline=INK)
        draw.text((left + 14, MARGIN + LINE), name, fill=INK, font=font)
        left += 30 + int(draw.textlength(name, font=font))


def _colour(value: int) -> tuple[int, int, int]:
    return NOT_ANNOTATED if value == IGNORE else COLOURS[(value - 1) % len(COLOURS)]


def _wrap(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, WRAP, subsequent_indent="    ") or [""]
