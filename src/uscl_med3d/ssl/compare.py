"""Intervals and tests of the probes' AUROC, over patients and training seeds.

AUROC of a target is a ratio of sums over pairs of cells at the same place. With the pairs summed per pair of patients, a
resample of patients is a weighting of these sums, so that cells of a patient always come and go together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from uscl_med3d.report.statistics import interval


@dataclass(frozen=True)
class Wins:
    """Sums of one arm and probe.

    Attributes:
        won: (seed, target, patient, patient): pairs of a positive cell of the first patient and a negative of the second
            in which the positive scores higher, ties half. Draws of labelled patients are averaged.
        pairs: (target, patient, patient).
    """

    won: np.ndarray
    pairs: np.ndarray

    def mean(self) -> float:
        """Macro AUROC in percent: over targets with any pair, of the mean over seeds."""
        return float(self.resample(np.ones((1, self.pairs.shape[1])), np.ones((1, len(self.won))))[0])

    def by_target(self) -> np.ndarray:
        """AUROC of every target in percent (target,), NaN without a pair."""
        with np.errstate(invalid="ignore"):
            return 100 * self.won.mean(0).sum((1, 2)) / self.pairs.sum((1, 2))

    def by_seed(self) -> np.ndarray:
        """Macro AUROC of every seed (seed,)."""
        return np.array([Wins(one[None], self.pairs).mean() for one in self.won])

    def resample(self, patients: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """Macro AUROC in percent under weights of patients (draw, patient) and seeds (draw, seed) -> (draw,)."""
        found = []
        for target in range(len(self.pairs)):
            if not self.pairs[target].any():
                continue
            share = seeds / seeds.sum(1, keepdims=True)
            won = sum(
                share[:, s, None] * ((patients @ self.won[s][target]) * patients).sum(1, keepdims=True)
                for s in range(len(self.won))
            )
            pairs = ((patients @ self.pairs[target]) * patients).sum(1)
            with np.errstate(invalid="ignore", divide="ignore"):
                found.append(100 * np.asarray(won)[:, 0] / pairs)
        return np.mean(found, axis=0) if found else np.full(len(patients), np.nan)


@dataclass(frozen=True)
class Compared:
    """A weighted sum of macro AUROCs with its interval; `p` is two-sided, against zero."""

    estimate: float
    low: float
    high: float
    p: float


class Resampler:
    """The same resamples of patients and of training seeds for everything that is compared.

    Patients are drawn within their groups. Seeds are drawn as well: with two or three of them this understates what a
    further seed would add, which docs/ssl.md says.

    Args:
        table: one row a test patient, with the columns patient and group.
    """

    def __init__(
        self, table: pd.DataFrame, n_boot: int, confidence: float, random: np.random.Generator
    ) -> None:
        self.patients = table["patient"].tolist()
        self.confidence, self.n_boot = confidence, n_boot
        self.weights = np.zeros((n_boot, len(table)))
        groups = table["group"].to_numpy()
        for group in sorted(set(groups)):
            members = np.flatnonzero(groups == group)
            even = np.full(len(members), 1 / len(members))
            self.weights[:, members] = random.multinomial(len(members), even, size=n_boot)
        self.smallest = int(pd.Series(groups).value_counts().min())
        self._random_seeds = random.integers(0, 2**31, 16)

    def seeds(self, count: int) -> np.ndarray:
        """Weights of `count` training seeds (draw, count), the same at every call."""
        random = np.random.default_rng(int(self._random_seeds[count % 16]))
        return random.multinomial(count, np.full(count, 1 / count), size=self.n_boot).astype(float)

    def compare(self, terms: Sequence[tuple[float, Wins]]) -> Compared:
        """Sum of weighted macro AUROCs; terms of equally many seeds share their resamples (they are paired)."""
        samples = sum(k * wins.resample(self.weights, self.seeds(len(wins.won))) for k, wins in terms)
        samples = np.asarray(samples)
        low, high = interval(samples, self.confidence, self.smallest)
        known = samples[np.isfinite(samples)]
        tail = (1 + min((known <= 0).sum(), (known >= 0).sum())) / (1 + len(known))
        return Compared(sum(k * wins.mean() for k, wins in terms), low, high, min(1.0, 2 * float(tail)))


def read_wins(rows: pd.DataFrame, targets: Sequence[str], patients: Sequence[str]) -> Wins:
    """Sums of one arm, probe and number of labelled patients (columns of `words.ROWS`, and training_seed)."""
    seeds = sorted(rows["training_seed"].unique())
    shape = (len(targets), len(patients), len(patients))
    won, pairs = np.zeros((len(seeds), *shape)), np.zeros(shape)
    place = {name: number for number, name in enumerate(patients)}
    at = [rows["target"].map(list(targets).index), rows["first"].map(place), rows["second"].map(place)]
    where = tuple(part.to_numpy() for part in at)
    won[(rows["training_seed"].map(seeds.index).to_numpy(), *where)] = rows["won"]
    pairs[where] = rows["pairs"]
    return Wins(won, pairs)
