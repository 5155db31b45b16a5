"""The image region is told from what a scanner draws around it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from uscl_med3d.data.fan import bounding_box, find_fan

SETTINGS = {"threshold": 6, "working_side": 256, "opening": 2, "min_share": 0.05, "min_motion": 0.3}
SHAPE = (240, 320)


def sector() -> np.ndarray:
    """A convex probe's fan: between two arcs, 30 degrees to either side."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    radius, angle = np.hypot(y + 30, x - 160), np.arctan2(x - 160, y + 30)
    return (radius > 50) & (radius < 250) & (np.abs(angle) < np.deg2rad(30))


def speckle(region: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Temporal maximum and minimum of moving speckle in a region."""
    rng = np.random.default_rng(seed)
    return np.where(region, rng.integers(60, 255, SHAPE), 0), np.where(region, rng.integers(0, 30, SHAPE), 0)


def write_text(image: np.ndarray, position: tuple[int, int], text: str) -> np.ndarray:
    canvas = Image.fromarray(image.astype(np.uint8))
    ImageDraw.Draw(canvas).text(position, text, fill=255)
    return np.array(canvas)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def test_sector_is_found() -> None:
    brightest, darkest = speckle(sector())
    assert overlap(find_fan(brightest, darkest, **SETTINGS), sector()) > 0.95


def test_text_rulers_and_bars_are_left_out() -> None:
    brightest, darkest = speckle(sector())
    for position, text in (
        ((4, 4), "NAME SURNAME 1970"),
        ((230, 220), "MI 0.9 TIS 0.4"),
        ((4, 200), "12 cm"),
    ):
        brightest, darkest = write_text(brightest, position, text), write_text(darkest, position, text)
    for image in (brightest, darkest):
        image[20:220:10, 312:318] = 200
        image[90:150, 4:10] = np.linspace(255, 0, 60)[:, None]
    found = find_fan(brightest, darkest, **SETTINGS)
    assert overlap(found, sector()) > 0.95
    assert not found[:20, :120].any()
    assert not found[:, 310:].any()


def test_a_thin_line_that_touches_the_image_is_cut_off() -> None:
    brightest, darkest = speckle(sector())
    for image in (brightest, darkest):
        image[120:122, 160:] = 255
    found = find_fan(brightest, darkest, **SETTINGS)
    assert overlap(found, sector()) > 0.95
    assert not found[:, 300:].any()


def test_a_menu_bar_below_the_image_does_not_move_so_it_is_no_image() -> None:
    brightest, darkest = speckle(sector())
    brightest[226:238, 40:280] = darkest[226:238, 40:280] = 120
    assert not find_fan(brightest, darkest, **SETTINGS)[228:].any()


def test_an_anechoic_organ_does_not_split_the_region() -> None:
    region = np.zeros(SHAPE, bool)
    region[10:230, 100:220] = True
    filled = region.copy()
    filled[60:120] = False
    assert overlap(find_fan(*speckle(filled), **SETTINGS), region) > 0.97


def test_a_still_clip_is_found_by_brightness_alone() -> None:
    brightest, _ = speckle(sector())
    assert overlap(find_fan(brightest, brightest, **SETTINGS), sector()) > 0.95


def test_a_region_that_fills_the_frame_keeps_its_border() -> None:
    assert find_fan(*speckle(np.ones(SHAPE, bool)), **SETTINGS).all()


def test_a_black_clip_is_kept_whole() -> None:
    black = np.zeros(SHAPE, np.uint8)
    assert find_fan(black, black, **SETTINGS).all()


@pytest.mark.parametrize("factor", [1, 3])
def test_the_region_does_not_depend_on_the_export_size(factor: int) -> None:
    brightest, darkest = (np.kron(image, np.ones((factor, factor))) for image in speckle(sector()))
    expected = np.kron(sector(), np.ones((factor, factor))).astype(bool)
    assert overlap(find_fan(brightest, darkest, **SETTINGS), expected) > 0.95


def test_bounding_box() -> None:
    mask = np.zeros((9, 9), bool)
    mask[2:5, 3:8] = True
    assert bounding_box(mask) == (2, 5, 3, 8)
