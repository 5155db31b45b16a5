"""Claims: one row each, honest verdicts, and the paper's own numbers checked against its text."""

from __future__ import annotations

import fake_run
import numpy as np
import pandas as pd
import pytest

from uscl_med3d.core.params.files import read_defaults
from uscl_med3d.core.scores import read_score_file
from uscl_med3d.report.claims import CLAIMS, build_claims
from uscl_med3d.report.claims.claim import COLUMNS
from uscl_med3d.report.claims.verdict import claim_p
from uscl_med3d.report.statistics import Difference


@pytest.fixture(scope="module")
def claims(built) -> pd.DataFrame:
    return pd.read_csv(built / "claims.csv").set_index("id")


@pytest.fixture(scope="module")
def three_seeds(tmp_path_factory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("three")
    job = fake_run.make_job(
        folder, training_seeds=[0, 1, 2], report={"n_permutations": 1999, "points": [1, 10]}
    )
    scores = fake_run.make_scores(job, folder, patients=12, clicks=(1, 10))
    build_claims(job, scores, [], None, None, folder / "claims.csv")
    return pd.read_csv(folder / "claims.csv").set_index("id")


def test_every_claim_has_one_full_row(claims):
    assert [*claims.reset_index().columns] == list(COLUMNS)
    assert len(CLAIMS) >= 15 and claims.index.is_unique and len(claims) == len(CLAIMS)
    assert claims[["claim", "source", "test", "verdict", "why", "paper_numbers"]].notna().all(axis=None)
    assert claims["verdict"].str.split(" ").str[0].isin(["supported", "contradicted", "undecided"]).all()


def test_one_training_seed_never_decides_a_claim_about_training(claims):
    training = [claim.id for claim in CLAIMS if claim.about_training]
    assert len(training) >= 10
    assert (claims.loc[training, "verdict"] == "undecided (one seed)").all()
    assert claims.loc[training, "why"].str.startswith("direction seen: ").all()


def test_three_training_seeds_decide_what_is_clear(three_seeds):
    assert three_seeds.loc["full-best", "verdict"] == "supported"
    assert three_seeds.loc["adaptformer-gains", "verdict"] == "supported"
    assert three_seeds.loc["general-amos", "verdict"] == "contradicted"
    assert three_seeds.loc["us-growing-lead", "verdict"] == "undecided"


def test_a_claim_about_a_method_that_does_not_exist_is_undecided_with_the_reason(claims):
    row = claims.loc["us-fastsam3d"]
    assert row["verdict"] == "undecided" and "no method FastSAM3D" in row["why"] and np.isnan(row["estimate"])


def test_estimate_is_the_paired_difference(run, claims):
    scores = {
        name: read_score_file(run.folder / "scores" / f"{name}.parquet")
        for name in ("sam_med3d", "uscl_med3d_r32_both_vcl")
    }
    means = {}
    for name, frame in scores.items():
        rows = frame[
            (frame["dataset"] == "us") & (frame["click"] == 10) & (frame["reference"] == "true_mask")
        ]
        means[name] = rows.groupby("class")["dice"].mean().mean()
    wanted = means["uscl_med3d_r32_both_vcl"] - means["sam_med3d"]
    assert claims.loc["us-lead", "estimate"] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("us-lead", "bears it out: 69.67 − 46.53 = 23.14 points (49.7% relative)"),
        (
            "us-growing-lead",
            "contradicts it: mean leads at 1/3/5/10 clicks +9.89, +5.74, +27.6, +23.14: it falls 2 times",
        ),
        ("general-beats-fastsam3d", "BraTS 33.1 < FastSAM3D 33.3"),
        ("general-gap-narrows", "AMOS -2.9, -1.7, -0.8, -2.6"),
        ("general-amos", "contradicts it: 71.6 < 74.2; USCL-Med3D loses 12 of 12 cells"),
        ("vcl-both", "= +3.16 points"),
        ("vcl-decoder", "contradicts it: 60.72 − 61.29 = -0.57"),
        ("rank-16-single", "contradicts it: image_encoder 64.47 > 64.13; mask_decoder 60.14 < 60.72"),
        ("lora-trade-off", "full tuning is 18.96 points better"),
        ("adaptformer-gains", "+15.41"),
    ],
)
def test_the_papers_numbers_are_checked_against_its_text(claims, name, words):
    assert words in claims.loc[name, "paper_numbers"]


def test_without_scores_everything_is_undecided(tmp_path):
    job = fake_run.make_job(tmp_path)
    build_claims(job, [], [], None, None, tmp_path / "claims.csv")
    frame = pd.read_csv(tmp_path / "claims.csv")
    assert (frame["verdict"] == "undecided").all() and frame["why"].notna().all()
    assert (tmp_path / "claims.md").is_file()


def test_pseudo_labels_that_lose_to_a_trivial_alternative_do_not_support_the_claim(claims):
    assert claims.loc["pseudolabels", "estimate"] < 0
    assert claims.loc["pseudolabels", "verdict"] != "supported"


def made(mean: float, p: float) -> Difference:
    return Difference(mean, mean - 1, mean + 1, p, 1.0, 10, 1)


def test_joint_p_value_needs_all_for_and_one_against():
    assert claim_p([made(5, 0.01), made(5, 0.04)]) == 0.04
    assert claim_p([made(5, 0.01), made(-5, 0.01)]) == 0.02
    assert claim_p([made(-5, 0.9)]) == 0.9


def test_a_sweep_of_one_rank_leaves_claims_about_ranks_undecided(tmp_path):
    methods = read_defaults(fake_run.ROOT)["methods"]
    methods["uscl_med3d"]["grid"] |= {"ranks": [32], "modules": ["both"], "without_pretraining": False}
    job = fake_run.make_job(tmp_path, methods=methods)
    scores = fake_run.make_scores(job, tmp_path, patients=4, clicks=(1, 10))
    build_claims(job, scores, [], None, None, tmp_path / "claims.csv")
    rows = pd.read_csv(tmp_path / "claims.csv").set_index("id")
    assert rows.loc["rank-32-best", "verdict"] == "undecided"
    assert "nothing to compare" in rows.loc["rank-32-best", "why"]
