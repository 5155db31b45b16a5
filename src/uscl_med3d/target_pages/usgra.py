"""The page of target `usgra`: methods on single images of real ultrasound."""

from __future__ import annotations

from typing import Any

import pandas as pd

from uscl_med3d.report.html.page import facts, paragraph
from uscl_med3d.report.words import signed
from uscl_med3d.target_pages.claims import write_interval
from uscl_med3d.target_pages.files import TargetFiles
from uscl_med3d.target_pages.tables import Column, Row, Table, form, interval
from uscl_med3d.target_pages.target import Target, show

COMMAND = "snakemake --cores all usgra --configfile workflow/scales/usgra.yaml"
ALL, DISC, OURS, RIVAL = "all", "disc at the click", "SAMUS", "U-Net"
SETS = {
    "usgra": "The images are those of usgra-seg (Timm Kandaouroff, 2025, github.com/tmkand/usgra-seg, CC BY 4.0): nerve and "
    "vessel of volunteers. None of them is on this page. Volunteers cannot be told apart: the set has no ids, so one "
    "person may be on both sides of a split. The numbers compare small networks after a short training; they say "
    "nothing about official weights or about patients."
}
"""Layout of an image set -> what has to be known of it."""


def _explain(row: Row, column: str) -> str:
    return "every mask is empty" if column == "hd95_px" else ""


TABLE = Table(
    "stills",
    "Every method, structure and number of clicks",
    "Dice in percent with 95 % intervals over groups of images; `all` is the mean of the structures' "
    "means. “Another image”: the same clicks on an image of another group, the control. What remains of "
    "the difference is what a method owes to the image. Distance: 95th percentile of the distance between "
    "borders, in pixels, over masks that are not empty.",
    (
        Column("Method", "method"),
        Column("Structure", "class"),
        Column("Clicks", "points", digits=0),
        Column("Dice", *interval("dice"), digits=1),
        Column("Dice, · another image", "dice_other", digits=1),
        Column("Own minus · another image", *interval("own_minus_other", "own_low", "own_high"), digits=1),
        Column("Distance, px", "hd95_px", digits=1),
        Column("Empty masks", "empty", digits=0),
        Column("Images", "images", digits=0),
        Column("Groups", "groups", digits=0),
    ),
    _explain,
    lambda table: _is_first(table),
)


def _rows(files: TargetFiles) -> pd.DataFrame | None:
    """One row per method: all structures, after the first click at most."""
    table = files.read(TABLE.name)
    if table is None or table.empty:
        return None
    return table[_is_first(table)].set_index("method")


def _is_first(table: pd.DataFrame) -> pd.Series:
    """Rows of all structures (of the one, where there is one alone) after the first click at most."""
    alone = table["class"].nunique() == 1
    return ((table["class"] == ALL) | alone) & (table["points"] <= 1)


def summarise(files: TargetFiles) -> str:
    """The best method by Dice, beside the control that does not look, and what SAMUS and the U-Net owe to the image."""
    rows = _rows(files)
    seeing = pd.DataFrame() if rows is None else rows.drop(index=DISC, errors="ignore")
    if rows is None or seeing.empty:
        return (
            f"No result yet: {TABLE.name}.csv is missing or has no rows of a method that looks at the image."
        )
    best = str(seeing["dice"].idxmax())
    parts = [f"After one click at most {best} has the highest Dice, {_dice(rows, best)}"]
    if DISC in rows.index:
        parts.append(f"a disc that does not look at the image has {_dice(rows, DISC)}")
    looks = str(seeing["own_minus_other"].idxmax())
    named = [name for name in (OURS, best, looks) if name in rows.index]
    owed = ", ".join(f"{name} {_owed(rows, name)}" for name in dict.fromkeys(named))
    return f"{'; '.join(parts)}; of their Dice, methods owe to the image: {owed}."


def _dice(rows: pd.DataFrame, name: str) -> str:
    row: Any = rows.loc[name]
    return form(row["dice"], 1) + write_interval(row["ci_low"], row["ci_high"], 1)


def _owed(rows: pd.DataFrame, name: str) -> str:
    row: Any = rows.loc[name]
    return form(row["own_minus_other"], 1) + write_interval(row["own_low"], row["own_high"], 1)


def overview(job: Any, files: TargetFiles) -> str:
    """What has to be known of the images; how SAMUS and the U-Net compare; does each method look at the image?"""
    settings, rows = job.stills, _rows(files)
    known = SETS.get(
        settings.layout, f"The images are those of the folder {settings.folder}, layout {settings.layout}."
    )
    parts = [paragraph(known, "note")]
    if rows is None or rows.empty:
        return "".join(parts)
    most = rows.iloc[0]
    numbers = [
        (form(most["images"], 0), "images"),
        (form(most["groups"], 0), "groups, never divided"),
        (str(settings.folds), "folds"),
        (str(len(rows)), "methods"),
    ]
    return "".join([*parts, facts(numbers), _control(rows), _against_rival(rows)])


def _control(rows: pd.DataFrame) -> str:
    blind = [name for name, row in rows.drop(index=DISC, errors="ignore").iterrows() if row["own_low"] <= 0]
    text = (
        "Control: with the same clicks on another image, Dice is not clearly lower for "
        f"{', '.join(map(str, blind))}: what these score says little of the image."
        if blind
        else "Control: with the same clicks on another image, every method but the disc has a lower Dice; how much lower "
        "is what it owes to the image."
    )
    return paragraph(text, "note bad" if blind else "note good")


def _against_rival(rows: pd.DataFrame) -> str:
    if not {OURS, RIVAL} <= set(rows.index):
        return ""
    dice, owed = (
        float(rows[name].loc[OURS]) - float(rows[name].loc[RIVAL]) for name in ("dice", "own_minus_other")
    )
    return paragraph(
        f"{OURS} minus {RIVAL}: {signed(dice, 1)} Dice; {signed(owed, 1)} by what they owe to the image. {RIVAL} gets no "
        "click and has to find the structure. No claims are judged on this set."
    )


def results(job: Any, files: TargetFiles) -> str:
    """The table."""
    text = (
        "Scores of every image are in stills.csv of this scale. No figure shows the images: they stay "
        "outside the repository."
    )
    return paragraph(text, "muted") + show(TABLE, files, COMMAND)


TARGET = Target(
    name="usgra",
    stage="stills",
    folder="stills",
    figures="figures",
    main="tables/stills.csv",
    tables=(TABLE.name,),
    curves="*-[0-9]*.csv",  # of folds; a training on all images is scored nowhere
    title="USCL-Med3D: single images of real ultrasound",
    asked="Which method segments structures in real ultrasound stills best, after one click at most, and does it look at "
    "the image or only at the click?",
    command=COMMAND,
    again="uscl-med3d regenerate --scale usgra",
    doc="docs/samus.md",
    summarise=summarise,
    overview=overview,
    sections=(("results", "Results", results),),
)
