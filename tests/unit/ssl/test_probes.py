"""Probes of cells on features whose answer is known, and the intervals of their AUROC."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from uscl_med3d.ssl import probe as probes
from uscl_med3d.ssl.compare import Resampler, Wins, read_wins
from uscl_med3d.ssl.probe import draw_patients, fit_ridge, knn, probe_all
from uscl_med3d.ssl.probe_frames import UNKNOWN, ProbeFrames, ask_cells, ask_in_groups, give_masks
from uscl_med3d.ssl.same_place import auroc_at_places, centre, mean_at_places, sum_pairs
from uscl_med3d.ssl.words import ALL, KNN, LINEAR, ROWS, SHUFFLED

SETTINGS = SimpleNamespace(neighbours=5, strengths=(0.01, 1.0), labelled=(1, None), draws=4, shuffles=4)
FRAMES, GRID = 6, 4
SPLITS = ("train", "val", "test")


def make_frames(prefix: str, patients: int, seed: int, step: int = 1) -> ProbeFrames:
    """Frames of patients of two groups. Only abdomens show the liver, mostly in the upper half: place says much of it."""
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
    likely = np.where(np.arange(GRID)[:, None] < GRID // 2, 0.8, 0.2)
    liver = (random.random((len(table), GRID, GRID)) < likely).astype(np.int8)
    liver[table["group"] == "chest"] = 0
    liver[:, -1, -1] = UNKNOWN  # outside the fan
    return ProbeFrames(torch.zeros(len(table), 1, 4, 4), table, {"liver": liver}, step)


def make_features(frames: ProbeFrames, told: float, seed: int) -> np.ndarray:
    """Features (n, places, 8): the answer with the weight `told`, the place, and noise."""
    random = np.random.default_rng(seed)
    answers = frames.answers("liver")
    side = GRID // frames.step
    place = np.broadcast_to(np.arange(answers.shape[1]) // side < side // 2, answers.shape)
    return np.concatenate(
        [told * (answers == 1)[..., None], place[..., None], random.normal(size=(*answers.shape, 6))], 2
    )


def probe(features_of, step: int = 1, settings=SETTINGS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sums of all probes, and the table of the test patients; `features_of(frames, seed)` gives (n, places, c)."""
    sizes = (("a", 30), ("v", 8), ("t", 20))
    frames = [make_frames(name, count, seed, step) for seed, (name, count) in enumerate(sizes)]
    ask_in_groups(frames[0], frames[1:])
    features = {
        split: features_of(part, seed) for seed, (split, part) in enumerate(zip(SPLITS, frames, strict=True))
    }
    rows = probe_all(*frames, features, settings, 1, shuffled=True)
    return rows.assign(training_seed=0), frames[2].table.drop_duplicates("patient")[["patient", "group"]]


@pytest.fixture(scope="module")
def probed() -> tuple[pd.DataFrame, pd.DataFrame]:
    return probe(lambda frames, seed: make_features(frames, 4.0, seed))


def mean_auroc(rows: pd.DataFrame, probe: str, labelled: int = ALL) -> float:
    own = rows[(rows["probe"] == probe) & (rows["labelled"] == labelled)]
    assert len(own)
    return float(100 * own["won"].sum() / own["pairs"].sum())


def test_a_structure_is_asked_only_in_groups_that_show_it(probed):
    rows, _ = probed
    assert list(rows)[: len(ROWS)] == ROWS
    assert all(int(name[1:]) % 2 == 0 for name in {*rows["first"], *rows["second"]})


@pytest.mark.parametrize("kind", [KNN, LINEAR])
def test_probes_find_what_is_there(probed, kind):
    assert mean_auroc(probed[0], kind) > 90


@pytest.mark.parametrize("kind", [KNN, LINEAR])
def test_features_that_are_the_answer_win_every_pair(kind):
    rows, _ = probe(lambda frames, _: (frames.answers("liver") == 1).astype(float)[..., None] - 0.5)
    assert mean_auroc(rows, kind) == 100
    assert set(rows.loc[rows["probe"] == kind, "validation"]) == {1.0}


@pytest.mark.parametrize("kind", [KNN, LINEAR, SHUFFLED])
def test_place_alone_wins_half_of_the_pairs(kind):
    """Place tells the structure at 80 % of the cells; at the same place it tells nothing."""
    rows, _ = probe(lambda frames, seed: make_features(frames, 0.0, seed)[..., 1:2])
    assert mean_auroc(rows, kind) == 50
    assert (rows["won"] == rows["pairs"] / 2).all()


MANY = SimpleNamespace(neighbours=5, strengths=(0.001,), labelled=(None,), draws=1, shuffles=200)


def test_shuffled_labels_find_nothing():
    rows, _ = probe(lambda frames, seed: make_features(frames, 0.7, seed), settings=MANY)
    assert mean_auroc(rows, SHUFFLED) == pytest.approx(50, abs=5)
    assert mean_auroc(rows, LINEAR) > 65
    assert rows[rows["probe"] == SHUFFLED]["draw"].nunique() == MANY.shuffles


def make_leaky_features(frames: ProbeFrames, seed: int) -> np.ndarray:
    """Features (n, places, 3) that say what a cell shows, as a taught encoder does, and nothing else of place."""
    answers = (frames.answers("liver") == 1).astype(float)[..., None]
    return 2 * answers + np.random.default_rng(seed).normal(size=(*answers.shape[:2], 3))


def test_what_goes_with_the_structure_does_not_smuggle_its_place_in(monkeypatch):
    """Shuffled labels still say where a structure usually lies. Fitted over all places, a probe says it by such features."""
    rows, _ = probe(make_leaky_features, settings=MANY)
    assert mean_auroc(rows, SHUFFLED) == pytest.approx(50, abs=8)
    assert mean_auroc(rows, LINEAR) > 90
    whole = lambda values, places, count: np.repeat(values.mean(0)[None], count, axis=0)  # noqa: E731
    monkeypatch.setattr(probes, "mean_at_places", whole)
    rows, _ = probe(make_leaky_features, settings=MANY)
    assert mean_auroc(rows, SHUFFLED) > 90


def test_probes_of_shuffled_labels_are_made_where_they_are_asked_for():
    frames = [make_frames(name, 4, seed) for seed, name in enumerate("avt")]
    features = {split: make_features(part, 1.0, 0) for split, part in zip(SPLITS, frames, strict=True)}
    assert SHUFFLED not in set(probe_all(*frames, features, MANY, 1, shuffled=False)["probe"])


def test_patients_that_show_one_answer_teach_nothing():
    frames = [make_frames(name, 4, seed) for seed, name in enumerate("avt")]
    frames[0].targets["liver"][:] = np.minimum(frames[0].targets["liver"], 0)
    features = {split: make_features(part, 4.0, 0) for split, part in zip(SPLITS, frames, strict=True)}
    rows = probe_all(*frames, features, SETTINGS, 1, shuffled=False)
    assert len(rows) and (rows["won"] == rows["pairs"] / 2).all()


def test_shuffled_masks_keep_their_group_and_the_fan():
    frames = make_frames("a", 10, 0)
    given = frames.shuffle_masks(np.random.default_rng(0))
    before, after = frames.targets["liver"], given.targets["liver"]
    chest = (frames.table["group"] == "chest").to_numpy()
    assert not (after[chest] == 1).any() and not np.array_equal(before, after)
    assert (before == 1).sum() == (after == 1).sum()
    assert np.array_equal(before == UNKNOWN, after == UNKNOWN)
    assert give_masks(np.array([[1, 0], [UNKNOWN, 1]]), np.array([1, 0])).tolist() == [
        [UNKNOWN, 1],
        [UNKNOWN, 0],
    ]


def test_every_so_many_cells_are_probed():
    frames = make_frames("a", 2, 0, step=2)
    assert frames.grid == GRID and frames.answers("liver").shape == (2 * FRAMES, 4)
    maps = torch.arange(16.0).view(1, 1, 4, 4)
    assert frames.pick_places(maps)[0, :, 0].tolist() == [0, 2, 8, 10]
    rows, _ = probe(lambda frames, seed: make_features(frames, 4.0, seed), step=2)
    assert mean_auroc(rows, LINEAR) > 90


def test_a_cell_shows_what_fills_half_of_it_and_is_known_inside_the_fan():
    image, label = np.full((1, 4, 4), 50, np.uint8), np.zeros((1, 4, 4), np.uint8)
    label[0, :2, :2] = [[3, 3], [0, 0]]
    label[0, 0, 2] = 3
    image[0, 2:, 2:] = [[0, 0], [0, 7]]
    label[0, 2:, :2] = 255
    found = ask_cells(image, label, [3, 5], SimpleNamespace(grid=2, cell_share=0.5))
    assert found.tolist() == [[[[1, 0], [UNKNOWN, UNKNOWN]], [[0, 0], [UNKNOWN, UNKNOWN]]]]


def test_pairs_are_those_at_the_same_place():
    scores, labels = np.array([1.0, 5, 3, 2, 9, 9 + 1e-13]), np.array([1, 0, 1, 0, 1, 0])
    places, owners = np.array([0, 1, 1, 0, 2, 2]), np.array([0, 0, 1, 1, 1, 0])
    won, pairs = sum_pairs(scores, labels, places, owners, 2)
    assert won.tolist() == [[0, 0], [0.5, 0]] and pairs.tolist() == [[0, 1], [2, 0]]
    assert auroc_at_places(scores, labels, places) == pytest.approx(0.5 / 3)
    assert np.isnan(auroc_at_places(scores[:2], labels[:2], places[:2]))


def test_fewer_labelled_patients_are_the_same_number_in_each_group():
    table = pd.DataFrame({"patient": list("abcdef"), "group": ["x"] * 4 + ["y"] * 2})
    few, more = (draw_patients(table, count, np.random.default_rng(3)) for count in (1, 3))
    assert len(few) == 2 and len(more) == 5
    assert set(few) <= set(more)


def test_ridge_regression_is_at_its_minimum():
    random = np.random.default_rng(0)
    features = random.normal(size=(80, 4))
    labels = features[:, 0] + random.normal(size=80)
    for strength, weights in zip((0.05, 2.0), fit_ridge(features, labels, (0.05, 2.0)), strict=True):
        assert np.abs(features.T @ (features @ weights - labels) / 80 + strength * weights).max() < 1e-9
    assert (fit_ridge(features[:0], labels[:0], (1.0,))[0] == 0).all()


def test_cells_are_centred_at_their_place():
    values, places = np.array([[1.0], [3], [7]]), np.array([0, 0, 2])
    means = mean_at_places(values, places, 4)
    assert means[[0, 2], 0].tolist() == [2, 7] and np.isnan(means[[1, 3], 0]).all()
    assert centre(np.array([[5.0], [5], [5]]), np.array([0, 1, 2]), means)[:, 0].tolist() == [3, 0, -2]


def test_neighbours_are_those_of_greatest_cosine():
    known = np.array([[1.0, 0], [10, 1], [0, 1], [-1, 0]])
    assert knn(known, np.array([1, 1, 0, 0]), np.array([[5.0, 0]]), 2).tolist() == [1.0]
    assert knn(known, np.array([0, 1, 0, 0]), np.array([[5.0, 0]]), 2).tolist() == [0.5]


def test_sums_over_patients_give_the_auroc_of_all_cells(probed):
    rows, patients = probed
    part = rows[(rows["probe"] == LINEAR) & (rows["labelled"] == ALL)]
    wins = read_wins(part, ["liver"], patients["patient"].tolist())
    assert wins.by_target() == pytest.approx([mean_auroc(rows, LINEAR)])
    assert wins.mean() == pytest.approx(mean_auroc(rows, LINEAR))


def test_weights_of_patients_repeat_their_cells():
    random = np.random.default_rng(0)
    scores, labels = random.normal(size=90), random.integers(0, 2, 90)
    places, owners = random.integers(0, 3, 90), random.integers(0, 5, 90)
    won, pairs = sum_pairs(scores, labels, places, owners, 5)
    weights = np.ones((1, 5))
    weights[0, 2] = 3
    again = np.concatenate([np.arange(90), *[np.flatnonzero(owners == 2)] * 2])
    expected = 100 * auroc_at_places(scores[again], labels[again], places[again])
    assert Wins(won[None, None, None], pairs[None]).resample(weights, *np.ones((2, 1, 1)))[
        0
    ] == pytest.approx(expected)


def make_wins(level: float, seeds: int, random: np.random.Generator, patients: int = 20) -> Wins:
    pairs = np.ones((1, patients, patients))
    return Wins(np.clip(random.normal(level, 0.1, (seeds, 1, 1, patients, patients)), 0, 1), pairs)


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


@pytest.mark.parametrize("shape", [(3, 1), (1, 3)], ids=["seeds", "draws"])
def test_repetitions_that_disagree_widen_the_interval(shape):
    random = np.random.default_rng(2)
    table = pd.DataFrame({"patient": [f"p{n}" for n in range(20)], "group": ["x"] * 20})
    resampler = Resampler(table, 500, 0.95, random)
    found = make_wins(0.6, 3, random)
    agree = Wins(found.won.reshape(*shape, *found.won.shape[2:]), found.pairs)
    differ = Wins(agree.won + np.array([-0.2, 0, 0.2]).reshape(*shape, 1, 1, 1), agree.pairs)
    widths = [found.high - found.low for found in (resampler.compare([(1, one)]) for one in (agree, differ))]
    assert widths[1] > 2 * widths[0]


def test_a_value_other_than_zero_is_asked_about():
    random = np.random.default_rng(2)
    table = pd.DataFrame({"patient": [f"p{n}" for n in range(20)], "group": ["x"] * 20})
    resampler, half = Resampler(table, 500, 0.95, random), make_wins(0.5, 3, random)
    asked = [resampler.compare([(1, half)], null).p for null in (0.0, 50.0)]
    assert asked[0] < 0.01 < 0.05 < asked[1]


def test_unknown_is_no_answer():
    frames = make_frames("a", 4, 0)
    ask_in_groups(frames, [])
    assert set(np.unique(frames.targets["liver"][frames.table["group"] == "chest"])) == {UNKNOWN}
