"""Pictures of the demo for a page: a still, click and mask side by side, and a small film, click, mask, and the sweep."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from uscl_med3d.core.io import atomic
from uscl_med3d.user.demo import Demo
from uscl_med3d.user.demo_page import BACKGROUND, COLOURS, OBJECT, OPACITY, draw_click, draw_film, draw_plain

MOST_BYTES = 400_000
"""Of the film: a page is read on a phone, too."""
_WIDTH, _GREYS, _SHADES = 256, 12, 4
_LOOK_MS, _RUN_MS = 1200, 110
"""How long the two frames of the click stand, and each frame of the sweep."""


def write_pictures(folder: Path, demo: Demo) -> list[Path]:
    """Write demo_click.png and demo_sweep.gif into a folder; the same demo gives the same bytes. Returns the files."""
    click, film = folder / "demo_click.png", folder / "demo_sweep.gif"
    with atomic(click) as temporary:
        draw_click(demo).save(temporary, format="PNG", optimize=True)
    with atomic(film) as temporary:
        temporary.write_bytes(make_film(demo, MOST_BYTES))
    return [click, film]


def make_film(demo: Demo, most_bytes: int) -> bytes:
    """A GIF that repeats: the clicked frame alone, with clicks, with masks; then the sweep, as many frames as fit.

    Raises:
        ValueError: where not even every eighth frame fits.
    """
    place = demo.scores[0].clicks[0][2]
    shown = draw_film(demo)
    clicked = [draw_plain(demo, place, clicks=False), draw_plain(demo, place, clicks=True), shown[place]]
    for step in range(1, 9):
        made = _encode(clicked, shown[::step])
        if len(made) <= most_bytes:
            return made
    raise ValueError(f"{len(shown)} frames do not fit into {most_bytes} bytes")


def _encode(clicked: Sequence[Image.Image], sweep: Sequence[Image.Image]) -> bytes:
    """All frames with one palette; no dithering, which would be new noise in every frame."""
    height = round(_WIDTH * sweep[0].height / sweep[0].width)
    palette = _make_palette()
    reduced = [
        each.resize((_WIDTH, height), Image.Resampling.BOX).quantize(
            palette=palette, dither=Image.Dither.NONE
        )
        for each in (*clicked, *sweep)
    ]
    stream = io.BytesIO()
    durations = [_LOOK_MS] * len(clicked) + [_RUN_MS] * len(sweep)
    reduced[0].save(
        stream,
        format="GIF",
        save_all=True,
        append_images=reduced[1:],
        duration=durations,
        loop=0,
        optimize=False,
    )
    return stream.getvalue()


def _make_palette() -> Image.Image:
    """Greys, shades of each mask's colour on grey, and the clicks' colours."""
    colours = [(grey, grey, grey) for grey in np.linspace(0, 255, _GREYS).round().astype(int).tolist()]
    for colour in COLOURS:
        for grey in np.linspace(0, 200, _SHADES):
            shade = (1 - OPACITY) * grey + OPACITY * np.array(colour)
            colours.append(tuple(shade.round().astype(int).tolist()))
    colours += [OBJECT, BACKGROUND]
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for colour in colours for value in colour])
    return palette
