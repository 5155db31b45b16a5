"""The annotation-cost curve: how many key frames per sweep are enough?

For each number of key frames: the Dice of the pseudo-labels made from them (training sweeps; held-out key frames and,
where they exist, complete reference masks), the share of frames that the gate accepted, and the Dice of the model that
was trained on them (test patients). One table and one figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from uscl_med3d.core import seeds
from uscl_med3d.report import style
from uscl_med3d.report.figures.pseudolabel_quality import read_quality
from uscl_med3d.report.patients import AVERAGED, average_seeds
from uscl_med3d.report.scores import choose_protocol, choose_reference, read_scores
from uscl_med3d.report.statistics import Estimate, estimate
from uscl_med3d.report.tables.plain import PlainTable, write_plain_table

NAME = "annotation_cost"
CURVES = {
    "model": ("model trained on them, test patients", "o", "#0072B2"),
    "true_mask": ("pseudo-labels, complete reference masks", "s", "#E69F00"),
    "held_out_key_frame": ("pseudo-labels, held-out key frames", "^", "#009E73"),
}
"""Column of the table: words in the figure, marker, colour."""

TABLE = PlainTable(
    title="Annotation cost: key frames per sweep",
    caption=(
        "Dice (0-100) with interval (bootstrap over patients). Pseudo-labels: training sweeps, the frames of the "
        "reference, before the gate, mean over classes. Accepted: share of frames that the gate lets into training. "
        "Model: trained on these pseudo-labels, test patients, after the last click. One key frame is the middle one; "
        "from two on the first and the last are among them. One training seed."
    ),
    label=NAME,
    columns={
        "key_frames": "Key frames",
        "held_out_key_frame_text": "Pseudo-labels, held-out key frames",
        "true_mask_text": "Pseudo-labels, complete masks",
        "accepted_percent": "Accepted, %",
        "model_text": "Model",
    },
    integers=("key_frames",),
)


def build_annotation_cost(
    job: Any, scores: Sequence[Path], pseudolabels: Sequence[Path], out_dir: Path
) -> None:
    """Write `annotation_cost` as CSV, Markdown, LaTeX, PNG and PDF.

    Args:
        job: parameters of `annotation`.
        scores, pseudolabels: files and folders of the numbers of key frames, in the order of the parameters.
        out_dir: where to write.
    """
    rows = [
        _row(job, count, Path(file), Path(folder))
        for count, file, folder in zip(job.annotation.key_frames, scores, pseudolabels, strict=True)
    ]
    frame = pd.DataFrame(rows)
    write_plain_table(frame, TABLE, Path(out_dir) / f"{NAME}.csv")
    with style.styled():
        style.save(draw(frame), Path(out_dir), NAME, job.figures.dpi)


def draw(frame: pd.DataFrame) -> Figure:
    """Dice of pseudo-labels and of the model against the number of key frames."""
    figure = style.new_figure(3.2)
    axes = figure.subplots()
    for name, (label, marker, colour) in CURVES.items():
        rows = frame[frame[name].notna()]
        if rows.empty:
            continue
        spans = [
            (rows[name] - rows[f"{name}_low"]).clip(lower=0),
            (rows[f"{name}_high"] - rows[name]).clip(lower=0),
        ]
        axes.errorbar(
            rows["key_frames"],
            rows[name],
            yerr=spans,
            color=colour,
            marker=marker,
            ms=4,
            lw=1.2,
            capsize=2,
            label=label,
        )
    axes.set_xticks(frame["key_frames"])
    axes.set_xlabel("key frames per sweep")
    axes.set_ylabel("Dice")
    axes.legend(loc="best", frameon=False)
    return figure


def _row(job: Any, count: int, scores: Path, pseudolabels: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"key_frames": count}
    quality = read_quality(pseudolabels)
    for reference in ("held_out_key_frame", "true_mask"):
        cases = quality[(quality["reference"] == reference) & (quality["method"] == "seggpt")]
        cases = cases[(cases["split"] == "train") & cases["dice"].notna()]
        cases = cases.assign(case=cases["sweep"] + ":" + cases["frame"].astype(str), training_seed=0)
        row |= _columns(job, reference, cases[list(AVERAGED)], count)
    sweeps = pd.read_csv(pseudolabels / "sweeps.csv")
    sweeps = sweeps[sweeps["split"] == "train"]
    accepted = sweeps.loc[sweeps["accepted"], "frames_accepted"].sum()
    row["accepted_percent"] = 100 * accepted / max(1, sweeps["frames"].sum())
    return row | _columns(job, "model", _model_rows(job, scores), count)


def _model_rows(job: Any, scores: Path) -> pd.DataFrame:
    shown = choose_protocol(
        read_scores([scores]), job.evaluate.crops[0], job.evaluate.click_simulators[0], "test"
    )
    shown = shown[(shown["dataset"] == "us") & (shown["click"] == max(job.report.points))]
    return average_seeds(shown[shown["reference"] == choose_reference(shown)])


def _columns(job: Any, name: str, rows: pd.DataFrame, count: int) -> dict[str, Any]:
    report = job.report
    rng = seeds.rng(job.seed, "report", "annotation", name, count)
    made: Estimate | None = None
    if len(rows):
        made = estimate(rows, tuple(job.classes), report.confidence, report.n_boot, rng)
    nan = float("nan")
    mean, low, high = (made.mean, made.low, made.high) if made else (nan, nan, nan)
    text = f"{mean:.1f} [{low:.1f}, {high:.1f}]" if made else "–"
    return {name: mean, f"{name}_low": low, f"{name}_high": high, f"{name}_text": text}
