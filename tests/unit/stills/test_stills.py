"""The comparison on single images: folds, scores, intervals, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_stills import make_base, make_stills, tiny_job

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.images2d import open_set
from uscl_med3d.methods.stills.base import StretchFrame
from uscl_med3d.stills import fold as folding
from uscl_med3d.stills import score as scoring
from uscl_med3d.stills.fold import COLUMNS, divide, run_all, run_fold
from uscl_med3d.stills.resample import Estimate, interval, macro_mean
from uscl_med3d.stills.score import compare, find_other, fit
from uscl_med3d.stills.table import build_table
from uscl_med3d.stills.task import draw_click
from uscl_med3d.train import engine


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_stills(tmp_path_factory.mktemp("set") / "stills", 8)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return make_base(tmp_path_factory.mktemp("base") / "sam.safetensors")


def test_every_image_is_scored_once_by_every_method(folder, base, tmp_path):
    methods = ["unet", "disc", "sam", "samus"]
    job = tiny_job()
    job = job.model_copy(
        update={
            "stills": job.stills.model_copy(update={"methods": {n: job.stills.methods[n] for n in methods}})
        }
    )
    files = []
    for name in methods:
        for index in range(2):
            files.append(tmp_path / f"{name}-{index}.csv")
            run_fold(job, name, index, folder, base, files[-1], tmp_path / "curves" / f"{name}-{index}.csv")
    build_table(job, files, tmp_path / "table.csv", tmp_path / "all.csv")
    scores, table = (
        pd.read_csv(tmp_path / "all.csv", dtype={"image": str}),
        pd.read_csv(tmp_path / "table.csv"),
    )
    assert list(scores) == COLUMNS
    assert set(scores["image"]) == {item.name for item in open_set(job.stills.layout, folder).items}
    for name in methods:
        own = scores[scores["method"] == name]
        assert own.groupby(["image", "class", "points"]).size().eq(1).all() and own["image"].nunique() == 8
        assert set(own["points"]) == ({0} if name == "unet" else {1, 3})
    assert list(table)[:6] == ["method", "class", "points", "dice", "ci_low", "ci_high"]
    assert (table["ci_low"] <= table["dice"]).all() and (table["dice"] <= table["ci_high"]).all()
    assert set(table["class"]) == {"nerve", "vessel", "all"} and len(table) == 3 * (1 + 2 + 2 + 2)
    label = {name: job.stills.methods[name].label for name in methods}
    disc = table[table["method"] == label["disc"]]
    assert (disc["own_minus_other"] == 0).all() and (disc["dice"] == disc["dice_other"]).all()
    sighted = table[table["method"] == label["unet"]]
    assert (sighted["dice"] != sighted["dice_other"]).any()
    assert (table["own_low"] <= table["own_minus_other"]).all()
    curve = pd.read_csv(tmp_path / "curves" / "unet-0.csv")
    assert curve["step"].tolist() == [2, 3] and np.isfinite(curve["loss"]).all()
    assert not list(tmp_path.glob("*.resume"))


def test_weights_of_all_images_segment_a_picture(folder, base, tmp_path, monkeypatch, capsys):
    from uscl_med3d import cli

    place = tmp_path / "results/usgra/checkpoints/stills/samus.safetensors"
    run_all(tiny_job(), "samus", folder, base, place, tmp_path / "curve.csv")
    monkeypatch.chdir(tmp_path)
    picture = str(next((folder / "images").glob("*.png")))
    code = cli.main(
        ["segment", picture, "--model", "samus", "--point", "20,20", "-o", "m.npy", "--allow-empty"]
    )
    assert code == 0, capsys.readouterr().err
    assert np.load("m.npy").shape == (1, 52, 60)
    assert "8 images of usgra" in place.with_suffix(".json").read_text()


def test_an_interrupted_training_goes_on_with_the_same_result(folder, base, tmp_path, monkeypatch):
    job = tiny_job()
    run_fold(job, "msa", 0, folder, base, tmp_path / "whole.csv", tmp_path / "whole_curve.csv")
    steps = engine._Training._step

    def stop(self, step):
        if step == 2:
            raise KeyboardInterrupt
        steps(self, step)

    monkeypatch.setattr(engine._Training, "_step", stop)
    with pytest.raises(KeyboardInterrupt):
        run_fold(job, "msa", 0, folder, base, tmp_path / "part.csv", tmp_path / "part_curve.csv")
    assert not (tmp_path / "part.csv").exists() and (tmp_path / "part.csv.resume").exists()
    monkeypatch.undo()
    run_fold(job, "msa", 0, folder, base, tmp_path / "part.csv", tmp_path / "part_curve.csv")
    assert (tmp_path / "part.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_no_image_of_a_fold_is_trained_on(folder, base, tmp_path, monkeypatch):
    seen = []
    task = folding.StillTask

    def spy(method, pictures, *rest):
        seen.extend(pictures)
        return task(method, pictures, *rest)

    monkeypatch.setattr(folding, "StillTask", spy)
    job = tiny_job()
    run_fold(job, "unet", 0, folder, base, tmp_path / "s.csv", tmp_path / "c.csv")
    inside, outside = divide(open_set("usgra", folder), 2, 0, job.seed, folder)
    assert len(seen) == len(outside) and len(inside) + len(outside) == 8
    assert set(pd.read_csv(tmp_path / "s.csv", dtype={"image": str})["image"]) == {
        item.name for item in inside
    }
    assert not {item.group for item in inside} & {item.group for item in outside}


def test_first_clicks_are_the_same_for_all_methods(folder, base, tmp_path, monkeypatch):
    clicks: dict[str, list] = {}
    for name in ("disc", "medsam"):
        found: list = []
        original = scoring.draw_first_click

        def draw(truth, random, found=found, original=original):
            found.append(original(truth, random))
            return found[-1]

        monkeypatch.setattr(scoring, "draw_first_click", draw)
        run_fold(tiny_job(), name, 0, folder, base, tmp_path / f"{name}.csv", tmp_path / "c.csv")
        monkeypatch.undo()
        clicks[name] = found
    assert clicks["disc"] == clicks["medsam"] and len(clicks["disc"]) > 4


def test_scores_of_a_perfect_an_empty_and_a_shifted_mask():
    truth = np.zeros((20, 20), bool)
    truth[5:10, 5:10] = True
    perfect, empty = compare(truth, truth, 1, None), compare(np.zeros_like(truth), truth, 1, truth)
    assert perfect.dice == 100 and perfect.hd95_px == 0
    assert np.isnan(perfect.dice_other) and empty.dice_other == 100
    assert empty.dice == 0 and np.isnan(empty.hd95_px)
    shifted = compare(np.roll(truth, 3, 1), truth, 1, None)
    assert shifted.dice == pytest.approx(40) and 2 < shifted.hd95_px <= 3


def test_the_other_image_is_of_another_group(folder):
    items = list(open_set("usgra", folder).items)
    other = [find_other(item, items) for item in items]
    assert all(one is not None and one.group != item.group for one, item in zip(other, items, strict=True))
    assert find_other(items[0], items[:1]) is None
    assert fit(np.zeros((4, 6), np.uint8), (5, 3)).shape == (5, 3)


def test_an_interval_is_wider_when_images_of_a_group_agree():
    rng = np.random.default_rng(0)
    dice = np.repeat(rng.uniform(20, 90, 12), 4)
    rows = pd.DataFrame({"class": "nerve", "dice": dice, "image": range(48), "group": range(48)})
    grouped = rows.assign(group=np.repeat(range(12), 4))
    narrow, wide = (interval(part, 400, 0.95, 1) for part in (rows, grouped))
    assert wide[1] - wide[0] > 1.5 * (narrow[1] - narrow[0])
    assert narrow[0] < macro_mean(rows) < narrow[1]


def test_an_interval_leaves_out_half_of_the_rest_on_each_side():
    assert Estimate(500.0, np.arange(1001.0), ("g",)).interval(0.9) == pytest.approx((50.0, 950.0))


def test_scores_that_do_not_belong_together_are_refused(tmp_path):
    job = tiny_job()
    rows = pd.DataFrame(
        [(name, 0, "a", "g", "nerve", 1, 50.0, 2.0, 9.0) for name in job.stills.methods], columns=COLUMNS
    )
    rows[1:].to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(InputError, match="no scores of"):
        build_table(job, [tmp_path / "s.csv"], tmp_path / "t.csv", tmp_path / "a.csv")
    pd.concat([rows, rows[:1]]).to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(InputError, match="1 scores twice"):
        build_table(job, [tmp_path / "s.csv"], tmp_path / "t.csv", tmp_path / "a.csv")
    rows.loc[0, "image"] = "b"
    rows.to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(InputError, match="other images"):
        build_table(job, [tmp_path / "s.csv"], tmp_path / "t.csv", tmp_path / "a.csv")
    assert not (tmp_path / "t.csv").exists()


def test_fewer_groups_than_folds_are_refused(folder):
    with pytest.raises(InputError, match="at least 50"):
        divide(open_set("usgra", folder), 50, 0, 1, folder)


def test_a_missing_folder_is_refused(base, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        run_fold(tiny_job(), "unet", 0, tmp_path / "nowhere", base, tmp_path / "s.csv", tmp_path / "c.csv")
    assert not (tmp_path / "s.csv").exists()


def test_a_training_click_lies_on_the_chosen_structure():
    labels = np.zeros((10, 12), int)
    labels[3:5, 7:9] = 2
    label, (row, column), sign = draw_click(labels, 2, np.random.default_rng(0))
    assert (label, sign) == (2, 1) and labels[row, column] == 2
    label, (row, column), sign = draw_click(np.zeros((10, 12), int), 2, np.random.default_rng(0))
    assert (label, sign) == (1, 0)


def test_a_stretched_frame_maps_clicks_and_masks_to_the_same_place():
    frame = StretchFrame((52, 60), 32, 32)
    image = torch.zeros(1, 3, 52, 60)
    image[..., 40:44, 50:54] = 255
    place = frame.place_images(image)[0, 0]
    x, y = frame.place_points(torch.tensor([[41.5, 51.5]]))[0]
    row, column = np.unravel_index(int(place.argmax()), place.shape)
    assert abs(float(y) - row) < 1.5 and abs(float(x) - column) < 1.5
    back = frame.restore_masks(place[None, None])[0, 0]
    row, column = np.unravel_index(int(back.argmax()), back.shape)
    assert abs(row - 41.5) < 2.5 and abs(column - 51.5) < 2.5
