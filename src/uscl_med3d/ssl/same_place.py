"""AUROC of cells at the same place of a frame.

Place alone tells much: a liver is rarely at the edge of the fan. So a cell that shows a structure is compared only with
cells at its own place in other frames. A score that knows the place and nothing else then wins half of its pairs.

That alone does not keep place out. A probe that is fitted over all places learns where a structure usually lies, and may say
it by features that go with the structure itself: with shuffled labels it then still wins more (or fewer) than half of the
pairs. So features and labels are centred at every place before a fit: `centre`.
"""

from __future__ import annotations

import numpy as np

_DIGITS = 9  # equal scores may differ in the last bits of a matrix product; they count as ties


def sum_pairs(
    scores: np.ndarray, labels: np.ndarray, places: np.ndarray, owners: np.ndarray, patients: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a positive and a negative cell at the same place, summed per pair of patients.

    Args:
        scores, labels, places, owners: (m,) of cells; labels of 0 and 1, owners the numbers of their patients.

    Returns:
        won: (patients, patients) float64, row the positive's patient, column the negative's: pairs in which the positive
            scores higher, ties half. pairs: the same shape, all pairs.
    """
    scores = np.round(scores, _DIGITS)
    won, pairs = np.zeros(patients * patients), np.zeros(patients * patients)
    for place in np.unique(places):
        positive, negative = ((places == place) & (labels == value) for value in (1, 0))
        higher = (np.sign(scores[positive][:, None] - scores[negative][None, :]) + 1) / 2
        flat = (owners[positive][:, None] * patients + owners[negative][None, :]).ravel()
        won += np.bincount(flat, higher.ravel(), len(won))
        pairs += np.bincount(flat, minlength=len(won))
    return won.reshape(patients, patients), pairs.reshape(patients, patients)


def mean_at_places(values: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
    """Means of values (m, c) of cells at every place, (count, c); NaN at places without a cell."""
    total, cells = np.zeros((count, values.shape[1])), np.bincount(places, minlength=count)
    np.add.at(total, places, values)
    with np.errstate(invalid="ignore"):
        return total / cells[:, None]


def centre(values: np.ndarray, places: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Values (m, c) minus the `means` (places, c) of their places; 0, which says nothing, where there is no mean."""
    return np.nan_to_num(values - means[places], nan=0.0)


def auroc_at_places(scores: np.ndarray, labels: np.ndarray, places: np.ndarray) -> float:
    """Share of all pairs of `sum_pairs` that are won, 0 to 1; NaN without a pair."""
    won, pairs = sum_pairs(scores, labels, places, np.zeros(len(scores), int), 1)
    return float(won[0, 0] / pairs[0, 0]) if pairs[0, 0] else float("nan")
