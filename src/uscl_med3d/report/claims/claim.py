"""What a claim is, and what it may look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from uscl_med3d.report.contrasts import Contrast
from uscl_med3d.report.reported import load_reported, reported_value
from uscl_med3d.report.statistics import Difference
from uscl_med3d.report.tables.context import Context

COLUMNS = (
    "id",
    "claim",
    "source",
    "test",
    "estimate",
    "ci_low",
    "ci_high",
    "verdict",
    "why",
    "paper_numbers",
)


@dataclass(frozen=True)
class Evidence:
    """Everything that a claim may be tested on.

    Attributes:
        context: scores and registry.
        pseudolabels_dir: folder with `quality.csv`, or None.
        sizes: run -> number of parameters that it trains.
        blind: methods that have not passed the gate of image use, each with what was found.
        tables_dir: folder of the cost tables, for claims about measured cost alone.
    """

    context: Context
    pseudolabels_dir: Path | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    blind: Mapping[str, str] = field(default_factory=dict)
    tables_dir: Path | None = None


@dataclass(frozen=True)
class Finding:
    """One comparison with its result, or the reason why there is none."""

    label: str
    result: Difference | str


@dataclass(frozen=True)
class Decided:
    """A verdict that does not come from a comparison of scores."""

    estimate: float
    verdict: str
    why: str


@dataclass(frozen=True)
class Claim:
    """One claim of the paper.

    Attributes:
        id: short name.
        claim: the claim in our words.
        source: where the paper makes it.
        test: what would confirm or refute it here.
        paper_numbers: whether the paper's own tables bear it out, computed from the reported values.
        contrasts: the comparisons it consists of; or None, and `examine` gives findings or a verdict instead.
        about_training: whether it compares ways of training, so that one training seed cannot decide it.
        unit: unit of the estimate.
    """

    id: str
    claim: str
    source: str
    test: str
    paper_numbers: Callable[[], str]
    contrasts: Callable[[Context], Sequence[Contrast]] | None = None
    examine: Callable[[Evidence], Sequence[Finding] | Decided] | None = None
    about_training: bool = False
    unit: str = "points"


def reported_mean(method: str, points: int) -> float:
    """The paper's mean over classes of Table 1."""
    table = load_reported("table1")
    return float(table[(table["method"] == method) & (table["points"] == points)]["reported"].mean())


def table1(method: str) -> pd.Series:
    """The paper's Table 1 for one method, by points and class."""
    table = load_reported("table1")
    return table[table["method"] == method].set_index(["points", "class"])["reported"]


def table2(method: str, dataset: str, points: int) -> float:
    """A cell of the paper's Table 2."""
    return reported_value("table2", method=method, dataset=dataset, points=points)


def table3(modules: str, vcl: bool) -> float:
    """A cell of the paper's Table 3."""
    return reported_value("table3", tuned_modules=modules, vcl_head=vcl)


def table4(method: str, dataset: str) -> float:
    """A cell of the paper's Table 4."""
    return reported_value("table4", method=method, dataset=dataset)


def table5(rank: int, modules: str) -> float:
    """A cell of the paper's Table 5."""
    return reported_value("table5", rank=rank, tuned_modules=modules)


def list_values(values: Sequence[float]) -> str:
    """Numbers with sign and two digits at most, separated by commas."""
    return ", ".join(f"{round(value, 2):+g}" for value in values)


def bears_out(held: bool, text: str) -> str:
    """The text behind `bears it out` or `contradicts it`."""
    return ("bears it out: " if held else "contradicts it: ") + text
