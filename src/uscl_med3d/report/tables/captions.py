"""Captions: what a table's numbers rest on, in words that change with the data."""

from __future__ import annotations

import pandas as pd

from uscl_med3d.core.reporting import BLIND
from uscl_med3d.report.tables import table6, table7
from uscl_med3d.report.tables.context import Context
from uscl_med3d.report.tables.layout import MARK
from uscl_med3d.report.words import count

REFERENCES = {
    "true_mask": "the complete reference masks",
    "held_out_key_frames": "held-out annotated key frames (never used as prompts)",
}
CROPS = {
    "first_click": "crop placed at the first click",
    "oracle": "ORACLE crop, centred on the reference mask (uses the ground truth)",
    "sliding": "sliding crops",
}
CLICKS = {
    "random_error": "clicks drawn uniformly from the error region",
    "largest_error_centre": "clicks at the centre of the largest error component",
}


def write_caption(name: str, frame: pd.DataFrame, context: Context) -> str:
    """One paragraph: value, interval, reference, protocol, patients, seeds, what is missing."""
    interval = _interval(context)
    value = f"Dice (0–100) [{interval}]"
    marked = _marked(frame)
    if name == "table6":  # not in the paper; both references and no clicks
        parts = [f"{value}.", table6.describe(context), _patients(frame, context), _seeds(context), marked]
        return " ".join(part for part in parts if part)
    if name == "table7":  # not in the paper; no Dice but in its first column
        parts = [
            f"Mean [{interval}].",
            _reference(name, context),
            _protocol(name, context),
            table7.describe(context),
            _slices(frame.assign(points=context.last_point), context),
            _patients(frame, context),
            _seeds(context),
            marked,
        ]
        return " ".join(part for part in parts if part)
    parts = [
        f"{value}." if context.own else f"{value} (value reported by the paper, on its private data).",
        _reference(name, context),
        _protocol(name, context),
        _slices(frame, context),
        _patients(frame, context),
        _seeds(context),
        marked,
    ]
    return " ".join(part for part in parts if part)


def _marked(frame: pd.DataFrame) -> str:
    if not (frame["below"].fillna("") != "").any():
        return ""
    return f"{MARK} worse than a row that looks at no image: {' or '.join(BLIND)}."


def _reference(name: str, context: Context) -> str:
    if name == "table2":
        return "Scored against the sets' own labels."
    tail = (
        " General-domain sets: their own labels. With the adapter off it must equal SAM-Med3D."
        if name == "table4"
        else ""
    )
    if (
        context.scores.empty
        or context.scores.loc[context.scores["dataset"] == "us", "dice"].notna().sum() == 0
    ):
        return "Ultrasound is not scored: no reference masks." + tail
    return f"Ultrasound is scored against {REFERENCES[context.reference]}." + tail


def _protocol(name: str, context: Context) -> str:
    crop, simulator = context.job.evaluate.crops[0], context.job.evaluate.click_simulators[0]
    text = f"Test patients; {CLICKS[simulator]}; {CROPS[crop]}; Dice on the full volume grid."
    if name == "table1":
        return text + " Mean over cases."
    after = f" after {context.last_point} clicks" if name not in ("table2", "table7") else ""
    return text + f" Mean over classes of the mean over cases{after}."


def _slices(frame: pd.DataFrame, context: Context) -> str:
    """What the clicks of the 2D methods amount to: N clicks in every slice are not N clicks."""
    labels = [e.label for e in context.job.methods.values() if e.works_on == "slice"]
    if "points" not in frame:
        return ""
    rows = frame[frame["method"].isin(labels) & (frame["points"] == context.last_point)]
    means = rows.dropna(subset=["volume_clicks"]).groupby("method", sort=False)["volume_clicks"].mean()
    if means.empty:
        return ""
    low, high = f"{means.min():.0f}", f"{means.max():.0f}"
    number = low if low == high else f"{low} to {high}"
    return (
        f"2D methods ({', '.join(means.index)}) get their clicks in every slice that shows the object: "
        f"{context.last_point} per slice are {number} per volume on average."
    )


def _patients(frame: pd.DataFrame, context: Context) -> str:
    counts = frame.loc[frame["n_patients"] > 0, "n_patients"]
    if counts.empty:
        return ""
    low, high = int(counts.min()), int(counts.max())
    text = f"{count(low, 'patient')}." if low == high else f"{low} to {high} patients per cell."
    if low < context.job.report.few_patients:
        text += " Few patients: read the intervals, not the means."
    return text


def _interval(context: Context) -> str:
    report = context.job.report
    text = f"{report.confidence:.0%} interval: {report.n_boot} bootstrap samples of patients"
    if len(context.job.training_seeds) > 1:
        text += "; where several training seeds were scored, over patients and seeds"
    return text


def _seeds(context: Context) -> str:
    # Those that were scored, not those that are planned: a run cut into sittings may have fewer.
    training = context.scores["training_seed"].nunique()
    clicks = context.scores["click_seed"].nunique()
    return f"{count(training, 'training seed')}, {count(clicks, 'click seed')}." if clicks else ""
