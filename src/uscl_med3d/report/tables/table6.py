"""Table 6: methods without clicks, on each human reference; USCL-Med3D with all its clicks beside them.

Not in the paper. Methods of this table are prompted with nothing or with annotated key frames, so they are never a
row of the tables by clicks.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from uscl_med3d.core.reporting import BLIND
from uscl_med3d.report.scores import HUMAN_REFERENCES
from uscl_med3d.report.tables.context import Context, Source, source_of_method

TITLE = "Methods without clicks: Dice per class on ultrasound"
KEYS = ("reference", "method", "class")
INDEX, COLUMNS = ("reference", "method"), ("class",)

MEAN = "mean"


def list_labels(context: Context, prompt: str) -> list[str]:
    """Labels of the registry's methods with one kind of prompt, in its order; without those that look at nothing."""
    methods = context.job.methods.items()
    return [entry.label for name, entry in methods if entry.prompt == prompt and name not in BLIND]


def clicked_label(context: Context) -> str:
    """Name of the row that is shown for comparison."""
    sweep = context.sweep()
    return f"{sweep[1].label if sweep else 'USCL-Med3D'}, {context.last_point} clicks"


def source(context: Context, keys: dict[str, Any]) -> Source:
    """Where a cell comes from."""
    label, click = keys["method"], 0
    if label in BLIND:
        click = context.last_point
    elif label == clicked_label(context):
        label, click = label.rsplit(", ", 1)[0], context.last_point
    found = source_of_method(context, label, "us", click)
    return Source(found.runs, found.dataset, found.click, found.reason, keys["reference"])


def build(scores: pd.DataFrame, context: Context) -> pd.DataFrame:
    """One row per reference, method and class, and the mean over classes."""
    labels = [
        *list_labels(context, "none"),
        *list_labels(context, "key_frames"),
        clicked_label(context),
        *BLIND,
    ]
    rows = []
    for reference in HUMAN_REFERENCES:
        for label in labels:
            for name in (*context.classes, MEAN):
                keys = {"reference": reference, "method": label, "class": name}
                classes = context.classes if name == MEAN else [name]
                rows.append(context.cell("table6", keys, source(context, keys), classes))
    return pd.DataFrame(rows)


def describe(context: Context) -> str:
    """What each method is given, and what it is scored on."""
    nothing, key_frames = list_labels(context, "none"), list_labels(context, "key_frames")
    parts = ["Test patients; Dice on the full volume grid; mean over cases, then over classes."]
    if nothing:
        parts.append(f"No prompt, trained on the same pseudo-labels: {', '.join(nothing)}.")
    if key_frames:
        parts.append(
            f"Prompted with annotated key frames of the same sweep: {', '.join(key_frames)}. Against the complete "
            "reference masks they get all key frames and the whole volume counts, prompt frames included; against "
            "held-out key frames each inner key frame is predicted from all the others, and the inner ones count."
        )
    parts.append(
        f"{clicked_label(context)}: clicks on the reference; all key frames of a test sweep are held out and count."
    )
    parts.append(f"ball: round the same {context.last_point} clicks; atlas: where the class usually lies.")
    return " ".join(parts)
