"""Table 7: beyond Dice at one click. Area under the curve, clicks to reach, failures, surfaces.

Not in the paper. Ultrasound test patients, every method of the registry that is scored on them.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from uscl_med3d.core import seeds
from uscl_med3d.report.measures import list_units, measure_cases, name_noc, name_reached
from uscl_med3d.report.statistics import estimate
from uscl_med3d.report.tables.context import Context, Source, source_of_method

TITLE = "Beyond Dice: ultrasound test patients"
KEYS = ("method", "measure")
INDEX, COLUMNS = ("method",), ("measure",)
VALUE = "value"
"""Column with the number: its unit depends on the measure."""

NO_CLICKS = "takes no clicks"
EMPTY = "HD95 leaves out cases without any predicted voxel (their NSD is 0)"


def list_labels(context: Context) -> list[str]:
    """Every method of the registry that is a model of its own and scored on ultrasound, in its order."""
    entries = context.job.methods.values()
    return [entry.label for entry in entries if entry.weights_of is None and "us" in entry.datasets]


def list_measures(context: Context) -> list[str]:
    """Names of the columns, in order."""
    targets = context.job.report.noc_targets
    clicks = [name for target in targets for name in (name_noc(target), name_reached(target))]
    units = list_units(_ultrasound(context)) or [context.job.evaluate.untracked_distance]
    surfaces = [f"{kind}_{unit}" for unit in units for kind in ("nsd", "hd95")]
    return ["dice", "area", *clicks, "failures", *surfaces]


def source(context: Context, keys: dict[str, Any]) -> Source:
    """Where a cell comes from."""
    name = context.method_with_label(keys["method"])
    clicked = name is None or context.job.methods[name].takes == "clicks"
    return source_of_method(context, keys["method"], "us", context.last_point if clicked else 0)


def build(scores: pd.DataFrame, context: Context) -> pd.DataFrame:
    """One row per method and measure."""
    rows, measures = [], list_measures(context)
    for label in list_labels(context):
        place = source(context, {"method": label})
        cases = cases_of(context, place)
        # Dice is the cell of the other tables; where it is missing, its reason explains the whole row.
        dice = context.cell("table7", {"method": label, "measure": "dice"}, place, context.shown_classes)
        dice["value"] = dice.pop("dice")
        rows.append(dice)
        for name in measures[1:]:
            rows.append(_cell(context, place, cases, dice, name))
    return pd.DataFrame(rows)


def cases_of(context: Context, place: Source) -> pd.DataFrame:
    """Measures of every test case of one method, see `measures.measure_cases`."""
    report, rows = context.job.report, _ultrasound(context)
    rows = rows[rows["run"].isin([run.id for run in place.runs])]
    return measure_cases(rows, place.click, report.noc_targets, report.failure_dice)


def _ultrasound(context: Context) -> pd.DataFrame:
    rows = context.scores[context.scores["dataset"] == "us"]
    return rows[rows["reference"] == context.reference]


def _cell(
    context: Context, place: Source, cases: pd.DataFrame, dice: dict[str, Any], name: str
) -> dict[str, Any]:
    row = dice | {"measure": name}
    values = cases[cases["measure"] == name]
    if pd.isna(dice["value"]) or values.empty:
        nothing = dict.fromkeys(("value", "ci_low", "ci_high", "volume_clicks"), float("nan"))
        reason = dice["reason"] if pd.isna(dice["value"]) else _explain(context, place, name)
        return row | nothing | {"n_patients": 0, "n_cases": 0, "reason": reason}
    report = context.job.report
    # The same stream as for Dice: all measures of a method are resampled over the same patients.
    rng = seeds.rng(context.job.seed, "report", place.runs[0].id, "us", place.click, *context.shown_classes)
    made = estimate(values, context.shown_classes, report.confidence, report.n_boot, rng, "value")
    reasons = [f"mean without {', '.join(made.missing)}: no scored case"] if made.missing else []
    if name.startswith("hd95_") and len(values) < (cases["measure"] == name.replace("hd95", "nsd")).sum():
        reasons.append(EMPTY)
    return row | {
        "value": made.mean,
        "ci_low": made.low,
        "ci_high": made.high,
        "n_patients": made.n_patients,
        "n_cases": made.n_cases,
        "reason": "; ".join(reasons),
    }


def _explain(context: Context, place: Source, name: str) -> str:
    if not name.startswith(("nsd_", "hd95_")):
        return NO_CLICKS
    if context.reference != "true_mask":
        return "surface distances need complete reference masks"
    if place.click not in (0, *context.job.evaluate.surface_at):
        return f"not computed after {place.click} clicks (params.yaml: evaluate.surface_at)"
    return "no predicted voxel, or no case in this unit"


def describe(context: Context) -> str:
    """What each column is."""
    report, last = context.job.report, context.last_point
    clicks = [click for click in context.clicks("us") if click <= last]
    every = clicks == list(range(1, last + 1))
    which = f"1 to {last}" if every else ", ".join(map(str, clicks)) or "that were recorded"
    names = ", ".join(f"NoC@{target:g}" for target in report.noc_targets)
    tolerance = context.job.evaluate.nsd_tolerance
    return (
        f"Dice, failures, NSD and HD95 after {last} clicks. Area: mean Dice over the clicks {which}. {names}: clicks "
        f"until Dice first reaches the target; a case that never does counts {last + 1}, and the share that does "
        f"stands beside. Failures: share of cases with Dice below {report.failure_dice:g}. NSD (0–100) at "
        f"{tolerance.voxel:g} voxels, or {tolerance.mm:g} mm where the unit is mm; sweeps without millimetres along "
        "the sweep are measured in voxels. HD95: smaller is better; a case without any predicted voxel has none. "
        "An interval without width says that no resample differed, not that the value is certain."
    )
