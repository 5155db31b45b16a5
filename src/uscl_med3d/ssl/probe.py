"""Probes: what frozen features say about the cells of a frame. k nearest neighbours, and ridge regression.

Both compare cells at the same place only: neighbours are sought there, and the regression sees features and labels that are
centred there (`same_place.centre`). Under shuffled labels its weights are 0 in the mean, whatever features know of place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from uscl_med3d.core.seeds import rng
from uscl_med3d.ssl.probe_frames import UNKNOWN, ProbeFrames, give_masks, shuffle_in_groups
from uscl_med3d.ssl.same_place import auroc_at_places, centre, mean_at_places, sum_pairs
from uscl_med3d.ssl.words import ALL, KNN, LINEAR, ROWS, SHUFFLED


class Cells(NamedTuple):
    """Cells that one target is asked of: features (m, c), labels (m,) of 0 and 1, places (m,), numbers of frames (m,)."""

    features: np.ndarray
    labels: np.ndarray
    places: np.ndarray
    frames: np.ndarray

    def score(self, scores: np.ndarray) -> float:
        """AUROC of scores (m,) at the same place."""
        return auroc_at_places(scores, self.labels, self.places)


def choose_cells(features: np.ndarray, answers: np.ndarray) -> Cells:
    """The known cells of features (n, places, c) and answers (n, places)."""
    frames, places = np.nonzero(answers != UNKNOWN)
    return Cells(features[frames, places], answers[frames, places], places, frames)


def probe_all(
    train: ProbeFrames,
    val: ProbeFrames,
    test: ProbeFrames,
    features: dict[str, np.ndarray],
    settings: Any,
    seed: int,
    *,
    shuffled: bool,
) -> pd.DataFrame:
    """Sums of every probe for every target, draw and pair of test patients; columns `ROWS`.

    Args:
        features: split -> (n, places, c) float64. settings: section `ssl.probe`. seed: of labelled patients and shuffled
            labels, the same for all encoders. shuffled: with the probe of shuffled labels, which has many draws.
    """
    patients = sorted(test.table["patient"].unique())
    owners = test.table["patient"].map({name: number for number, name in enumerate(patients)}).to_numpy()
    parts = []
    for target in train.targets:
        asked = choose_cells(features["test"], test.answers(target))
        for probe, labelled, draws in _list_probes(settings, shuffled):
            for draw in range(draws):
                answers = _label(train, val, target, probe, labelled, draw, seed)
                known, checked = map(choose_cells, (features["train"], features["val"]), answers)
                if len(np.unique(known.labels)) == 2:
                    scores = _score(probe, known, checked, asked, settings)
                else:  # these patients show only one of the two answers: such a probe knows nothing
                    scores = [np.zeros(len(part.labels)) for part in (checked, asked)]
                sums = sum_pairs(scores[1], asked.labels, asked.places, owners[asked.frames], len(patients))
                parts.append(
                    _tabulate(*sums, patients).assign(
                        probe=probe,
                        labelled=labelled,
                        draw=draw,
                        target=target,
                        validation=checked.score(scores[0]),
                    )
                )
    return pd.concat(parts, ignore_index=True)[ROWS] if parts else pd.DataFrame(columns=ROWS)


def _list_probes(settings: Any, shuffled: bool) -> Iterator[tuple[str, int, int]]:
    """Probe, labelled patients per group, and number of draws."""
    for labelled in settings.labelled:
        if labelled is not None:
            yield LINEAR, labelled, settings.draws
            continue
        yield from ((KNN, ALL, 1), (LINEAR, ALL, 1))
        if shuffled:
            yield SHUFFLED, ALL, settings.shuffles


def _label(
    train: ProbeFrames, val: ProbeFrames, target: str, probe: str, labelled: int, draw: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Answers of training and validation cells (n, places), as a probe may know them."""
    answers = train.answers(target), val.answers(target)
    if probe == SHUFFLED:  # of the frames that choose the penalty, too: else they would find the true answer
        random = rng(seed, "ssl", "shuffled labels", target, draw)
        orders = [shuffle_in_groups(part.table["group"].to_numpy(), random) for part in (train, val)]
        return give_masks(answers[0], orders[0]), give_masks(answers[1], orders[1])
    if labelled != ALL:
        few = draw_patients(train.table, labelled, rng(seed, "ssl", "labelled", draw))
        chosen = train.table["patient"].isin(few).to_numpy()
        return np.where(chosen[:, None], answers[0], UNKNOWN), answers[1]
    return answers


def _score(probe: str, known: Cells, checked: Cells, asked: Cells, settings: Any) -> list[np.ndarray]:
    """Scores of the cells of validation and of test frames."""
    known, checked, asked = standardise(known, [known, checked, asked])
    if probe == KNN:
        return [knn_at_places(known, part, settings.neighbours) for part in (checked, asked)]
    return linear(known, checked, asked, settings.strengths)


def standardise(known: Cells, parts: list[Cells]) -> list[Cells]:
    """Features minus the known cells' mean at the same place, over the spread of the known cells about it."""
    count = 1 + max(int(part.places.max(initial=0)) for part in (known, *parts))
    means = mean_at_places(known.features, known.places, count)
    spread = centre(known.features, known.places, means).std(0)
    spread = np.where(spread > 1e-6, spread, 1.0)
    return [part._replace(features=centre(part.features, part.places, means) / spread) for part in parts]


def _tabulate(won: np.ndarray, pairs: np.ndarray, patients: list[str]) -> pd.DataFrame:
    """One row per pair of patients that has a pair of cells."""
    first, second = np.nonzero(pairs)
    names = np.asarray(patients, dtype=object)
    return pd.DataFrame(
        {"first": names[first], "second": names[second], "won": won[first, second]}
        | {"pairs": pairs[first, second].astype(int)}
    )


def draw_patients(table: pd.DataFrame, count: int, random: np.random.Generator) -> list[str]:
    """`count` patients of every group of a table with the columns patient and group; all where there are fewer."""
    groups = table.groupby("group")["patient"].unique()
    return [
        str(name) for _, names in sorted(groups.items()) for name in random.permutation(sorted(names))[:count]
    ]


def knn_at_places(known: Cells, asked: Cells, neighbours: int) -> np.ndarray:
    """`knn` of every asked cell among the known cells at its place (m,); 0 where there are none."""
    scores = np.zeros(len(asked.labels))
    for place in np.unique(asked.places):
        there, own = known.places == place, asked.places == place
        if there.any():
            scores[own] = knn(known.features[there], known.labels[there], asked.features[own], neighbours)
    return scores


def knn(known: np.ndarray, labels: np.ndarray, asked: np.ndarray, neighbours: int) -> np.ndarray:
    """Share of the `neighbours` cells of greatest cosine that are positive; (n, c), (n,), (m, c) -> (m,)."""
    unit = [part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12) for part in (asked, known)]
    similarity = np.round(unit[0] @ unit[1].T, 9)  # the order of equal ones must not hang on their last bits
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :neighbours]
    return labels[nearest].mean(1)


def linear(known: Cells, checked: Cells, asked: Cells, strengths: tuple[float, ...]) -> list[np.ndarray]:
    """Scores of validation and test cells, of the penalty that is best on the validation cells (the first of equals).

    The fit leaves out places where the known cells give one answer only: they say nothing of what tells cells at the same
    place apart.

    Args:
        known, checked, asked: cells of training, validation and test frames, from `standardise`.
    """
    labels = known.labels.astype(np.float64)
    share = mean_at_places(labels[:, None], known.places, int(known.places.max()) + 1)[:, 0]
    both = (share[known.places] > 0) & (share[known.places] < 1)
    best: tuple[float, np.ndarray] | None = None
    for weights in fit_ridge(known.features[both], (labels - share[known.places])[both], strengths):
        value = checked.score(checked.features @ weights)
        value = value if np.isfinite(value) else 0.0
        if best is None or value > best[0]:
            best = value, weights
    assert best is not None  # there is a strength
    return [part.features @ best[1] for part in (checked, asked)]


def fit_ridge(features: np.ndarray, labels: np.ndarray, strengths: tuple[float, ...]) -> list[np.ndarray]:
    """Weights (c,) of least mean squared error + strength |weights|², for every strength; 0 without a cell.

    Args:
        features: (n, c) and labels: (n,), of mean 0. strengths: above 0, so that a minimum exists.
    """
    n = max(len(labels), 1)
    values, vectors = np.linalg.eigh(features.T @ features / n)
    turned = vectors.T @ (features.T @ labels / n)
    return [vectors @ (turned / (np.maximum(values, 0.0) + strength)) for strength in strengths]
