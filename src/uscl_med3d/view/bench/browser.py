"""Clicks in the page itself, in Chromium without a graphics card: from the click to the call that draws."""

from __future__ import annotations

import shutil
from pathlib import Path

from uscl_med3d.user.segmenter import Segmenter
from uscl_med3d.view.bench.rows import Row
from uscl_med3d.view.bench.steps import make_desk, serving

FLAGS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]


def time_browser(model: str, segmenter: Segmenter, file: Path) -> list[Row]:
    """As the page measures and shows them itself; empty where Chromium or playwright is not installed."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        program = None
    if program is None:
        print("no Chromium or no playwright: the browser is left out")
        return []
    seconds = []
    with serving(make_desk(segmenter, file)) as (address, key), sync_playwright() as tool:
        chromium = tool.chromium.launch(executable_path=program, args=FLAGS)
        page = chromium.new_page(viewport={"width": 1100, "height": 760})
        page.set_default_timeout(240_000)
        page.goto(f"{address}/#key={key}")
        page.wait_for_selector("body[data-ready]")
        stage = page.locator("#stage").bounding_box()
        assert stage is not None  # it is always drawn
        for part in (0.5, 0.52, 0.48, 0.51, 0.49):
            page.mouse.click(stage["x"] + stage["width"] * part, stage["y"] + stage["height"] * (part + 0.05))
            page.wait_for_selector("#busy", state="visible")
            page.wait_for_selector("#busy", state="hidden")
            seconds.append(float(page.locator("#said").inner_text().split()[0]) / 1000)
        chromium.close()
    label = "in Chromium, drawn by the processor"
    return [
        Row(model, f"first click {label}", "s", seconds[:1], [], None),
        Row(model, f"further click {label}", "s", seconds[1:], [], None),
    ]
