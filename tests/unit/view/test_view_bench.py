"""The benchmark runs as a whole on a small cine, and refuses to time a viewer that does nothing."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from uscl_med3d.nets.sam_med3d import SamMed3DConfig
from uscl_med3d.view.bench import networks, run
from uscl_med3d.view.bench.cine import Cine, write_cine
from uscl_med3d.view.bench.rows import Row, describe
from uscl_med3d.view.bench.steps import Asked, make_desk, time_clicks
from uscl_med3d.view.session import Session

CINE = Cine(rows=96, columns=128, clicked=16, opened=24)
ROOT = Path(__file__).parents[3]
NOTHING = Asked(None, None)


def small():
    config = SamMed3DConfig(
        image_size=16,
        patch_size=8,
        embed_dim=24,
        depth=1,
        num_heads=2,
        global_blocks=[0],
        window_size=14,
        mlp_ratio=2.0,
        prompt_dim=48,
        mask_channels=16,
        decoder_mlp_dim=16,
        decoder_heads=4,
        decoder_depth=2,
        iou_head_depth=2,
        iou_head_dim=8,
        num_multimask_outputs=3,
        relative_position="upstream",
    )
    return networks.fresh(config, ROOT / "params.yaml")


@pytest.fixture(autouse=True)
def same_threads():
    """The benchmark takes all cores."""
    count = torch.get_num_threads()
    yield
    torch.set_num_threads(count)


@pytest.fixture
def clip(tmp_path):
    write_cine(tmp_path / "clip.dcm", CINE, CINE.clicked)
    return tmp_path / "clip.dcm"


def test_all_of_it_into_two_files(tmp_path):
    page = run.report(tmp_path, CINE, {"small": small}, repeats=2, browser=False)
    with open(tmp_path / "view.csv", newline="") as stream:
        rows = {row["step"]: row for row in csv.DictReader(stream)}
    first, further, undo = (rows[name] for name in ("first click of an object", "further click", "undo"))
    assert all(float(row["median"]) > 0 and float(row["cpu_s_median"]) > 0 for row in (first, further, undo))
    # One decoding a click and none to take it back: what is timed did its work, and no more.
    assert [row["decoded"] for row in (first, further, undo)] == ["2", "4", "0"]
    assert (further["encoded"], undo["encoded"]) == ("0", "0")
    idle, most = (float(rows[name]["median"]) for name in ("memory when idle", "largest memory until then"))
    assert 50 < idle <= most and rows["memory when idle"]["asked"] == "1000"
    assert "open a cine of 0 MB" in rows and "cores" in page.read_text()


def test_a_click_that_shows_nothing_is_not_timed(clip):
    segmenter = small()
    segmenter.method.click = lambda state, points, labels: torch.full((1, 1, 16, 16, 16), -1.0)
    with pytest.raises(RuntimeError, match="changed nothing"):
        time_clicks("blind", segmenter, clip, CINE, 2, NOTHING)


def test_an_undo_that_does_nothing_is_found(clip, monkeypatch):
    real, calls = Session.undo, []

    def undo(self):
        calls.append(self)
        return real(self) if len(calls) == 1 else False  # the warm-up's only

    monkeypatch.setattr(Session, "undo", undo)
    with pytest.raises(RuntimeError, match="undo"):
        time_clicks("stuck", small(), clip, CINE, 2, NOTHING)


def test_the_page_names_what_was_missed():
    """By the clock and by the processor's own count, which differ on a busy machine."""
    busy = Row("m", "a", "s", [0.2, 0.5, 0.4], [0.1], 0.3)
    slow = Row("m", "b", "s", [0.5], [0.4], 0.3)
    quick = Row("m", "c", "s", [0.2], [0.1], 0.3)

    def verdicts(*rows):
        return describe(rows, []).splitlines()[-2:]

    assert [line.split(": ")[1] for line in verdicts(busy, quick)] == ["missed by m, a.", "reached."]
    assert [line.split(": ")[1] for line in verdicts(busy, slow)] == [
        "missed by m, a; m, b.",
        "missed by m, b.",
    ]
    assert [line.split(": ")[1] for line in verdicts(quick)] == ["reached.", "reached."]


def test_the_network_works_behind_its_ball(clip):
    """The ball takes the place of a mask that was computed: the decoder's state holds it."""
    desk = make_desk(small(), clip)
    x, y, z = CINE.places(1)[0]
    desk.session.click((x, y, z), 1, "object")
    assert desk.session.change() is not None
    assert desk.session.quality("object") not in (None, 0.0)
