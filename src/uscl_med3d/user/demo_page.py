"""The page and pictures of the demo."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from uscl_med3d.core.io import write_text
from uscl_med3d.report.html.look import STYLE
from uscl_med3d.user.demo import CLICKS, Demo

COLOURS = ((0, 158, 115), (230, 159, 0), (86, 180, 233), (204, 121, 167), (240, 228, 66))
"""Of Okabe and Ito, told apart by colour-blind readers, too."""
OBJECT, BACKGROUND = (0, 200, 0), (220, 0, 0)
"""Of clicks."""
OPACITY = 0.45
_SHOWN = 6


def write_page(folder: Path, demo: Demo) -> Path:
    """Write demo.html, click.png, picture.png (frames with masks) and sweep.gif into a folder; returns the page."""
    picture, film = draw_frames(demo), draw_film(demo)
    picture.save(folder / "picture.png")
    draw_click(demo).save(folder / "click.png")
    film[0].save(folder / "sweep.gif", save_all=True, append_images=film[1:], duration=80, loop=0)
    rows = "".join(
        f'<tr><td><span style="color:rgb{COLOURS[place % len(COLOURS)]}">■</span> {escape(each.name.replace("_", " "))}</td>'
        + "".join(f'<td class="number">{value:.1f}</td>' for value in each.dice)
        + "</tr>"
        for place, each in enumerate(demo.scores)
    )
    heads = "".join(f'<th class="number">{n} click{"s" if n > 1 else ""}</th>' for n in range(1, CLICKS + 1))
    page = _PAGE.format(
        style=STYLE,
        model=escape(demo.model),
        heads=heads,
        rows=rows,
        clicks=CLICKS,
        count=len(demo.scores),
        picture=_embed(folder / "picture.png"),
        film=_embed(folder / "sweep.gif"),
    )
    write_text(folder / "demo.html", page)
    return folder / "demo.html"


def draw_frames(demo: Demo) -> Image.Image:
    """Evenly spaced frames, each plain above and with masks, true outlines and clicks below."""
    places = np.linspace(0, len(demo.frames) - 1, _SHOWN + 2).round().astype(int)[1:-1]
    plain = [np.repeat(demo.frames[place][..., None], 3, axis=2) for place in places]
    masked = [np.asarray(_draw(demo, int(place))) for place in places]
    return Image.fromarray(np.concatenate([np.concatenate(row, axis=1) for row in (plain, masked)]))


def draw_click(demo: Demo) -> Image.Image:
    """The frame of the first click on the largest structure: with the clicks alone, and with masks and true outlines."""
    place = demo.scores[0].clicks[0][2]
    plain = draw_plain(demo, place, clicks=True)
    return Image.fromarray(np.concatenate([np.asarray(plain), np.asarray(_draw(demo, place))], axis=1))


def draw_plain(demo: Demo, place: int, clicks: bool) -> Image.Image:
    """A frame without masks, with or without the clicks close by."""
    plain = Image.fromarray(np.repeat(demo.frames[place][..., None], 3, axis=2))
    if clicks:
        _draw_clicks(plain, demo, place)
    return plain


def draw_film(demo: Demo) -> list[Image.Image]:
    """Every frame with masks and true outlines."""
    return [_draw(demo, place) for place in range(len(demo.frames))]


def _draw(demo: Demo, place: int) -> Image.Image:
    picture = np.repeat(demo.frames[place][..., None], 3, axis=2).astype(np.float32)
    for colour, each in zip(COLOURS * 3, demo.scores, strict=False):
        found, truth = demo.mask[place] == each.value, demo.truth[place] == each.value
        picture[found] = (1 - OPACITY) * picture[found] + OPACITY * np.array(colour, np.float32)
        picture[_outline(truth)] = 255
    image = Image.fromarray(picture.round().astype(np.uint8))
    _draw_clicks(image, demo, place)
    return image


def _draw_clicks(image: Image.Image, demo: Demo, place: int) -> None:
    pen = ImageDraw.Draw(image)
    for each in demo.scores:
        for x, y, frame, label in each.clicks:
            if abs(frame - place) <= 2:
                pen.ellipse(
                    (x - 4, y - 4, x + 4, y + 4),
                    fill=OBJECT if label else BACKGROUND,
                    outline=(255, 255, 255),
                )


def _outline(mask: np.ndarray) -> np.ndarray:
    inner = mask.copy()
    for axis in (0, 1):
        for shift in (-1, 1):
            inner &= np.roll(mask, shift, axis)
    return mask & ~inner


def _embed(file: Path) -> str:
    return f"data:image/{file.suffix[1:]};base64,{b64encode(file.read_bytes()).decode()}"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>USCL-Med3D demo</title><style>{style}</style></head><body>
<header><h1>One sweep, {clicks} clicks on each structure</h1></header>
<main>
<p class="note">The sweep is <b>simulated</b>. What the model <code>{model}</code> makes of it shows that the tool works,
and says nothing about accuracy on patients. Research software, not for clinical use.</p>
<p>The clicks were placed by a program that knows the true outlines: the first in the middle of a structure, each further one
in the middle of the largest mistake.</p>
<div class="scroll"><table><caption class="caption">Dice (0–100) with the true outline, after each click</caption>
<thead><tr><th>structure</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>
<figure><img src="{picture}" alt="Six frames of the sweep, below with masks">
<figcaption>Frames of the sweep. Below them the masks in colour, the true outlines in white, and the clicks of the frames
close by (green: on the structure, red: beside it).</figcaption></figure>
<figure><img src="{film}" alt="The whole sweep with masks" style="max-width:36rem">
<figcaption>The whole sweep.</figcaption></figure>
<h2>Your own clip</h2>
<pre>uscl-med3d segment my_sweep.mp4 --point COLUMN,ROW,FRAME -o mask.nii.gz
uscl-med3d view my_sweep.mp4          # the same by clicking in the browser</pre>
<p>Beside this page: the clip (<code>videos/demo.mp4</code>), its mask (<code>mask.nii.gz</code>), the true outlines
(<code>truth/demo.nii.gz</code>), <code>click.png</code>, <code>picture.png</code> and
<code>sweep.gif</code>.</p>
</main></body></html>
"""
