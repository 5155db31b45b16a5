"""Scores: schema, determinism, the common first click, references, and what has none."""

from __future__ import annotations

from types import SimpleNamespace

import nibabel
import numpy as np
import pandas as pd
import pytest
from tiny_cohort import write_sweep

from uscl_med3d.core.io import load_volume, sha256
from uscl_med3d.core.scores import read_score_file
from uscl_med3d.evaluate import score as module
from uscl_med3d.evaluate.cases import FrameMasks, Item, Sources, choose_distance, list_sweep_items
from uscl_med3d.evaluate.protocol import Prediction, Setting
from uscl_med3d.evaluate.rows import score_prediction
from uscl_med3d.methods.base import Weights
from uscl_med3d.predict.crops import Region


def run_evaluation(job, cohort, folder, name="scores"):
    module.evaluate(
        job,
        Sources(cohort.volumes, cohort.splits, cohort.pseudolabels, cohort.general),
        Weights(cohort.base),
        scores_file=folder / f"{name}.parquet",
        image_use_file=folder / f"{name}.image_use.parquet",
        predictions_dir=folder / name,
    )
    return read_score_file(folder / f"{name}.parquet")


@pytest.fixture(scope="module")
def scored(cohort, make_job, tmp_path_factory):
    """The base model, scored at all clicks with surface metrics at the last."""
    folder = tmp_path_factory.mktemp("scored")
    job = make_job("evaluate", "sam_med3d", evaluate__surface_at=[3], evaluate__click_seeds=[0, 1])
    return folder, run_evaluation(job, cohort, folder)


def test_schema_and_completeness(scored):
    _, scores = scored
    assert tuple(scores) == module.COLUMNS
    given = scores.dropna(subset=["dice"])
    assert given["dice"].between(0, 100).all()
    assert scores["dice"].notna().ne(scores["reason"].notna()).all()
    keys = ["dataset", "case", "class", "reference", "click_seed"]
    assert (scores.groupby(keys, dropna=False)["click"].agg(list).map(sorted).map(tuple) == (1, 2, 3)).all()
    assert set(scores["dataset"]) == {"us", "amos", "totalsegmentator", "brats"}


def test_references(scored):
    _, scores = scored
    us = scores[scores["dataset"] == "us"]
    by_case = us.groupby("case")["reference"].agg(lambda values: set(values.dropna()))
    assert by_case["s_e1"] == {"true_mask", "held_out_key_frames"}
    assert by_case["s_e2"] == {"held_out_key_frames"}
    assert by_case["s_e3"] == set()
    unscored = us[us["case"] == "s_e3"]
    assert unscored["dice"].isna().all() and set(unscored["reason"]) == {"not scored: no reference standard"}
    assert set(scores.loc[scores["dataset"] != "us", "reference"]) == {"label"}


def test_surface_metrics_only_where_asked_and_in_stated_units(scored):
    _, scores = scored
    volumes = scores[scores["reference"].isin(["true_mask", "label"])]
    assert volumes.loc[volumes["click"] == 3, "nsd"].notna().all()
    assert volumes.loc[volumes["click"] != 3, ["nsd", "hd95"]].isna().all(axis=None)
    assert scores.loc[scores["reference"] == "held_out_key_frames", "nsd"].isna().all()
    last = volumes[volumes["click"] == 3]
    assert set(last.loc[last["case"] == "s_e1", "distance_unit"]) == {"voxel"}
    assert set(last.loc[last["dataset"] != "us", "distance_unit"]) == {"mm"}


def test_masks_are_on_the_volumes_grid_and_agree_with_the_scores(scored, cohort):
    folder, scores = scored
    masks = sorted((folder / "scores").glob("*.nii.gz"))
    assert [path.name for path in masks] == ["s_e1_liver.nii.gz", "s_e1_spleen.nii.gz", "s_e2_kidney.nii.gz"]
    truth, _ = load_volume(cohort.volumes / "s_e1" / "reference.nii.gz")
    mask, spacing = load_volume(masks[0])
    assert mask.shape == truth.shape and spacing == (1.0, 1.0, 1.0)
    dice = 200 * (mask.astype(bool) & (truth == 3)).sum() / (mask.sum() + (truth == 3).sum())
    chosen = scores[
        (scores["case"] == "s_e1")
        & (scores["class"] == "liver")
        & (scores["reference"] == "true_mask")
        & (scores["click"] == 3)
        & (scores["click_seed"] == 0)
    ]
    assert chosen["dice"].item() == pytest.approx(dice, rel=1e-5)
    assert nibabel.load(masks[0]).shape == truth.T.shape


def test_first_clicks_are_the_same_for_all_methods_and_lie_in_the_target(cohort, make_job, tmp_path):
    firsts = []
    for run in ("sam_med3d", "adaptformer"):
        job = make_job(
            "evaluate", run, methods__adaptformer__datasets=["us"], methods__sam_med3d__datasets=["us"]
        )
        scores = run_evaluation(job, cohort, tmp_path, run)
        firsts.append(
            scores.loc[
                scores["click"] == 1, ["case", "class", "click_d", "click_h", "click_w", "click_label"]
            ]
        )
    pd.testing.assert_frame_equal(*firsts)
    truth, _ = load_volume(cohort.volumes / "s_e1" / "reference.nii.gz")
    row = firsts[0][(firsts[0]["case"] == "s_e1") & (firsts[0]["class"] == "liver")].iloc[0]
    assert truth[int(row["click_d"]), int(row["click_h"]), int(row["click_w"])] == 3


@pytest.mark.parametrize("crop", ["first_click", "oracle", "sliding"])
def test_scores_depend_on_nothing_but_the_job(crop, cohort, make_job, tmp_path):
    job = make_job("evaluate", "sam_med3d", evaluate__crops=[crop], methods__sam_med3d__datasets=["us"])
    run_evaluation(job, cohort, tmp_path, "a")
    run_evaluation(job, cohort, tmp_path, "b")
    assert sha256(tmp_path / "a.parquet") == sha256(tmp_path / "b.parquet")
    changed = make_job(
        "evaluate",
        "sam_med3d",
        evaluate__crops=[crop],
        methods__sam_med3d__datasets=["us"],
        evaluate__batch_size=1,
    )
    alone = run_evaluation(changed, cohort, tmp_path, "c")
    together = read_score_file(tmp_path / "a.parquet")
    columns = ["case", "class", "click", "click_d", "click_h", "click_w"]
    pd.testing.assert_frame_equal(alone[columns], together[columns])
    np.testing.assert_allclose(alone["dice"], together["dice"], atol=0.5)


def test_clicks_stop_when_nothing_is_wrong(cohort, make_job, tmp_path, monkeypatch):
    from uscl_med3d.evaluate import protocol

    def predictor(method, items, first, setting, evaluate, size):
        return lambda clicks: [Region((0, 0, 0), item.truth.copy()) for item in items]

    monkeypatch.setattr(protocol, "_make_predictor", predictor)
    scores = run_evaluation(
        make_job("evaluate", "sam_med3d", methods__sam_med3d__datasets=["us"]), cohort, tmp_path
    )
    full = scores[scores["reference"] == "true_mask"]
    assert (full["dice"] == 100).all()
    assert full.loc[full["click"] == 1, "click_label"].eq(1).all()
    assert full.loc[full["click"] > 1, ["click_d", "click_label"]].isna().all(axis=None)


def test_held_out_frames_are_scored_alone(make_job):
    truth = np.zeros((6, 8, 8), bool)
    truth[:, 2:6, 2:6] = True
    frames = np.array([1, 4])
    item = Item(
        "us",
        "test",
        "p",
        "s",
        "liver",
        np.ones((6, 8, 8), np.uint8),
        truth,
        None,
        "true_mask",
        FrameMasks(frames, truth[frames]),
        choose_distance((None, 1.0, 1.0), "voxel"),
    )
    mask = np.zeros((4, 8, 8), bool)
    mask[1] = truth[2]  # frame 2 of the volume: right, but not held out
    mask[0, 2:6, 2:4] = True  # frame 1: half of the object; frame 4 gets nothing
    prediction = Prediction(item, 1, (1, 3, 3, 1), Region((1, 0, 0), mask), 1)
    job = make_job("evaluate", "sam_med3d")
    rows = score_prediction(job, prediction, Setting("first_click", "random_error", 0))
    assert [row["reference"] for row in rows] == ["true_mask", "held_out_key_frames"]
    assert rows[0]["dice"] == pytest.approx(200 * 24 / (24 + 96))
    assert rows[1]["dice"] == pytest.approx(200 * 8 / (8 + 32))


def test_distance_never_invents_millimetres():
    assert choose_distance((2.0, 1.0, 1.5), "voxel").unit == "mm"
    assert choose_distance((None, 1.0, 1.5), "voxel").unit == "voxel"
    assert choose_distance((None, 1.0, 1.5), "mm_in_plane").unit == "mm_in_plane"
    assert choose_distance((None, None, None), "mm_in_plane").unit == "voxel"


def test_unannotated_voxels_are_unknown(cohort, make_job):
    job = make_job("evaluate", "sam_med3d")
    items = list(list_sweep_items(cohort.volumes, cohort.splits, None, ["test"], job.classes, 1, "voxel"))
    item = next(entry for entry in items if entry.case == "s_e2")
    assert item.known is not None and sorted(np.flatnonzero(item.known.any((1, 2)))) == [4, 9, 14]
    assert not (item.truth & ~item.known).any()


def test_the_worst_test_case_of_every_class_is_kept(scored):
    folder, scores = scored
    kept = {path.name for path in (folder / "scores/worst").glob("*.nii.gz")}
    first = scores[scores["click_seed"] == 0]
    last = first[(first["dataset"] == "us") & (first["split"] == "test") & (first["click"] == 3)]
    wanted = set()
    for name, rows in last[last["dice"].notna()].groupby("class"):
        # A volume reference comes before key frames, as in the score file's first row of a case.
        rows = rows.sort_values("reference", ascending=False).drop_duplicates("case")
        wanted.add(f"{rows.loc[rows['dice'].idxmin(), 'case']}_{name}.nii.gz")
    assert kept == wanted and kept


def test_cases_never_share_a_batch():
    items = [
        SimpleNamespace(dataset="us", case=case, name=name)
        for case, name in zip("aabbbc", "xyxyzx", strict=True)
    ]
    made = [[(item.case, item.name) for item in batch] for batch in module._batches(iter(items), 2)]
    assert made == [[("a", "x"), ("a", "y")], [("b", "x"), ("b", "y")], [("b", "z")], [("c", "x")]]


def test_a_case_is_scored_the_same_whatever_else_is_scored(scored, cohort, make_job, tmp_path):
    _, together = scored
    job = make_job(
        "evaluate",
        "sam_med3d",
        evaluate__splits=["val"],
        methods__sam_med3d__datasets=["us"],
        evaluate__surface_at=[3],
        evaluate__click_seeds=[0, 1],
        evaluate__batch_size=5,
    )
    alone = run_evaluation(job, cohort, tmp_path)
    # Five classes are one batch here, and two there.
    chosen = together[(together["split"] == "val") & (together["dataset"] == "us")].reset_index(drop=True)
    assert len(alone) == len(chosen)
    np.testing.assert_allclose(alone["dice"], chosen["dice"], atol=0.5)
    test = make_job(
        "evaluate",
        "sam_med3d",
        evaluate__splits=["test"],
        methods__sam_med3d__datasets=["us"],
        evaluate__surface_at=[3],
        evaluate__click_seeds=[0, 1],
        evaluate__batch_size=7,
    )
    chosen = together[(together["split"] == "test") & (together["dataset"] == "us")].reset_index(drop=True)
    pd.testing.assert_frame_equal(run_evaluation(test, cohort, tmp_path, "test"), chosen)


def test_a_method_that_needs_key_frames_gives_the_reason_without_any(make_job, tmp_path):
    write_sweep(tmp_path / "volumes", "bare", "p1", "test", [3], 0, True, False, True)
    write_sweep(tmp_path / "volumes", "drawn", "p2", "test", [3], 1, True, True, True)
    splits = "patient,sweep,group,view,split\np1,bare,a,a,test\np2,drawn,a,a,test\n"
    (tmp_path / "splits.csv").write_text(splits)
    module.evaluate(
        make_job("evaluate", "nearest_key_frame"),
        Sources(tmp_path / "volumes", tmp_path / "splits.csv", tmp_path, {}),
        Weights(),
        scores_file=tmp_path / "scores.parquet",
        image_use_file=tmp_path / "image_use.parquet",
        predictions_dir=tmp_path / "predictions",
    )
    scores = read_score_file(tmp_path / "scores.parquet")
    bare, drawn = scores[scores["case"] == "bare"], scores[scores["case"] == "drawn"]
    assert bare["dice"].isna().all() and set(bare["reason"]) == {"not scored: no key frames"}
    assert bare["reference"].tolist() == ["true_mask"] and bare["click"].tolist() == [0]
    assert set(drawn["reference"]) == {"true_mask", "held_out_key_frames"}
    assert drawn.loc[drawn["reference"] == "true_mask", "dice"].item() > 50


@pytest.mark.parametrize(("spacing", "unit"), [((None, 0.5, 0.5), "voxel"), ((0.5, 0.5, 0.5), "mm")])
def test_the_tolerance_has_the_unit_of_the_distance(spacing, unit, make_job):
    """A shift by two voxels of half a millimetre: within two millimetres, not within half a voxel."""
    truth = np.zeros((12, 12, 12), bool)
    truth[2:6, 2:6, 2:6] = True
    distance = choose_distance(spacing, "voxel")
    item = Item(
        "us",
        "test",
        "p",
        "s",
        "liver",
        np.ones(truth.shape, np.uint8),
        truth,
        None,
        "true_mask",
        None,
        distance,
    )
    prediction = Prediction(item, 3, (1, 3, 3, 1), Region((0, 0, 0), np.roll(truth, 2, 0)), 3)
    job = make_job(
        "evaluate", "sam_med3d", evaluate__surface_at=[3], evaluate__nsd_tolerance={"mm": 2.0, "voxel": 0.5}
    )
    row = score_prediction(job, prediction, Setting("first_click", "random_error", 0))[0]
    assert row["distance_unit"] == unit and row["hd95"] == pytest.approx(2.0 if unit == "voxel" else 1.0)
    assert (row["nsd"] == 100) == (unit == "mm")
