"""The report of a user's own cohort: what was read, labelled, trained and measured there, and nothing about the paper."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.io import read_json
from uscl_med3d.core.runs import main_run
from uscl_med3d.report.figures import find_figure
from uscl_med3d.report.html import image_use as use
from uscl_med3d.report.html.cost import cost
from uscl_med3d.report.html.page import figure as place_figure
from uscl_med3d.report.html.page import fold, paragraph, table
from uscl_med3d.report.html.provenance import provenance
from uscl_med3d.report.html.pseudolabels import describe
from uscl_med3d.report.html.sections import cohort
from uscl_med3d.report.html.sheets import sheets
from uscl_med3d.report.html.tables import table_section
from uscl_med3d.report.words import count, signed

NOTHING = (
    "No test sweep has key frames or a reference, so no Dice can be computed. Give patients of the test split key frames "
    "to have the model scored on them; they are never trained on."
)
NOT_LOOKED = (
    "Whether the model looks at the image was not measured: that takes scored sweeps of at least two patients with the "
    "same class."
)
ABOUT_USE = (
    "A model that takes clicks can score well by drawing a blob round them. So it is scored twice with the same clicks: "
    "with the image that they belong to, and with another patient's. The difference is what it gains by looking."
)
TITLES = {"fig1": "Annotated key frames", "fig6": "One test case per class"}
CAPTIONS = {
    "fig1": "For each class the annotated frame with the largest area among the first sweeps, plain and with contours.",
    "click_curves": (
        "Mean over classes of the mean over test cases after each click; bands are 95 % intervals over patients. Bands of "
        "two methods may overlap although their paired difference is clear."
    ),
}


def summarise(job: Any, inputs: Any) -> str:
    """The main result in one sentence: mean Dice of what was trained beside the base model's, or why there is none."""
    means = read_means(inputs)
    if means.empty:
        made = ", ".join(list_trained(job)) or "nothing"
        return f"Trained: {made}. Nothing was scored: no test sweep has key frames or a reference."
    point = int(means["points"].max())
    last = means[means["points"] == point]
    values = "; ".join(f"{row.method} {row.dice:.1f}" for row in last.itertuples())
    patients = count(int(last["patients"].max()), "test patient")
    return f"Dice after {count(point, 'click')}: {values} ({patients})."


def read_means(inputs: Any) -> pd.DataFrame:
    """Mean over classes by method and click count, of what was scored: columns method, points, dice, patients."""
    path = Path(inputs.tables_dir) / "table1.csv"
    rows = (
        pd.read_csv(path)
        if path.is_file()
        else pd.DataFrame(columns=["method", "points", "dice", "n_patients"])
    )
    rows = rows[rows["dice"].notna()]
    return (
        rows.groupby(["method", "points"], sort=False)
        .agg(dice=("dice", "mean"), patients=("n_patients", "max"))
        .reset_index()
    )


def list_trained(job: Any) -> list[str]:
    """Main runs of the methods that were trained here."""
    return [main_run(name, entry) for name, entry in job.methods.items() if entry.trained]


def overview(job: Any, inputs: Any) -> str:
    """What was made, what it can be used for, and how far it can be trusted."""
    runs = list_trained(job)
    parts = [
        paragraph(
            "Annotated key frames became labels on whole sweeps (SegGPT), the sweeps without labels taught the encoder "
            "their context (VCL), and an adapter of SAM-Med3D was trained on the labels (LoRA)."
        )
    ]
    for run in runs:
        command = f"uscl-med3d segment CLIP --scale {job.scale} --weights {run} --point COLUMN,ROW,FRAME -o mask.nii.gz"
        parts.append(
            f"<p>Trained: <code>checkpoints/finetune/{escape(run)}.safetensors</code>, used by "
            f"<code>{escape(command)}</code></p>"
        )
    means = read_means(inputs)
    parts.append(paragraph(NOTHING, "note") if means.empty else _compare(job, means))
    return "".join(parts)


def _compare(job: Any, means: pd.DataFrame) -> str:
    """What was trained beside the base model, in a sentence; few patients are said to be few."""
    trained = {entry.label for entry in job.methods.values() if entry.trained}
    last = means[means["points"] == means["points"].max()].set_index("method")
    bases = [name for name in last.index if name not in trained]
    texts = []
    for name in last.index.intersection(list(trained), sort=False):
        against = "".join(
            f", {signed(last.dice[name] - last.dice[base], 1)} against {base}" for base in bases
        )
        texts.append(f"{name}: Dice {last.dice[name]:.1f}{against}.")
    patients = int(last["patients"].max())
    few = patients < job.report.few_patients
    texts.append(
        f"Measured on {count(patients, 'test patient')}"
        + (": too few to tell small differences." if few else ".")
    )
    return paragraph(" ".join(texts), "note")


def look(job: Any, inputs: Any) -> str:
    """Does the model look at the image? Of test patients; on validation patients what the gate has measured."""
    parts = [paragraph(ABOUT_USE)]
    path = inputs.image_use_csv
    frame = pd.read_csv(path) if path is not None and Path(path).is_file() else pd.DataFrame()
    gate = read_json(inputs.gate_json) if inputs.gate_json and Path(inputs.gate_json).is_file() else {}
    judged = gate.get("image_use", {})
    if frame.empty and not judged:
        return "".join(parts) + paragraph(NOT_LOOKED, "note")
    if not frame.empty:
        rows = [use.as_row(record) for record in frame.to_dict("records")]
        parts += [use.tell(frame), _figure(inputs, "image_use"), fold("all values", table(use.HEADER, rows))]
    for run, found in judged.items():
        text = (
            f"Validation patients, {run}: {signed(found['first_click'], 1)} Dice by looking after the first click, "
            f"{signed(found['last_click'], 1)} after the last."
        )
        parts.append(paragraph(text, "muted"))
    return "".join(parts)


def scores(job: Any, inputs: Any) -> str:
    """Tables and figures of test patients; one sentence where nothing was scored."""
    if read_means(inputs).empty:
        return paragraph(NOTHING, "note")
    shown = "".join(_figure(inputs, name) for name in ("click_curves", "cases", "fig6", "failures"))
    return table_section(job, inputs) + shown


def read(job: Any, inputs: Any) -> str:
    """Patients and sweeps by group and split, what was left out, an example of every class."""
    return cohort(job, inputs) + _figure(inputs, "fig1")


def _figure(inputs: Any, name: str) -> str:
    module = find_figure(name)
    path = inputs.figures_dir / f"{name}.png"
    if not path.is_file():  # the user's `figures.drawn` leaves it out
        return ""
    title = TITLES.get(name, re.sub(r"^Figure [0-9]+\. ", "", module.TITLE))
    return place_figure(path, title, CAPTIONS.get(name, module.CAPTION))


def labels(job: Any, inputs: Any) -> str:
    """Counts and quality of the pseudo-labels, and how they look."""
    return describe(job, inputs) + "".join(
        _figure(inputs, name) for name in ("fig2", "fig3", "pseudolabel_quality")
    )


def training(job: Any, inputs: Any) -> str:
    """Learning curves of what was trained."""
    return _figure(inputs, "learning_curves") or paragraph(
        f"Trained: {', '.join(list_trained(job)) or 'nothing'}."
    )


SECTIONS: tuple[tuple[str, str, Callable[[Any, Any], str]], ...] = (
    ("overview", "Overview", overview),
    ("cohort", "Cohort", read),
    ("sheets", "What was read", sheets),
    ("pseudolabels", "Pseudo-labels", labels),
    ("training", "Training", training),
    ("tables", "Scores", scores),
    ("image_use", "Image use", look),
    ("cost", "Cost", cost),
    ("provenance", "Provenance", provenance),
)
