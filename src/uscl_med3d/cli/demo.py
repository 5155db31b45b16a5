"""`demo`: a first look, without data and without training."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from uscl_med3d.cli.app import CLIPS, DEFAULT_PARAMS, DEFAULT_SCALE, Params, Scale, Weights, app

EXAMPLES = """Example

uscl-med3d demo --out /tmp/demo
"""


@app.command(rich_help_panel=CLIPS, epilog=EXAMPLES)
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the clip, its mask and the page.")] = Path("demo"),
    open_: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open the page.", show_default="on a terminal")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder that gets a still and a small film for a page, too.")
    ] = None,
    weights: Weights = None,
    scale: Scale = DEFAULT_SCALE,
    params_file: Params = DEFAULT_PARAMS,
) -> None:
    """A first look in a minute: simulates one sweep, segments it from three clicks, makes a page with masks and scores."""
    from uscl_med3d.user.demo import run_demo
    from uscl_med3d.user.demo_page import write_page
    from uscl_med3d.user.segmenter import Segmenter

    start = time.perf_counter()

    def step(done: str) -> None:
        print(f"{time.perf_counter() - start:5.1f} s  {done}", flush=True)

    segmenter = Segmenter.load(weights, scale=scale)
    step(f"load the model {segmenter.choice.name}")
    result = run_demo(segmenter, out, params_file, step)
    page = write_page(out, result)
    step(f"write {page}")
    if pictures is not None:
        from uscl_med3d.user.demo_pictures import write_pictures

        step("write " + ", ".join(map(str, write_pictures(pictures, result))))
    for each in result.scores:
        print(
            f"{each.name.replace('_', ' '):>18}  Dice after each click: {', '.join(f'{value:.1f}' for value in each.dice)}"
        )
    print("The sweep is simulated: these numbers say nothing about patients.")
    first = result.scores[0]
    x, y, frame, _ = first.clicks[0]
    print(
        f"By hand: uscl-med3d segment {result.clip} --object {first.name} --point {x},{y},{frame} -o mask.nii.gz"
    )
    if sys.stdout.isatty() if open_ is None else open_:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
