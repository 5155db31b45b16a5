"""Words and columns that probes write and tables read; without torch."""

from __future__ import annotations

KNN, LINEAR, SHUFFLED = "k-NN", "linear", "linear, labels shuffled"
"""Probes."""

ROWS = ["probe", "labelled", "draw", "target", "patient", "sweep", "frame", "present", "score", "validation"]
"""Columns of an arm's scores, before `arm` and `training_seed`."""

ALL = 0
"""Of labelled patients: all training patients."""

UNTUNED = -1
"""In place of a number of labelled patients: the base model as it comes."""

GROUP = "group"
"""The target that asks for the group; every other target is a structure."""


def name_labelled(count: int) -> str:
    """A number of labelled patients per group, for tables."""
    return {ALL: "all", UNTUNED: "untuned"}.get(count, str(count))
