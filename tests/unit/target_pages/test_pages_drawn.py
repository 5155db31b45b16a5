"""The pages in a real browser: nothing is wider than the screen, and nothing is asked of the network."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("no chromium (apt install chromium, or CHROMIUM=path)", allow_module_level=True)
LONGEST_PX = 16_000
"""Height on a wide screen, with long tables closed."""


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("name", ["ssl", "samus", "usgra"])
def test_page_fits_wide_and_narrow_screens(chromium, copy, name):
    copy(name).page()
    for width in (1400, 390):
        page = chromium.new_page(viewport={"width": width, "height": 900})
        asked = []
        page.on("request", lambda request: asked.append(request.url))  # noqa: B023
        page.goto(Path("made.html").resolve().as_uri())
        size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        assert size[0] <= width and (width < 1000 or size[1] < LONGEST_PX)
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        page.evaluate("window.scrollTo(0, 2000)")
        assert page.locator(".summary").bounding_box()["y"] < 200  # still in sight
        page.close()
