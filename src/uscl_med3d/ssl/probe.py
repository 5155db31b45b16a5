"""Probes: what frozen features say about the cells of a frame. k nearest neighbours, and logistic regression."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from uscl_med3d.core.seeds import rng
from uscl_med3d.ssl.probe_frames import UNKNOWN, ProbeFrames, give_masks, shuffle_in_groups
from uscl_med3d.ssl.same_place import auroc_at_places, sum_pairs
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
) -> pd.DataFrame:
    """Sums of every probe for every target and pair of test patients; columns `ROWS`.

    Args:
        features: split -> (n, places, c) float64. settings: section `ssl.probe`. seed: of labelled patients and shuffled
            labels, the same for all encoders.
    """
    patients = sorted(test.table["patient"].unique())
    owners = test.table["patient"].map({name: number for number, name in enumerate(patients)}).to_numpy()
    parts = []
    for target in train.targets:
        asked = choose_cells(features["test"], test.answers(target))
        for probe, labelled, draws in _list_probes(settings):
            found = []
            for draw in range(draws):
                answers = _label(train, val, target, probe, labelled, draw, seed)
                known, checked = map(choose_cells, (features["train"], features["val"]), answers)
                if len(np.unique(known.labels)) < 2:  # these patients show only one of the two answers
                    continue
                scores = _score(probe, known, checked, asked, settings)
                sums = sum_pairs(scores[1], asked.labels, asked.places, owners[asked.frames], len(patients))
                found.append((*sums, checked.score(scores[0])))
            if found:
                sums_of = _tabulate(found, patients)
                parts.append(sums_of.assign(probe=probe, labelled=labelled, target=target))
    return pd.concat(parts, ignore_index=True)[ROWS] if parts else pd.DataFrame(columns=ROWS)


def _list_probes(settings: Any) -> Iterator[tuple[str, int, int]]:
    """Probe, labelled patients per group, and number of draws."""
    for labelled in settings.labelled:
        if labelled is None:
            yield from ((KNN, ALL, 1), (LINEAR, ALL, 1), (SHUFFLED, ALL, settings.draws))
        else:
            yield LINEAR, labelled, settings.draws


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
    mean, spread = known.features.mean(0), known.features.std(0)
    known, checked, asked = (
        part._replace(features=(part.features - mean) / np.where(spread > 1e-6, spread, 1.0))
        for part in (known, checked, asked)
    )
    if probe == KNN:
        return [knn_at_places(known, part, settings.neighbours) for part in (checked, asked)]
    return linear(known, checked, asked.features, settings.strengths)


def _tabulate(found: list[tuple[np.ndarray, np.ndarray, float]], patients: list[str]) -> pd.DataFrame:
    """One row per pair of patients that has a pair of cells; `won` and `validation` are means over draws."""
    won, pairs = np.mean([one[0] for one in found], axis=0), found[0][1]
    first, second = np.nonzero(pairs)
    names = np.asarray(patients, dtype=object)
    return pd.DataFrame(
        {"first": names[first], "second": names[second], "won": won[first, second]}
        | {"pairs": pairs[first, second].astype(int), "validation": np.mean([one[2] for one in found])}
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


def linear(known: Cells, checked: Cells, asked: np.ndarray, strengths: tuple[float, ...]) -> list[np.ndarray]:
    """Logits of validation and test cells, of the penalty that is best on the validation cells (the first of equals).

    Args:
        known, checked: cells of training and validation frames, standardised. asked: features (m, c) of test cells.
    """
    best: tuple[float, list[np.ndarray]] | None = None
    for strength in strengths:
        weights, bias = fit_logistic(known.features, known.labels, strength)
        logits = [part @ weights + bias for part in (checked.features, asked)]
        value = checked.score(logits[0])
        value = value if np.isfinite(value) else 0.0
        if best is None or value > best[0]:
            best = value, logits
    assert best is not None  # there is a strength
    return best[1]


def fit_logistic(features: np.ndarray, labels: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
    """Weights (c,) and bias of least mean logistic loss + strength / 2 |weights|², by Newton's steps.

    Args:
        features: (n, c). labels: (n,) of 0 and 1, both present. strength: above 0, so that a minimum exists.
    """
    n, c = features.shape
    design = np.concatenate([features, np.ones((n, 1))], 1)
    penalty = np.append(np.full(c, strength), 0.0)
    share = labels.mean()
    values = np.append(np.zeros(c), np.log(share / (1 - share)))

    def loss(at: np.ndarray) -> float:
        logits = design @ at
        return float((np.logaddexp(0, logits) - labels * logits).mean() + 0.5 * (penalty * at**2).sum())

    for _ in range(50):
        probability = 1 / (1 + np.exp(-np.clip(design @ values, -30, 30)))
        gradient = design.T @ (probability - labels) / n + penalty * values
        curvature = (design * (probability * (1 - probability))[:, None]).T @ design / n + np.diag(penalty)
        step = np.linalg.solve(curvature + 1e-9 * np.eye(c + 1), gradient)
        size, before = 1.0, loss(values)
        while loss(values - size * step) > before and size > 1e-6:
            size /= 2
        values = values - size * step
        if np.abs(size * step).max() < 1e-6:
            break
    return values[:-1], float(values[-1])
