"""The review sheet of a sweep: what a person looks at before trusting a pseudo-label. Drawn with Pillow, for
speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from uscl_med3d.core.io import atomic
from uscl_med3d.core.palette import COLOURS
from uscl_med3d.core.params.pseudolabel import Review
from uscl_med3d.pseudolabel.gate import Verdict

KEY, REJECTED, PAPER, INK, PALE = (0, 150, 60), (200, 30, 30), (255, 255, 255), (30, 30, 30), (225, 225, 225)
MARGIN, LINE, CURVE_HEIGHT, BORDER = 10, 14, 90, 3


def draw_review(
    path: str | Path,
    title: str,
    image: np.ndarray,
    labels: np.ndarray,
    verdicts: Sequence[Verdict],
    key_frames: Sequence[int],
    classes: Mapping[str, int],
    settings: Review,
) -> None:
    """Write one PNG: frames, the same with outlines of the labels, and curves of confidence and consistency.

    Prompt key frames have a green border, rejected frames a red one. Curves: solid = confidence, dotted =
    consistency, both 0 to 1; green lines are key frames, red marks below are rejected frames.
    """
    shown = np.unique(np.linspace(0, len(image) - 1, settings.frames).round().astype(int))
    tile_w = settings.frame_width
    tile_h = round(image.shape[1] * tile_w / image.shape[2])
    width = 2 * MARGIN + len(shown) * (tile_w + MARGIN) - MARGIN
    sheet = Image.new(
        "RGB", (width, 3 * MARGIN + 4 * LINE + 2 * (tile_h + BORDER) + CURVE_HEIGHT + 24), PAPER
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    rejected = {verdict.frame for verdict in verdicts if not verdict.accepted}
    draw.text((MARGIN, 4), title, fill=INK, font=font)
    _draw_legend(draw, font, verdicts, classes)
    top = MARGIN + 2 * LINE
    for column, frame in enumerate(shown.tolist()):
        left = MARGIN + column * (tile_w + MARGIN)
        kind = "key frame" if frame in key_frames else "rejected" if frame in rejected else ""
        colour = KEY if frame in key_frames else REJECTED if frame in rejected else INK
        draw.text((left, top), f"{frame} {kind}", fill=colour, font=font)
        plain = (
            Image.fromarray(image[frame]).resize((tile_w, tile_h), Image.Resampling.BILINEAR).convert("RGB")
        )
        sheet.paste(plain, (left, top + LINE))
        lower = top + LINE + tile_h + 2 * BORDER
        if kind:
            draw.rectangle(
                (left - BORDER, lower - BORDER, left + tile_w + BORDER - 1, lower + tile_h + BORDER - 1),
                fill=colour,
            )
        sheet.paste(_outline(plain, labels[frame], classes), (left, lower))
    box = (MARGIN, top + LINE + 2 * tile_h + 4 * BORDER + 8, width - MARGIN, 0)
    _draw_curves(
        draw, font, (*box[:3], box[1] + CURVE_HEIGHT), verdicts, key_frames, rejected, len(image), classes
    )
    with atomic(path) as temporary:
        sheet.save(temporary, format="PNG", compress_level=6)


def _outline(frame: Image.Image, labels: np.ndarray, classes: Mapping[str, int]) -> Image.Image:
    """The frame with the outline of each label, one screen pixel or two wide, and a faint filling."""
    pixels = np.asarray(frame).astype(float)
    enlarged = np.asarray(
        Image.fromarray(labels.astype(np.uint8)).resize(frame.size, Image.Resampling.NEAREST)
    )
    for label in classes.values():
        mask = enlarged == label
        if mask.any():
            padded = np.pad(mask, 1)
            inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
            colour = np.array(_colour(label), dtype=float)
            pixels[mask] = 0.8 * pixels[mask] + 0.2 * colour
            pixels[mask & ~inner] = colour
    return Image.fromarray(pixels.round().astype(np.uint8))


def _draw_legend(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    verdicts: Sequence[Verdict],
    classes: Mapping[str, int],
) -> None:
    present = {verdict.label for verdict in verdicts}
    left = MARGIN
    for name, label in classes.items():
        if label in present:
            draw.rectangle((left, 8 + LINE, left + 8, 16 + LINE), fill=_colour(label))
            text = name.replace("_", " ")
            draw.text((left + 12, 5 + LINE), text, fill=INK, font=font)
            left += 24 + int(draw.textlength(text, font=font))
    note = "green: prompt key frame   red: rejected   curves 0-1: line = confidence, dots = consistency"
    draw.text((left + 10, 5 + LINE), note, fill=INK, font=font)


def _draw_curves(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    box: tuple[int, int, int, int],
    verdicts: Sequence[Verdict],
    key_frames: Sequence[int],
    rejected: set[int],
    frames: int,
    classes: Mapping[str, int],
) -> None:
    left, top, right, bottom = box
    left += 24

    def place(frame: int, value: float) -> tuple[float, float]:
        return left + (right - left) * (frame + 0.5) / frames, bottom - (bottom - top) * value

    for value in (0.0, 0.5, 1.0):
        height = place(0, value)[1]
        draw.line((left, height, right, height), fill=PALE)
        draw.text((left - 22, height - 7), f"{value:.1f}", fill=INK, font=font)
    for frame in key_frames:
        x = place(frame, 0)[0]
        draw.line((x, top, x, bottom), fill=KEY, width=2)
    for frame in sorted(rejected):
        x, _ = place(frame, 0)
        draw.rectangle((x - 2, bottom + 3, x + 2, bottom + 9), fill=REJECTED)
    for label in classes.values():
        rows = [verdict for verdict in verdicts if verdict.label == label]
        # A human mask has no confidence and interrupts no curve: it is drawn as certain.
        line = [place(row.frame, 1.0 if row.frame in key_frames else row.confidence or 0.0) for row in rows]
        if len(line) > 1 and any(row.confidence is not None for row in rows):
            draw.line(line, fill=_colour(label), width=1)
        for row in rows:
            x, y = place(row.frame, row.consistency)
            draw.rectangle((x - 1, y - 1, x + 1, y + 1), fill=_colour(label))


def _colour(label: int) -> tuple[int, int, int]:
    return COLOURS[(label - 1) % len(COLOURS)]
