"""The section about pseudo-labels: counts, quality, and whether SegGPT is worth having."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from uscl_med3d.report.figures import fig2, fig3, pseudolabel_gap, pseudolabel_quality
from uscl_med3d.report.figures.pseudolabel_quality import METHODS, REFERENCES, read_quality
from uscl_med3d.report.html.page import cell, facts, figure, paragraph, table
from uscl_med3d.report.style import class_title

FIGURES: tuple[ModuleType, ...] = (fig2, fig3, pseudolabel_quality, pseudolabel_gap)


def pseudolabels(job: Any, inputs: Any) -> str:
    """Counts of the gate, quality by class and method, and the figures."""
    parts = [describe(job, inputs)]
    for module in FIGURES:
        name = module.__name__.rpartition(".")[2]
        parts.append(figure(inputs.figures_dir / f"{name}.png", module.TITLE, module.CAPTION))
    return "".join(parts)


def describe(job: Any, inputs: Any) -> str:
    """Counts of the gate, and quality by class and method."""
    return _counts(inputs) + _verdict(inputs) + _quality_table(job, inputs)


def _counts(inputs: Any) -> str:
    path = None if inputs.pseudolabels_dir is None else Path(inputs.pseudolabels_dir) / "sweeps.csv"
    if path is None or not path.is_file():
        return paragraph("No record of the gate (sweeps.csv).", "note")
    sweeps = pd.read_csv(path)
    accepted = sweeps["accepted"].astype(bool)
    used = sweeps.loc[accepted, "frames_accepted"].sum()
    parts = [
        facts(
            [
                (f"{accepted.sum()} of {len(sweeps)}", "sweeps accepted"),
                (f"{used:.0f} of {sweeps['frames'].sum():.0f}", "frames that enter training"),
                (f"{sweeps['key_frames'].sum():.0f}", "key frames used as prompts"),
            ]
        )
    ]
    reasons = sweeps.loc[~accepted, "reason"].fillna("no reason recorded").value_counts().sort_index()
    parts += [paragraph(f"Rejected: {count} × {reason}.", "muted") for reason, count in reasons.items()]
    good, bad = (_mean(sweeps, f"true_dice_{kind}_frames") for kind in ("accepted", "rejected"))
    if good is not None and bad is not None:
        word = (
            "separates good frames from bad ones"
            if good > bad
            else "does NOT separate good frames from bad ones"
        )
        text = f"Against the true masks, accepted frames have Dice {good:.1f}, rejected ones {bad:.1f}: the gate {word}."
        parts.append(paragraph(text, "note good" if good > bad else "note bad"))
    return "".join(parts)


def _mean(sweeps: pd.DataFrame, column: str) -> float | None:
    if column not in sweeps:
        return None
    values = pd.to_numeric(sweeps[column], errors="coerce").dropna()
    return float(values.mean()) if len(values) else None


def _verdict(inputs: Any) -> str:
    """One plain sentence per reference: does SegGPT beat the alternatives that need no model?"""
    quality, parts = read_quality(inputs.pseudolabels_dir), []
    for reference, words in REFERENCES.items():
        rows = quality[quality["reference"] == reference]
        if rows.empty:
            continue
        means = rows.groupby("method")["dice"].mean()
        if "seggpt" not in means or len(means) < 2:
            continue
        others = means.drop("seggpt")
        best = str(others.idxmax())
        numbers = ", ".join(f"{METHODS[name][0]} {means[name]:.1f}" for name in METHODS if name in means)
        if means["seggpt"] > others.max():
            text = f"SegGPT beats both alternatives {words} (mean Dice: {numbers})."
        else:
            text = (
                f"SegGPT LOSES to {METHODS[best][0]} {words} (mean Dice: {numbers}): on this cohort the trivial "
                "alternative makes the better pseudo-labels."
            )
        parts.append(paragraph(text, "note good" if means["seggpt"] > others.max() else "note bad"))
    return "".join(parts) or paragraph(
        "Not scored: this cohort has no masks to score pseudo-labels against.", "note"
    )


def _quality_table(job: Any, inputs: Any) -> str:
    quality = read_quality(inputs.pseudolabels_dir)
    if quality.empty:
        return ""
    means = quality.pivot_table(index=["reference", "class"], columns="method", values="dice", aggfunc="mean")
    counts = quality[quality["method"] == "seggpt"].groupby(["reference", "class"]).size()
    rows = []
    for reference, words in REFERENCES.items():
        for name in job.classes:
            if (reference, name) in means.index:
                values = means.loc[(reference, name)]
                numbers = [cell(f"{values[m]:.1f}" if m in values else "–", "number") for m in METHODS]
                count = cell(str(counts.get((reference, name), 0)), "number")
                rows.append([cell(words), cell(class_title(name)), *numbers, count])
    header = ("Reference", "Class", *(label for label, _ in METHODS.values()), "Frames or volumes")
    return table(header, rows)
