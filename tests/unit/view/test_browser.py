"""The page in a real browser: what is clicked, seen, taken back and saved. Drawn without a graphics card."""

from __future__ import annotations

import io
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from uscl_med3d.user.segmenter import Segmenter

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("no chromium (apt install chromium, or CHROMIUM=path)", allow_module_level=True)
FLAGS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, serve_page, make_desk):
    """Open the page of a desk; a message in the console, or a request elsewhere, fails the test."""
    pages, said = [], []

    def open(desk, query="", width=1100, height=760, touch=False):
        address, key = serve_page(desk)
        context = chromium.new_context(viewport={"width": width, "height": height}, has_touch=touch)
        context.set_default_timeout(180_000)  # a busy machine draws slowly
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text) if is_fault(message) else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "request",
            lambda request: (
                said.append(request.url) if not request.url.startswith((address, "data:", "blob:")) else None
            ),
        )
        page.goto(f"{address}/{query}#key={key}")
        page.wait_for_selector("body[data-ready]", timeout=180_000)
        page.key, page.address = key, address
        pages.append(context)
        return page

    yield open
    for context in pages:
        context.close()
    assert not said, said


def is_fault(message):
    """An error that is no answer to a prompt that was refused."""
    return message.type == "error" and "status of 400" not in message.text


def settle(page, desk, steps):
    """Wait until the server took so many steps, and the page has drawn them. The page's policy forbids evaluating code."""
    for _ in range(2400):
        if len(desk.session.steps) == steps:
            break
        page.wait_for_timeout(50)
    page.wait_for_selector("#busy", state="hidden")
    page.wait_for_timeout(200)


def where(page, desk, x, y):
    """The point of the window at which a pixel of the input is drawn: the image fills the stage in one direction."""
    _, rows, columns = desk.segmenter.source.frames.shape
    _, row_mm, column_mm = desk.picture.spacing_mm
    stage = page.locator("#stage").bounding_box()
    scale = min(stage["width"] / (columns * column_mm), stage["height"] / (rows * row_mm))
    left = stage["x"] + (stage["width"] - columns * column_mm * scale) / 2
    top = stage["y"] + (stage["height"] - rows * row_mm * scale) / 2
    return left + (x + 0.5) * column_mm * scale, top + (y + 0.5) * row_mm * scale


def colour_at(page, x, y):
    """Of one pixel of the window, as the user sees it."""
    image = Image.open(io.BytesIO(page.screenshot(clip={"x": x - 2, "y": y - 2, "width": 5, "height": 5})))
    return np.asarray(image.convert("RGB")).reshape(-1, 3).mean(0)


@pytest.mark.parametrize("query", ["", "?flat"])
def test_click_see_undo_save(query, open_page, make_desk, ball, tmp_path):
    desk = make_desk(ball)
    page = open_page(desk, query)
    point = where(page, desk, 30, 20)
    beside = where(page, desk, 34, 22)  # in the ball, not under the mark
    grey = colour_at(page, *beside)
    page.mouse.click(*point)
    settle(page, desk, 1)
    (step,) = desk.session.steps
    assert step.numbers == pytest.approx((30, 20, 12, 1), abs=1.01)
    orange = colour_at(page, *beside)
    assert orange[0] - orange[2] > 40 > abs(grey[0] - grey[2]), (grey, orange)
    page.mouse.click(*where(page, desk, 50, 40), button="right")
    settle(page, desk, 2)
    assert desk.session.steps[1].numbers[3] == 0
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    settle(page, desk, 0)
    assert not desk.session.steps
    np.testing.assert_allclose(colour_at(page, *beside), grey, atol=12)
    page.keyboard.press("Control+y")
    settle(page, desk, 1)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowLeft")
    assert page.locator("#frame").inner_text() == "frame 3 / 23"
    page.mouse.click(*where(page, desk, 60, 50))
    settle(page, desk, 2)
    assert desk.session.steps[1].numbers[2] == 3
    page.keyboard.press("Control+s")
    page.wait_for_selector("#said:has-text('Saved')")
    alone = Segmenter(ball.choice, ball.method)
    alone.encode(tmp_path / "clip.nii.gz")
    for step in desk.session.steps:
        alone.click(step.numbers[:3], int(step.numbers[3]), step.name)
    alone.save(tmp_path / "segment.nii.gz")
    assert (tmp_path / "mask.nii.gz").read_bytes() == (tmp_path / "segment.nii.gz").read_bytes()


def test_objects_boxes_layouts_and_a_key_frame(open_page, make_desk, ball, tmp_path):
    desk = make_desk(ball)
    page = open_page(desk)
    page.keyboard.press("b")
    one, other = where(page, desk, 24, 20), where(page, desk, 36, 32)
    page.mouse.move(*one)
    page.mouse.down()
    page.mouse.move(*other, steps=4)
    page.mouse.up()
    settle(page, desk, 1)
    (box,) = desk.session.steps
    assert box.kind == "box" and box.numbers == pytest.approx((24, 20, 12, 36, 32, 12), abs=1.01)
    page.fill("#name", "a cyst")  # not the next class, which an object without a name would get
    page.keyboard.press("Enter")
    settle(page, desk, 1)
    assert [look.name for look in desk.looks] == ["liver", "a cyst"]
    page.locator("#objects .remove").last.click()
    settle(page, desk, 1)
    page.fill("#name", "kidney")
    page.keyboard.press("Enter")
    settle(page, desk, 1)
    page.locator("#shield").focus()
    page.keyboard.press("p")
    page.mouse.click(*where(page, desk, 55, 45))
    settle(page, desk, 2)
    assert [step.name for step in desk.session.steps] == ["liver", "kidney"]
    page.keyboard.press("k")
    page.wait_for_selector("#said:has-text('Saved')")
    assert (tmp_path / "clip_key_frames/frame_0012.png").is_file()
    for layout in ("planes", "3d", "frame"):
        page.keyboard.press("v")
        assert page.locator(f'[data-layout="{layout}"]').get_attribute("aria-pressed") == "true"
    page.mouse.click(*where(page, desk, 2, 2))  # the black border
    page.wait_for_selector("#said.bad")
    assert "image region" in page.locator("#said").inner_text() and len(desk.session.steps) == 2


def test_on_a_phone_everything_is_reached_by_touch(open_page, make_desk, ball):
    desk = make_desk(ball)
    page = open_page(desk, width=390, height=780, touch=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.touchscreen.tap(*where(page, desk, 40, 30))
    settle(page, desk, 1)
    page.locator('[data-tool="minus"]').tap()
    page.touchscreen.tap(*where(page, desk, 50, 40))
    settle(page, desk, 2)
    assert [step.numbers[3] for step in desk.session.steps] == [1, 0]
    for button in ("#undo", "#save", "#key-frame", "#help", "#add button"):
        page.locator(button).scroll_into_view_if_needed()
        box = page.locator(button).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["height"] >= 32, (button, box)


def test_a_reload_goes_on_and_another_page_gets_nothing(open_page, make_desk, ball, chromium, serve_page):
    desk = make_desk(ball)
    page = open_page(desk, "?flat")
    assert "key" not in page.url
    page.mouse.click(*where(page, desk, 40, 30))
    settle(page, desk, 1)
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.locator("#undo").is_enabled()
    address, _ = serve_page(make_desk(Segmenter(ball.choice, ball.method)))
    other = chromium.new_page()
    other.set_default_timeout(180_000)
    other.goto(f"{address}/style.css")
    heard = other.evaluate(
        """async ([address, key]) => {
            try {
                const headers = { authorization: 'Bearer ' + key }
                return (await fetch(address + '/api/undo', { method: 'POST', headers })).status
            } catch (error) { return 'refused' }
        }""",
        [page.address, page.key],
    )
    simple = other.evaluate(
        "address => fetch(address + '/api/undo', { method: 'POST', mode: 'no-cors' }).then(() => 'sent', () => 'refused')",
        page.address,
    )
    other.close()
    assert heard == "refused" and simple in ("sent", "refused") and len(desk.session.steps) == 1
