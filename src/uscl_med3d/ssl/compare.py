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
        won: (seed, draw, target, patient, patient): pairs of a positive cell of the first patient and a negative of the
            second in which the positive scores higher, ties half. A draw is one of labelled patients or shuffled labels;
            every training seed has the same ones.
        pairs: (target, patient, patient).
    """

    won: np.ndarray
    pairs: np.ndarray

    def mean(self) -> float:
        """Macro AUROC in percent: over targets with any pair, of the mean over seeds and draws."""
        even = [np.ones((1, count)) for count in (self.pairs.shape[1], *self.won.shape[:2])]
        return float(self.resample(*even)[0])

    def by_target(self) -> np.ndarray:
        """AUROC of every target in percent (target,), NaN without a pair."""
        with np.errstate(invalid="ignore"):
            return 100 * self.won.mean((0, 1)).sum((1, 2)) / self.pairs.sum((1, 2))

    def by_seed(self) -> np.ndarray:
        """Macro AUROC of every seed (seed,)."""
        return np.array([Wins(one[None], self.pairs).mean() for one in self.won])

    def choose(self, seeds: int, targets: Sequence[int]) -> Wins:
        """The first seeds, and some targets by their numbers."""
        return Wins(self.won[:seeds][:, :, list(targets)], self.pairs[list(targets)])

    def resample(self, patients: np.ndarray, seeds: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """Macro AUROC in percent under weights of patients (n, patient), seeds (n, seed) and draws (n, draw) -> (n,)."""
        shares = seeds[:, :, None] * draws[:, None, :]
        shares = shares / shares.sum((1, 2), keepdims=True)
        found = []
        for target in range(len(self.pairs)):
            if not self.pairs[target].any():
                continue
            won = np.zeros(len(patients))
            for seed, draw in np.ndindex(self.won.shape[:2]):
                won += shares[:, seed, draw] * _sum(patients, self.won[seed, draw, target])
            with np.errstate(invalid="ignore", divide="ignore"):
                found.append(100 * won / _sum(patients, self.pairs[target]))
        return np.mean(found, axis=0) if found else np.full(len(patients), np.nan)


def _sum(weights: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Sum over pairs of patients (patient, patient), each weighted by both of its patients (n, patient) -> (n,)."""
    used = sums.any(0) | sums.any(1)  # half of the patients are of the group that is not asked
    weights, sums = weights[:, used], sums[np.ix_(used, used)]
    return np.asarray(((weights @ sums) * weights).sum(1))


@dataclass(frozen=True)
class Compared:
    """A weighted sum of macro AUROCs with its interval; `p` is two-sided, against the value that is asked about."""

    estimate: float
    low: float
    high: float
    p: float


class Resampler:
    """The same resamples of patients, training seeds and draws of labels for everything that is compared.

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

    def repeat(self, count: int, shift: int = 0) -> np.ndarray:
        """Weights of `count` repetitions (n, count), the same at every call; `shift` tells kinds of them apart."""
        random = np.random.default_rng([int(self._random_seeds[count % 16]), shift])
        return random.multinomial(count, np.full(count, 1 / count), size=self.n_boot).astype(float)

    def compare(self, terms: Sequence[tuple[float, Wins]], null: float = 0.0) -> Compared:
        """Sum of weighted macro AUROCs, tested against `null`.

        Terms of equally many seeds and draws share their resamples (they are paired).
        """
        samples = np.zeros(self.n_boot)
        for weight, wins in terms:
            seeds, draws = wins.won.shape[:2]
            samples += weight * wins.resample(self.weights, self.repeat(seeds), self.repeat(draws, 1))
        low, high = interval(samples, self.confidence, self.smallest)
        known = samples[np.isfinite(samples)] - null
        tail = (1 + min((known <= 0).sum(), (known >= 0).sum())) / (1 + len(known))
        return Compared(sum(k * wins.mean() for k, wins in terms), low, high, min(1.0, 2 * float(tail)))


def read_wins(rows: pd.DataFrame, targets: Sequence[str], patients: Sequence[str]) -> Wins:
    """Sums of one arm, probe and number of labelled patients (columns of `words.ROWS`, and training_seed)."""
    seeds, draws = (sorted(rows[name].unique()) for name in ("training_seed", "draw"))
    shape = (len(targets), len(patients), len(patients))
    won, pairs = np.zeros((len(seeds), len(draws), *shape)), np.zeros(shape)
    place = {name: number for number, name in enumerate(patients)}
    at = [rows["target"].map(list(targets).index), rows["first"].map(place), rows["second"].map(place)]
    where = tuple(part.to_numpy() for part in at)
    repeated = [rows["training_seed"].map(seeds.index), rows["draw"].map(draws.index)]
    won[(*(part.to_numpy() for part in repeated), *where)] = rows["won"]
    pairs[where] = rows["pairs"]
    return Wins(won, pairs)
