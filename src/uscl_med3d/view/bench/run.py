"""All of it, into `view.csv` and `view.md`. Numbers depend on the machine and its load: a report, never a test."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from uscl_med3d.core.io import write_text
from uscl_med3d.user.segmenter import Segmenter
from uscl_med3d.view.bench import networks
from uscl_med3d.view.bench.browser import time_browser
from uscl_med3d.view.bench.cine import Cine, write_cine
from uscl_med3d.view.bench.command import time_command
from uscl_med3d.view.bench.rows import Row, describe, to_csv
from uscl_med3d.view.bench.steps import Asked, time_clicks, time_opening
from uscl_med3d.view.server import use_all_cores

SHIPPED, VIT_B = "shipped model", "ViT-B 128³"
OPENING_S, IDLE_MB = 3.0, 1000.0
ASKED = {SHIPPED: Asked(0.3, 0.15), VIT_B: Asked(None, 0.3)}
"""Wall seconds and megabytes on two cores."""


def main(out: Path, params_file: Path, repeats: int, browser: bool) -> Path:
    """Measure the shipped model and the published size; returns the page.

    Args:
        out: folder of the two files.
        params_file: whose `ingest` and `prompts` the published size is used with.
        browser: also in Chromium, where it and playwright are installed.
    """
    makers = {SHIPPED: networks.shipped, VIT_B: lambda: networks.vit_b(params_file)}
    return report(out, Cine(), makers, repeats, browser)


def report(
    out: Path, cine: Cine, makers: Mapping[str, Callable[[], Segmenter]], repeats: int, browser: bool
) -> Path:
    """Measure models, and write the files. Of the first model also opening, memory and browser."""
    use_all_cores()
    load = os.getloadavg()[0]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as place:
        clicked, opened = Path(place) / "clip.dcm", Path(place) / "long.dcm"
        write_cine(clicked, cine, cine.clicked)
        write_cine(opened, cine, cine.opened)
        for name, make in makers.items():
            segmenter, is_first = make(), not rows
            if is_first:
                rows.append(time_opening(name, segmenter, opened, repeats, OPENING_S))
            rows += time_clicks(name, segmenter, clicked, cine, repeats, ASKED.get(name, Asked(None, None)))
            if is_first:
                rows += time_command(name, clicked, cine, IDLE_MB)
                rows += time_browser(name, segmenter, clicked) if browser else []
    write_text(out / "view.csv", to_csv(rows))
    write_text(out / "view.md", describe(rows, _facts(cine, load)))
    return out / "view.md"


def _facts(cine: Cine, load: float) -> list[str]:
    return [
        f"Written by `uscl-med3d bench --view`: a cine of {cine.clicked} frames of {cine.rows} × {cine.columns} pixels. "
        "Clicks are timed from the request to the changed part of the mask, over HTTP on one computer. The network does its "
        f"work; in place of its mask comes a ball of {networks.RADIUS:.0%} of its cube's side, because a model finds next "
        "to nothing in speckle. Encoded crops and decoded clicks are counted over all runs of a row.",
        "",
        f"- machine: {os.cpu_count()} cores, {torch.get_num_threads()} threads; load average before the run {load:.2f}",
        "- memory: of the process `view` alone, after the picture was fetched and three clicks; 1 MB = 10⁶ bytes",
    ]
