"""Probes on features whose answer is known, and the intervals of their AUROC."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from uscl_med3d.ssl.compare import Resampler, Wins, count_wins
from uscl_med3d.ssl.probe import auroc, draw_patients, fit_logistic, knn, probe_all
from uscl_med3d.ssl.probe_frames import UNKNOWN, ProbeFrames, ask_in_groups
from uscl_med3d.ssl.words import ALL, GROUP, KNN, LINEAR, SHUFFLED

SETTINGS = SimpleNamespace(neighbours=5, strengths=(0.01, 1.0), labelled=(1, None), draws=4)
FRAMES = 6


def make_frames(prefix: str, patients: int, seed: int) -> tuple[ProbeFrames, np.ndarray]:
    """Frames of patients of two groups; feature 0 tells the structure `liver`, feature 1 the group, the others nothing."""
    random = np.random.default_rng(seed)
    rows = [
        {
            "patient": f"{prefix}{n}",
            "sweep": f"{prefix}{n}_s",
            "group": ("abdomen", "chest")[n % 2],
            "frame": f,
        }
        for n in range(patients)
        for f in range(FRAMES)
    ]
    table = pd.DataFrame(rows)
    liver = random.integers(0, 2, len(table)).astype(np.int8)
    liver[table["group"] == "chest"] = 0
    group = (table["group"] == "abdomen").to_numpy(np.int8)
    features = random.normal(size=(len(table), 6))
    features[:, 0] += 4 * liver
    features[:, 1] += 4 * group
    frames = ProbeFrames(torch.zeros(len(table), 1, 4, 4), table, {"liver": liver, GROUP: group})
    return frames, features


@pytest.fixture(scope="module")
def probed() -> tuple[pd.DataFrame, pd.DataFrame]:
    parts = [
        make_frames(name, count, seed) for seed, (name, count) in enumerate((("a", 30), ("v", 8), ("t", 20)))
    ]
    frames, features = zip(*parts, strict=True)
    ask_in_groups(frames[0], list(frames[1:]))
    rows = probe_all(*frames, dict(zip(("train", "val", "test"), features, strict=True)), SETTINGS, 1)
    patients = frames[2].table.drop_duplicates("patient")[["patient", "group"]]
    return rows.assign(training_seed=0), patients


def mean_auroc(rows: pd.DataFrame, target: str) -> float:
    own = rows[rows["target"] == target]
    return float(
        np.mean([auroc(p["score"].to_numpy(), p["present"].to_numpy()) for _, p in own.groupby("draw")])
    )


def test_a_structure_is_asked_only_in_groups_that_show_it(probed):
    rows, _ = probed
    asked = rows[rows["target"] == "liver"]["patient"].unique()
    assert all(int(name[1:]) % 2 == 0 for name in asked)
    assert set(rows[rows["target"] == GROUP]["patient"]) > set(asked)


@pytest.mark.parametrize("probe", [KNN, LINEAR])
def test_probes_find_what_is_there(probed, probe):
    rows = probed[0][(probed[0]["probe"] == probe) & (probed[0]["labelled"] == ALL)]
    assert mean_auroc(rows, "liver") > 0.9 and mean_auroc(rows, GROUP) > 0.9


def test_shuffled_labels_find_nothing(probed):
    rows = probed[0][probed[0]["probe"] == SHUFFLED]
    assert rows["draw"].nunique() == SETTINGS.draws
    assert abs(mean_auroc(rows, "liver") - 0.5) < 0.25


def test_fewer_labelled_patients_are_the_same_number_in_each_group():
    table = pd.DataFrame({"patient": list("abcdef"), "group": ["x"] * 4 + ["y"] * 2})
    few, more = (draw_patients(table, count, np.random.default_rng(3)) for count in (1, 3))
    assert len(few) == 2 and len(more) == 5
    assert set(few) <= set(more)


def test_logistic_regression_is_at_its_minimum():
    random = np.random.default_rng(0)
    features = random.normal(size=(80, 4))
    labels = (features[:, 0] + random.normal(size=80) > 0.4).astype(int)
    weights, bias = fit_logistic(features, labels, 0.05)
    probability = 1 / (1 + np.exp(-(features @ weights + bias)))
    assert np.abs(features.T @ (probability - labels) / 80 + 0.05 * weights).max() < 1e-5
    assert abs((probability - labels).mean()) < 1e-5


def test_neighbours_are_those_of_greatest_cosine():
    known = np.array([[1.0, 0], [10, 1], [0, 1], [-1, 0]])
    assert knn(known, np.array([1, 1, 0, 0]), np.array([[5.0, 0]]), 2).tolist() == [1.0]
    assert knn(known, np.array([0, 1, 0, 0]), np.array([[5.0, 0]]), 2).tolist() == [0.5]


def test_auroc_counts_pairs_and_ties_half():
    assert auroc(np.array([3.0, 1, 2, 2]), np.array([1, 0, 1, 0])) == 0.875
    assert np.isnan(auroc(np.array([1.0, 2]), np.array([1, 1])))


def test_sums_over_patients_give_the_auroc_of_all_frames(probed):
    rows, patients = probed
    part = rows[(rows["probe"] == LINEAR) & (rows["labelled"] == ALL)]
    wins = count_wins(part, ["liver", GROUP], patients["patient"].tolist())
    expected = [100 * mean_auroc(part, name) for name in ("liver", GROUP)]
    assert wins.by_target() == pytest.approx(expected)
    assert wins.mean() == pytest.approx(np.mean(expected))


def test_weights_of_patients_repeat_their_frames(probed):
    rows, patients = probed
    part = rows[(rows["probe"] == LINEAR) & (rows["labelled"] == ALL) & (rows["target"] == GROUP)]
    names = patients["patient"].tolist()
    wins = count_wins(part, [GROUP], names)
    weights = np.ones((1, len(names)))
    weights[0, names.index("t0")] = 3
    repeated = pd.concat([part, *[part[part["patient"] == "t0"]] * 2])
    expected = 100 * auroc(repeated["score"].to_numpy(), repeated["present"].to_numpy())
    assert wins.resample(weights, np.ones((1, 1)))[0] == pytest.approx(expected)


def make_wins(level: float, seeds: int, random: np.random.Generator, patients: int = 20) -> Wins:
    pairs = np.ones((1, patients, patients))
    return Wins(np.clip(random.normal(level, 0.1, (seeds, 1, patients, patients)), 0, 1), pairs)


def test_equal_arms_have_no_difference_and_unequal_ones_do():
    random = np.random.default_rng(2)
    table = pd.DataFrame({"patient": [f"p{n}" for n in range(20)], "group": ["x", "y"] * 10})
    resampler = Resampler(table, 500, 0.95, random)
    low, high = make_wins(0.6, 3, random), make_wins(0.7, 3, random)
    same = resampler.compare([(1, low), (-1, low)])
    assert (same.estimate, same.low, same.high) == (0, 0, 0) and same.p == 1.0
    found = resampler.compare([(1, high), (-1, low)])
    assert found.low > 0 and found.estimate == pytest.approx(10, abs=2) and found.p < 0.05
    assert resampler.compare([(1, low), (-1, high)]).estimate == pytest.approx(-found.estimate)


def test_seeds_that_disagree_widen_the_interval():
    random = np.random.default_rng(2)
    table = pd.DataFrame({"patient": [f"p{n}" for n in range(20)], "group": ["x"] * 20})
    resampler = Resampler(table, 500, 0.95, random)
    agree = make_wins(0.6, 3, random)
    differ = Wins(agree.won + np.array([-0.2, 0, 0.2])[:, None, None, None], agree.pairs)
    widths = [found.high - found.low for found in (resampler.compare([(1, one)]) for one in (agree, differ))]
    assert widths[1] > 2 * widths[0]


def test_unknown_is_no_answer():
    frames, _ = make_frames("a", 4, 0)
    ask_in_groups(frames, [])
    assert set(frames.targets["liver"][frames.table["group"] == "chest"]) == {UNKNOWN}
