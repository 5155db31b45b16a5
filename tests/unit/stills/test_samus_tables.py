"""Target `samus` from the first to the last file, tiny; and what each table says when the truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_samus import few, make_scans, tiny_samus
from tiny_stills import make_base

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.reporting import SAMUS_TABLES
from uscl_med3d.core.scores import read_score_file
from uscl_med3d.data.images2d import open_set
from uscl_med3d.data.images2d.scans import set_of
from uscl_med3d.stills import sets
from uscl_med3d.stills.deploy import run_deploy
from uscl_med3d.stills.resample import Estimate
from uscl_med3d.stills.samus import build_samus
from uscl_med3d.stills.samus_claims import judge, judge_all
from uscl_med3d.stills.samus_tables import (
    Scores,
    drop,
    places,
    range_of_means,
    spread,
    table_s1,
    table_s2,
    table_s3,
    table_s4_clicks,
)
from uscl_med3d.stills.sets import COLUMNS, IN_A_ROW, run_sets

CLASSES = {"chest": ["pleural_effusion"], "abdomen": ["liver", "kidney"]}


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    return make_scans(tmp_path_factory.mktemp("scans") / "sets")


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return make_base(tmp_path_factory.mktemp("base") / "sam.safetensors")


def invent(dice_of, places_of=lambda name, place: 0.0) -> Scores:
    """Scores with Dice `dice_of(method, scanner, points)`, plus what differs from patient to patient."""
    job = tiny_samus("samus")
    settings, random = job.samus.with_variants(), np.random.default_rng(0)
    noise = random.normal(0, 2, 12)
    rows = []
    for name, entry in settings.methods.items():
        whole = entry.module in ("unet", "attention_unet", "segresnet", "unetr", "swin_unetr", "samed")
        for part, names in CLASSES.items():
            for scanner in ("seen", "unseen"):
                for patient in range(12):
                    about = (name, "x", f"{part}_{scanner}", f"{part}{patient}{scanner}", f"{part}{patient}")
                    for label in names:
                        for points in (0,) if whole else settings.points:
                            dice = dice_of(name, scanner, points) + noise[patient]
                            rows.append((*about, label, points, IN_A_ROW, dice, 1.0, 20.0 + noise[patient]))
                        for place in [] if whole else range(2):
                            dice = dice_of(name, scanner, 1) + noise[patient] + places_of(name, place)
                            rows.append((*about, label, 1, place, dice, np.nan, np.nan))
    return Scores(pd.DataFrame(rows, columns=COLUMNS), settings, job.seed)


def test_everything_is_made(scans, base, tmp_path):
    job = few(tiny_samus("samus"), "unet", "attention_unet", "disc", "medsam", "samed", "samus")
    files = []
    for name in job.samus.with_variants().methods:
        files.append(tmp_path / f"{name}.parquet")
        run_sets(job, name, scans, base, files[-1], tmp_path / f"{name}.csv")
    assert not list(tmp_path.glob("*.resume"))
    run_deploy(job, 5, base, tmp_path / "counted.csv", tmp_path / "speed.csv")
    build_samus(job, files, tmp_path / "counted.csv", tmp_path)
    tables = {name: pd.read_csv(tmp_path / f"{name}.csv", keep_default_na=False) for name in SAMUS_TABLES}
    assert all(len(table) for table in tables.values())
    disc = tables["s1"][tables["s1"]["method"] == "disc at the click"]
    # Empty where a set has one patient alone, hence no other image.
    assert "0.0" in set(disc["own_minus_other"]) <= {"0.0", ""}
    absent = tables["s1"][tables["s1"]["dice"] == "–"]
    assert len(absent) > 5 and (absent["why"] != "").all()
    unet = read_score_file(tmp_path / "unet.parquet")
    assert set(unet["trained_on"]) == {"chest", "abdomen"} and set(unet["points"]) == {0}
    assert (unet["trained_on"] == unet["set"].str.split("_").str[0]).all()
    with pytest.raises(InputError, match="no scores of"):
        build_samus(job, files[1:], tmp_path / "counted.csv", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_no_test_patient_and_no_unseen_image_is_trained_on(scans, base, tmp_path, monkeypatch):
    seen = []
    original = sets.train

    def spy(job, settings, name, part, images, items, base, output):
        seen.append((part, items))
        return original(job, settings, name, part, images, items, base, output)

    monkeypatch.setattr(sets, "train", spy)
    run_sets(tiny_samus("samus"), "unet", scans, base, tmp_path / "s.parquet", tmp_path / "c.csv")
    scored = set(read_score_file(tmp_path / "s.parquet")["group"])
    assert [part for part, _ in seen] == ["chest", "abdomen"]
    for part, items in seen:
        assert items and {set_of(item) for item in items} == {f"{part}_seen"}
        assert not {item.group for item in items} & scored


def test_both_scanners_show_the_same_test_patients(scans):
    items = [item for item in open_set("scans", scans).items if item.split == "test"]
    for part in CLASSES:
        groups = [
            {item.group for item in items if set_of(item) == f"{part}_{one}"} for one in ("seen", "unseen")
        ]
        assert groups[0] & groups[1] and len(groups[0] | groups[1]) <= 2  # a scan may show no structure


def test_s1_ranks_by_dice_and_says_what_the_image_is_worth():
    table = table_s1(invent(lambda name, scanner, points: 70 if name == "samus_task" else 50))
    at = table[(table["set"] == "chest") & (table["dice"] != "–")].set_index("method")
    assert at.loc["SAMUS, one part", "dice"] - at.loc["U-Net", "dice"] == pytest.approx(20)
    assert at.loc["U-Net", "own_minus_other"] == pytest.approx(30)


def test_s2_finds_the_drop_and_no_drop_where_the_scanners_are_equal():
    apart = invent(lambda name, scanner, points: 60 - 10 * (scanner == "unseen") * (name != "msa"))
    table = table_s2(apart).set_index(["method", "set"])
    assert table.loc[("SAMUS", "chest"), ["drop", "drop_low", "drop_high"]].tolist() == [10, 10, 10]
    assert table.loc[("MSA", "all"), "drop"] == 0
    assert drop(apart, "samus", "all").groups == drop(apart, "msa", "all").groups


def test_s3_gives_each_component_its_own_gain():
    order = ["samus_0", "samus_1", "samus_2", "samus_3", "samus"]
    table = table_s3(
        invent(lambda name, scanner, points: 10.0 * order.index(name) ** 2 if name in order else 0)
    )
    at = table[(table["set"] == "all") & (table["scanner"] == "seen")]
    assert at["gain"].tolist() == ["–", 10, 30, 50, 70]
    assert at["method"].tolist()[:2] == ["SAM", "SAM + cnn branch"]


def test_s4_counts_clicks_and_measures_places():
    scores = invent(
        lambda name, scanner, points: 50 + points,
        lambda name, place: 3.0 * place if name == "samus" else 0.0,
    )
    at = table_s4_clicks(scores).set_index(["method", "set", "scanner", "points"])["dice"]
    assert at["SAMUS", "all", "seen", 2] - at["SAMUS", "all", "seen", 1] == pytest.approx(1)
    moved, still = (places(scores, name, "all", "seen") for name in ("samus", "msa"))
    assert range_of_means(scores, moved).value == pytest.approx(3)
    assert spread(scores, moved).value == pytest.approx(1.5) and spread(scores, still).value == 0


def test_verdicts_follow_the_intervals():
    def one(mean):
        return Estimate(mean, np.random.default_rng(0).normal(mean, 1, 500), ("a", "b"))

    assert judge([("x", one(5)), ("y", one(9))], 0.95)[3] == "supported"
    assert judge([("x", one(5)), ("y", one(0.5))], 0.95)[3] == "undecided"
    found = judge([("x", one(-9)), ("y", one(9))], 0.95)
    assert found[3] == "contradicted" and found[4].startswith("weakest of 2: x")
    # A loss that one comparison alone would show does not contradict where twenty are made.
    assert judge([("x", one(-2.2))], 0.95)[3] == "contradicted"
    assert judge([("x", one(-2.2)), *[("y", one(9))] * 19], 0.95)[3] == "undecided"


@pytest.mark.parametrize(("dice", "looks"), [(60.0, True), (20.0, False)])
def test_claims_are_judged_only_where_samus_looks_at_the_image(dice, looks):
    scores = invent(lambda name, scanner, points: dice)  # another patient's image gives 20
    labels = [scores.label(name) for name in scores.of_role("foundation")]
    claims = judge_all(scores, pd.DataFrame({"method": labels, "training_mb": range(len(labels))}))
    verdicts = claims.set_index("id")["verdict"].drop("memory")
    assert (verdicts.pop("image") == "supported") == looks
    assert set(verdicts == "not testable") == {not looks}


def test_estimates_of_other_patients_are_not_subtracted():
    with pytest.raises(ValueError, match="different groups"):
        Estimate(1, np.ones(3), ("a",)) - Estimate(1, np.ones(3), ("b",))
