"""Pictures of the demo: the same bytes, small enough, and they show the click and the mask."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uscl_med3d.user.demo import Demo, Scored
from uscl_med3d.user.demo_pictures import MOST_BYTES, make_film, write_pictures

ROOT = Path(__file__).parents[3]
FRAMES = 32


def draw(mask: bool = True) -> Demo:
    """Speckle with a box that is found (or not), clicked in frame 10."""
    frames = np.random.default_rng(0).integers(0, 255, (FRAMES, 90, 120)).astype(np.uint8)
    truth = np.zeros(frames.shape, np.uint8)
    truth[4:20, 30:60, 40:80] = 3
    found = truth if mask else np.zeros_like(truth)
    score = Scored("liver", 3, [(60, 45, 10, 1)], [100.0])
    return Demo(Path("demo.mp4"), frames, found, truth, [score], "model")


def read(film: bytes) -> list[np.ndarray]:
    with Image.open(io.BytesIO(film)) as opened:
        frames = []
        for number in range(opened.n_frames):
            opened.seek(number)
            frames.append(np.asarray(opened.convert("RGB")).astype(int))
    return frames


def greenish(frame: np.ndarray) -> int:
    """Pixels with a colour: speckle is grey."""
    return int((frame.max(-1) - frame.min(-1) > 40).sum())


def test_the_same_demo_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = (write_pictures(tmp_path / name, draw()) for name in ("a", "b"))
    assert [file.name for file in one] == ["demo_click.png", "demo_sweep.gif"]
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in other]


def test_the_film_shows_frame_click_mask_and_sweep() -> None:
    frames = read(make_film(draw(), 10_000_000))
    plain, clicked, masked = (greenish(each) for each in frames[:3])
    assert plain == 0 < clicked < 0.1 * masked
    assert len(frames) == 3 + FRAMES
    assert greenish(frames[3]) == 0 < greenish(frames[3 + 12])  # the sweep: outside the object, and in it
    unmasked = read(make_film(draw(mask=False), 10_000_000))
    assert greenish(unmasked[2]) < 0.1 * masked  # without a mask there is no colour beside the click


def test_a_film_too_large_leaves_frames_out() -> None:
    whole = make_film(draw(), 10_000_000)
    fewer = make_film(draw(), len(whole) - 1)
    assert len(fewer) < len(whole) and len(read(fewer)) == 3 + FRAMES // 2
    with pytest.raises(ValueError, match="do not fit"):
        make_film(draw(), 1000)


def test_readme_shows_them_and_a_phone_loads_them() -> None:
    page = (ROOT / "README.md").read_text()
    for name in ("demo_click.png", "demo_sweep.gif"):
        file = ROOT / "docs/images" / name
        assert f"(docs/images/{name})" in page and file.stat().st_size <= MOST_BYTES
    frames = read((ROOT / "docs/images/demo_sweep.gif").read_bytes())
    assert len(frames) > 15 and greenish(frames[0]) == 0 < greenish(frames[1]) < greenish(frames[2])
    assert len(page.splitlines()) <= 130
