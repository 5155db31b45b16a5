"""Probes: what frozen features say about a frame. k nearest neighbours, and logistic regression on standardised features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from uscl_med3d.core.seeds import rng
from uscl_med3d.ssl.probe_frames import UNKNOWN, ProbeFrames
from uscl_med3d.ssl.words import ALL, KNN, LINEAR, ROWS, SHUFFLED


def probe_all(
    train: ProbeFrames,
    val: ProbeFrames,
    test: ProbeFrames,
    features: dict[str, np.ndarray],
    settings: Any,
    seed: int,
) -> pd.DataFrame:
    """Scores of every probe for every target of every test frame; columns `ROWS`.

    `validation` is the AUROC of the same probe on validation frames, for choices between arms.

    Args:
        features: split -> (n, c). settings: section `ssl.probe`. seed: of labelled patients and shuffled labels, the same
            for all encoders.
    """
    parts = []
    for target in train.targets:
        for probe, labelled, draw, chosen in _list_probes(train, target, settings, seed):
            labels, known = train.targets[target][chosen], val.targets[target] != UNKNOWN
            checked = val.targets[target][known]
            if (
                probe == SHUFFLED
            ):  # of the frames that choose the penalty, too: else they would find the true answer
                random = rng(seed, "ssl", "shuffled labels", target, draw)
                labels, checked = random.permutation(labels), random.permutation(checked)
            if len(np.unique(labels)) < 2:  # these patients show only one of the two answers
                continue
            asked = test.targets[target] != UNKNOWN
            parts_of = features["train"][chosen], features["val"][known], features["test"][asked]
            if probe == KNN:
                found = [knn(parts_of[0], labels, part, settings.neighbours) for part in parts_of[1:]]
            else:
                found = linear(parts_of, labels, checked, settings.strengths)
            rows = test.table.loc[asked, ["patient", "sweep", "frame"]]
            parts.append(
                rows.assign(
                    probe=probe, labelled=labelled, draw=draw, target=target,
                    present=test.targets[target][asked], score=found[1], validation=auroc(found[0], checked),
                )[ROWS]
            )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _list_probes(
    train: ProbeFrames, target: str, settings: Any, seed: int
) -> Iterator[tuple[str, int, int, np.ndarray]]:
    """Probe, labelled patients per group, draw, and the training frames that are labelled (n,) bool."""
    known = train.targets[target] != UNKNOWN
    for labelled in settings.labelled:
        if labelled is None:
            yield KNN, ALL, 0, known
            yield LINEAR, ALL, 0, known
            for draw in range(settings.draws):
                yield SHUFFLED, ALL, draw, known
            continue
        for draw in range(settings.draws):
            few = draw_patients(train.table, labelled, rng(seed, "ssl", "labelled", draw))
            yield LINEAR, labelled, draw, known & train.table["patient"].isin(few).to_numpy()


def draw_patients(table: pd.DataFrame, count: int, random: np.random.Generator) -> list[str]:
    """`count` patients of every group of a table with the columns patient and group; all where there are fewer."""
    groups = table.groupby("group")["patient"].unique()
    return [
        str(name) for _, names in sorted(groups.items()) for name in random.permutation(sorted(names))[:count]
    ]


def knn(known: np.ndarray, labels: np.ndarray, asked: np.ndarray, neighbours: int) -> np.ndarray:
    """Share of the `neighbours` frames of greatest cosine that are positive; (n, c), (n,), (m, c) -> (m,)."""
    unit = [part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12) for part in (asked, known)]
    similarity = unit[0] @ unit[1].T
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :neighbours]
    return labels[nearest].mean(1)


def linear(
    parts: tuple[np.ndarray, np.ndarray, np.ndarray], labels: np.ndarray, checked: np.ndarray,
    strengths: tuple[float, ...],
) -> list[np.ndarray]:  # fmt: skip
    """Logits of validation and test frames, of the penalty that is best on the validation frames (the first of equals).

    Args:
        parts: features (n, c) of training, validation and test frames; standardised here as the training frames are.
        labels, checked: of the training and of the validation frames.
    """
    mean, spread = parts[0].mean(0), parts[0].std(0)
    known, val, test = ((part - mean) / np.where(spread > 1e-6, spread, 1.0) for part in parts)
    best: tuple[float, list[np.ndarray]] | None = None
    for strength in strengths:
        weights, bias = fit_logistic(known, labels, strength)
        logits = [part @ weights + bias for part in (val, test)]
        value = auroc(logits[0], checked)
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


def auroc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of (positive, negative) pairs in which the positive has the higher score, ties half; NaN without a pair."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    if not len(positive) or not len(negative):
        return float("nan")
    return float(np.mean((np.sign(positive[:, None] - negative[None, :]) + 1) / 2))
