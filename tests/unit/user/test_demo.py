"""The demo: clicks where the mistakes are, and a page that shows what was computed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from uscl_med3d.core.params.simulate import SimulateCohort
from uscl_med3d.user.defaults import read_params
from uscl_med3d.user.demo import dice, next_click


def _box(*corners: tuple[int, int]) -> np.ndarray:
    mask = np.zeros((9, 20, 30), bool)
    mask[tuple(slice(*corner) for corner in corners)] = True
    return mask


def test_clicks_go_to_the_middle_of_the_largest_mistake() -> None:
    truth = _box((2, 7), (5, 10), (10, 15))
    assert next_click(truth, np.zeros_like(truth)) == (12, 7, 4, 1)
    missing = truth & ~_box((2, 7), (5, 10), (10, 13))
    assert next_click(truth, truth & ~missing)[3] == 1
    too_much = truth | _box((0, 9), (11, 20), (15, 26))
    column, row, frame, label = next_click(truth, too_much)
    assert label == 0 and too_much[frame, row, column] and not truth[frame, row, column]
    assert next_click(truth, truth) == (12, 7, 4, 1)


def test_dice_of_known_masks() -> None:
    truth = _box((0, 2), (0, 2), (0, 2))
    assert dice(truth, truth) == 100.0
    assert dice(truth, _box((0, 1), (0, 2), (0, 2))) == pytest.approx(100 * 2 * 4 / 12)
    assert dice(truth, _box((3, 4), (0, 2), (0, 2))) == 0.0


def test_its_cohort_is_found_outside_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    values = read_params(Path("params/simulate.yaml"), Path("params.yaml"))
    assert (
        SimulateCohort.model_validate(values["simulate"]["cohort"]) and values["seed"] and values["classes"]
    )
    (tmp_path / "params").mkdir()
    (tmp_path / "params/simulate.yaml").write_text("simulate: {cohort: mine}")
    assert read_params(Path("params/simulate.yaml"))["simulate"] == {"cohort": "mine"}


def test_page_shows_the_scores_that_were_printed(here: Path, run, tmp_path: Path) -> None:
    values = yaml.safe_load((Path(__file__).parents[3] / "params.yaml").read_text())
    values["simulate"] = {"cohort": {"acquisition": {"frames": [16, 16], "frame_step_mm": [6.0, 6.0]}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    done = run("demo", "--out", tmp_path / "out", "--no-open", "--params-file", tmp_path / "params.yaml")
    assert done.code == 0, done.err
    page = (tmp_path / "out/demo.html").read_text()
    printed = re.findall(r"Dice after each click: (.*)", done.out)
    assert len(printed) >= 2
    for line in printed:
        cells = "".join(f'<td class="number">{value}</td>' for value in line.split(", "))
        assert cells in page  # what is shown is what was computed
    command = re.search(r"By hand: uscl-med3d (.*) -o", done.out).group(1).split()
    by_hand = run(*command, "-o", tmp_path / "by_hand.nii.gz")
    assert by_hand.code in (0, 3), (
        by_hand.err
    )  # 3: an empty mask, which a model that has learned nothing may give
    assert "simulated" in page and "http" not in page.replace('lang="en"', "")
    with Image.open(tmp_path / "out/sweep.gif") as film:
        assert film.n_frames == 16
    again = run("demo", "--out", tmp_path / "out", "--no-open", "--params-file", tmp_path / "params.yaml")
    assert re.findall(r"Dice.*", again.out) == re.findall(r"Dice.*", done.out)
    assert (tmp_path / "out/demo.html").read_text() == page
