"""Words and columns that probes write and tables read; without torch."""

from __future__ import annotations

KNN, LINEAR, SHUFFLED = "k-NN", "linear", "linear, labels shuffled"
"""Probes."""

ROWS = ["probe", "labelled", "draw", "target", "first", "second", "won", "pairs", "validation"]
"""Columns of an arm's sums, before `arm` and `training_seed`.

One row per target and pair of test patients: `pairs` of a positive cell of the patient `first` and a negative one of
`second` at the same place, and how many the positive `won` (ties half). `draw`: of few labelled patients, or of shuffled
labels. `validation` is the AUROC, 0 to 1, on validation patients.
"""

ALL = 0
"""Of labelled patients: all training patients."""

UNTUNED = -1
"""In place of a number of labelled patients: the base model as it comes."""


def name_labelled(count: int) -> str:
    """A number of labelled patients per group, for tables."""
    return {ALL: "all", UNTUNED: "untuned"}.get(count, str(count))
