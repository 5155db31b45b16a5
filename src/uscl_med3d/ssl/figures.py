"""Figures of the comparison of pretext tasks, from its tables alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uscl_med3d.core.params.ssl import NONE
from uscl_med3d.report.style import (
    BASELINE,
    DASHES,
    FAINT,
    INK,
    MARKERS,
    METHOD_COLOURS,
    MUTED,
    OURS,
    class_title,
    new_figure,
    save,
    say,
    share_legend,
    styled,
    wrap,
)
from uscl_med3d.ssl.claims import CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED
from uscl_med3d.ssl.words import ALL, KNN, LINEAR, SHUFFLED, UNTUNED, name_labelled

VERDICTS = {SUPPORTED: "#009E73", CONTRADICTED: "#D55E00", UNDECIDED: MUTED, NOT_TESTABLE: "#BBBBBB"}
_DPI = 150
Tables = Mapping[str, pd.DataFrame]


def draw_all(tables: Iterable[Path], out: Path) -> None:
    """Write every figure of `FIGURES`, as PNG and PDF, into the folder `out`.

    Args:
        tables: files of `tables.build_tables`, found by their names.
    """
    read = {Path(file).stem: pd.read_csv(file) for file in tables}
    for name, build in FIGURES.items():
        with styled():
            save(build(read), out, name, _DPI)


def draw_probes(tables: Tables) -> Figure:
    """AUROC of every arm's probes: the mean over targets, and each target; intervals over patients and seeds."""
    table = tables["probe"]
    all_of = table[table["labelled"] == name_labelled(ALL)]
    arms = [name for name in all_of["arm"].unique() if not name.startswith("augment")]
    targets = ["mean", *sorted(set(all_of["target"]) - {"mean"})]
    figure = new_figure(0.9 + 0.2 * len(arms), 10.0)
    panels = figure.subplots(1, len(targets), sharey=True, squeeze=False)[0]
    looks = {
        LINEAR: {"fmt": "o", "color": OURS},
        KNN: {"fmt": "s", "color": BASELINE, "mfc": "white"},
        SHUFFLED: {"fmt": "x", "color": "#D55E00"},
    }
    for panel, target in zip(panels, targets, strict=True):
        panel.axvline(50, color=INK, lw=0.8, zorder=0)
        for shift, (probe, look) in zip((-0.2, 0.0, 0.2), looks.items(), strict=True):
            own = all_of[(all_of["probe"] == probe) & (all_of["target"] == target)].set_index("arm")
            rows = [(place + shift, own.loc[name]) for place, name in enumerate(arms) if name in own.index]
            _bars(panel, rows, "auroc", probe, look)
        panel.set_title("mean over targets" if target == "mean" else class_title(target))
        panel.set_xlabel("AUROC (%)")
    _name_rows(panels[0], arms)
    share_legend(figure, panels[:1])
    return figure


def draw_table8(tables: Tables) -> Figure:
    """Dice of test patients over labelled patients, for every start of the encoder, after the first and last click."""
    table = tables["table8"]
    figure = new_figure(3.4)
    clicks = sorted(table["clicks"].unique()) if len(table) else [0, 1]
    panels = figure.subplots(1, len(clicks), sharey=True, squeeze=False)[0]
    if not len(table):
        for panel in panels:
            say(panel, "no table: this scale has no method to compare")
        return figure
    tuned = table[table["labelled_per_group"] != name_labelled(UNTUNED)]
    starts = [NONE, *(name for name in tuned["start"].unique() if name != NONE)]
    counts = [str(name) for name in tuned.sort_values("labelled_patients")["labelled_per_group"].unique()]
    for panel, click in zip(panels, clicks, strict=True):
        base = table[(table["labelled_per_group"] == name_labelled(UNTUNED)) & (table["clicks"] == click)]
        for row in base.to_dict("records"):
            panel.axhline(row["dice"], color=BASELINE, lw=1, ls=":", label="base model, untuned")
        for number, name in enumerate(starts):
            own = tuned[(tuned["start"] == name) & (tuned["clicks"] == click)]
            own = own.set_index(own["labelled_per_group"].astype(str)).loc[counts]
            x = np.arange(len(counts)) + 0.07 * (number - (len(starts) - 1) / 2)
            colour = INK if name == NONE else ([OURS, *METHOD_COLOURS] * 2)[number - 1]
            spread = np.abs(own[["ci_low", "ci_high"]].to_numpy().T - own["dice"].to_numpy())
            panel.errorbar(
                x,
                own["dice"],
                spread,
                color=colour,
                marker=MARKERS[number % len(MARKERS)],
                ls=DASHES[0] if name == NONE else DASHES[2],
                lw=1,
                elinewidth=0.8,
                label="no pretext task" if name == NONE else name,
            )
        panel.set_title(f"after {click} click{'s' if click > 1 else ''}")
        patients = tuned.drop_duplicates("labelled_per_group").set_index("labelled_per_group")
        numbers = patients["labelled_patients"].rename(str)
        panel.set_xticks(range(len(counts)), [f"{name}\n(n = {numbers.loc[name]})" for name in counts])
        panel.set_xlabel("labelled patients per group (n: in all)")
    panels[0].set_ylabel("Dice (%)")
    share_legend(figure, panels, columns=5)
    return figure


def draw_augment(tables: Tables) -> Figure:
    """Every combination of changes of a view, and the main effect of each."""
    table = tables["augment"]
    figure = new_figure(2.6)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    look = {"fmt": "o", "color": OURS}
    cells, effects = (table[table["kind"] == kind] for kind in ("cell", "main effect"))
    for panel, part in ((left, cells), (right, effects)):
        _bars(panel, list(enumerate(part.to_dict("records"))), "auroc", "", look)
    shown = cells["name"].str.removeprefix("augment_").str.replace("_", " + ")
    _name_rows(left, [name if name == "crop" else f"crop + {name}" for name in shown])
    left.set_xlabel("AUROC (%), mean over targets")
    left.set_title("every combination")
    _name_rows(
        right,
        [f"{row.name_} (p = {row.p:.2f})" for row in effects.rename(columns={"name": "name_"}).itertuples()],
    )
    right.axvline(0, color=INK, lw=0.8)
    right.set_xlabel("AUROC with it minus without")
    right.set_title("main effects")
    return figure


def draw_metadata(tables: Tables) -> Figure:
    """BYOL with a branch that is told metadata, against BYOL alone and against the branch's controls."""
    table = tables["metadata"]
    rows = table[table["arm"] != "byol"].to_dict("records")
    figure = new_figure(2.4)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    left.axvline(0, color=INK, lw=0.8)
    difference = [
        {"auroc": row["minus_byol"], "ci_low": row["minus_byol_low"], "ci_high": row["minus_byol_high"]}
        for row in rows
    ]
    _bars(left, list(enumerate(difference)), "auroc", "", {"fmt": "o", "color": OURS})
    left.set_xlabel("AUROC minus that of BYOL alone")
    right.barh(range(len(rows)), [row["branch_accuracy"] for row in rows], height=0.5, color=FAINT)
    right.set_xlabel("branch's accuracy (%)")
    _name_rows(left, [_name_branch(row) for row in rows])
    return figure


def _name_branch(row: Mapping[Any, Any]) -> str:
    told = {"patient": "its patient", "random": "a random class (control)"}.get(
        row["metadata"], class_title(str(row["metadata"]))
    )
    told += " of another patient (control)" if row["shuffled"] else ""
    return f"{told}, weight {row['branch_weight']:g}"


def draw_verdicts(tables: Tables) -> Figure:
    """Every claim with its estimate, interval and verdict."""
    table = tables["claims"]
    tested = table[table["estimate"].notna()]
    dice = tested["measure"].str.startswith("Dice")
    parts = {"AUROC (points), frames": tested[~dice], "Dice (points), SAM-Med3D's adapters": tested[dice]}
    parts = {title: part for title, part in parts.items() if len(part)}
    figure = new_figure(1.0 + 0.23 * max(len(part) for part in parts.values()), 11.0)
    panels = figure.subplots(1, len(parts), squeeze=False)[0]
    for panel, (title, part) in zip(panels, parts.items(), strict=True):
        panel.axvline(0, color=INK, lw=0.8)
        for verdict, colour in VERDICTS.items():
            rows = [
                (place, row) for place, row in enumerate(part.to_dict("records")) if row["verdict"] == verdict
            ]
            _bars(panel, rows, "estimate", verdict, {"fmt": "o", "color": colour})
        panel.set_xlabel(title)
        _name_rows(panel, [_name_claim(row) for row in part.to_dict("records")])
    share_legend(figure, panels)
    return figure


def _name_claim(row: Mapping[Any, Any]) -> str:
    name = str(row["claim"])
    return name.removeprefix("T8 ") if name.startswith("T8 ") else wrap(f"{name}: {row['text']}", 62)


def _bars(
    axes: Axes, rows: Sequence[tuple[float, Any]], column: str, label: str, look: dict[str, Any]
) -> None:
    """Points with intervals, one a row; nothing where there are none."""
    if not rows:
        return
    places, values = [place for place, _ in rows], np.array([row[column] for _, row in rows], float)
    ends = np.array([[row["ci_low"], row["ci_high"]] for _, row in rows], float).T
    spread = np.nan_to_num(np.maximum(np.abs(ends - values), 0.0))
    axes.errorbar(values, places, xerr=spread, ms=3.5, lw=0, elinewidth=1, label=label or None, **look)


def _name_rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)


FIGURES: dict[str, Callable[[Tables], Figure]] = {
    "probes": draw_probes,
    "table8": draw_table8,
    "augment": draw_augment,
    "metadata": draw_metadata,
    "verdicts": draw_verdicts,
}
"""Name -> what draws it."""
