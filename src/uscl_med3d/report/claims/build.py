"""Comparisons that several claims share. A method is named by its key in the registry."""

from __future__ import annotations

from collections.abc import Sequence

from uscl_med3d.core.params.methods import Run
from uscl_med3d.report.contrasts import Contrast, Level
from uscl_med3d.report.reported import PAPER_METHODS
from uscl_med3d.report.tables.context import MODULES, Context, source_of_cell
from uscl_med3d.report.tables.table4 import registry_key

REGISTRY_SAM, REGISTRY_USCL, FASTSAM3D = "sam_med3d", "uscl_med3d", "fastsam3d"
FULL, ADAPTFORMER = "full_tuning", "adaptformer"
GENERAL = ("amos", "totalsegmentator", "brats")


def runs_of(context: Context, name: str) -> tuple[tuple[Run, ...], str]:
    """Runs of a method given by its key or by its name in the paper's tables, and the reason where there are none."""
    name_here = PAPER_METHODS.get(name, name)
    key = name_here if name_here in context.job.methods else registry_key(context, name)
    if key is None:
        return (), f"no method {name} at this scale: section `methods`"
    return tuple(context.main_runs(key)), ""


def against(
    context: Context,
    first: str,
    second: str,
    dataset: str,
    click: int,
    label: str,
    classes: tuple[str, ...] | None = None,
    margin: float = 0.0,
) -> Contrast:
    """First method minus second on one dataset."""
    (left, no_left), (right, no_right) = runs_of(context, first), runs_of(context, second)
    levels = (Level(1.0, left, dataset, click), Level(-1.0, right, dataset, click))
    return Contrast(label, levels, classes, margin, missing=no_left or no_right)


def change_of_lead(
    context: Context, first: str, second: str, dataset: str, few: int, many: int, label: str
) -> Contrast:
    """How much the first method's lead over the second grows from few clicks to many."""
    early, late = (against(context, first, second, dataset, click, label) for click in (few, many))
    minus = tuple(Level(-level.weight, level.runs, level.dataset, level.click) for level in early.levels)
    return Contrast(label, late.levels + minus, missing=early.missing)


def difference_of_datasets(
    context: Context, method: str, more: Sequence[str], less: Sequence[str], label: str
) -> Contrast:
    """One method's mean over some datasets minus that over others: different patients, so unpaired."""
    runs, missing = runs_of(context, method)
    click = context.last_point
    levels = tuple(Level(1 / len(more), runs, name, click) for name in more)
    levels += tuple(Level(-1 / len(less), runs, name, click) for name in less)
    return Contrast(label, levels, paired=False, missing=missing)


def mean_over_datasets(
    context: Context, first: str, second: str, datasets: Sequence[str], label: str
) -> Contrast:
    """First method minus second, averaged over datasets."""
    parts = [against(context, first, second, name, context.last_point, label) for name in datasets]
    levels = tuple(
        Level(level.weight / len(datasets), level.runs, level.dataset, level.click)
        for part in parts
        for level in part.levels
    )
    return Contrast(label, levels, missing=parts[0].missing)


def cells(
    context: Context,
    first: tuple[int, str, bool],
    second: tuple[int, str, bool],
    label: str,
    margin: float = 0.0,
) -> Contrast:
    """One cell (rank, modules, VCL) of the LoRA sweep minus another, on ultrasound after the last click."""
    left, right = (
        source_of_cell(context, rank, MODULES[modules], vcl) for rank, modules, vcl in (first, second)
    )
    click = context.last_point
    levels = (Level(1.0, left.runs, "us", click), Level(-1.0, right.runs, "us", click))
    return Contrast(label, levels, margin=margin, missing=left.reason or right.reason)


def main_rank(context: Context) -> int:
    """The LoRA rank of Tables 1 to 4."""
    grid = context.grid()
    return grid.rank if grid else 0
