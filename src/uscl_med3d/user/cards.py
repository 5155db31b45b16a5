"""Model card and data card, generated from what was run: parameters, sidecars, curves and tables. No number is typed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from uscl_med3d.core.io import read_json, write_text
from uscl_med3d.core.params.methods import Grid
from uscl_med3d.core.runs import main_cell
from uscl_med3d.nets.card import read_card
from uscl_med3d.user.models import Choice

_MODULES = {"encoder": "image_encoder", "decoder": "mask_decoder", "both": "image_encoder+mask_decoder"}
_SIMULATED = (
    "**Simulated data.** Every image this model learned from, and every image behind the numbers below, was simulated. They "
    "say how the pipeline behaves, and nothing about accuracy on patients."
)


def write_model_card(path: Path, choice: Choice, results: Path | None) -> None:
    """Write what a model is, what it learned from, how well it did, and what it must not be used for.

    Args:
        path: of the Markdown file.
        choice: the model.
        results: results/<scale> whose parameters and tables are shown; None where they are not at hand.
    """
    lines = [f"# Model card: {choice.name}", "", *_describe_model(choice), "", "## Training data", ""]
    card = read_card(choice.checkpoint or choice.base)
    if results is None and "learned_from" in card:  # shipped with the package
        lines += [f"Learned from {card['learned_from']}.", "", "## Results", "", *_describe_shipped(card), ""]
    elif results is None:
        lines += ["Not known here: the weights were given as a file, without results.", ""]
        lines += ["## Results", "", "None at hand.", ""]
    else:
        lines += [
            *_describe_training(choice, results),
            "",
            "## Results",
            "",
            *_describe_results(choice, results),
            "",
        ]
    write_text(path, "\n".join([*lines, *_LIMITS, ""]))


def write_data_card(path: Path, choice: Choice, results: Path) -> None:
    """Write what the cohort of a scale consists of, counted from the sidecars of its volumes; no identifiers appear."""
    sidecars = [read_json(file) for file in sorted((results / "volumes").glob("*/sidecar.json"))]
    lines = ["# Data card", "", _origin(results), ""]
    if not sidecars:
        lines += [f"The volumes are not here ({results / 'volumes'}), so nothing can be counted.", ""]
    else:
        lines += [*_count(sidecars), "", *_describe_images(sidecars), ""]
    lines += ["| class | label value |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in choice.job.classes.items()]
    lines += [
        "",
        "Splits are by patient. Key frames of test patients score models; nothing learns from them.",
        "Consent, ethics approval and licence of the data are not known to this software: add them before sharing.",
        "",
    ]
    write_text(path, "\n".join(lines))


def is_simulated(results: Path) -> bool | None:
    """Whether a scale's cohort was simulated; None where its parameters are not there."""
    file = results / "params/all.json"
    return read_json(file).get("cohort") == "simulate" if file.is_file() else None


def find_rows(choice: Choice, results: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(table, row) of the tables of a scale that belong to a run; a row has the columns that `report.tables` writes."""
    import pandas as pd

    run, file = choice.job.run, results / "params/report.json"
    methods = read_json(file)["methods"] if file.is_file() else {}
    if run.method not in methods:
        return
    grid = methods[run.method].get("grid")
    is_main = run.id == (main_cell(run.method, Grid.model_validate(grid)) if grid else run.method)
    wanted: dict[str, dict[str, Any]] = {}
    if is_main:
        wanted |= {table: {"method": methods[run.method]["label"]} for table in ("table1", "table2")}
    if grid and run.rank == grid["rank"]:
        wanted["table3"] = {"tuned_modules": _MODULES[run.modules], "vcl_head": run.pretraining is not None}
    if grid and run.pretraining is not None:
        wanted["table5"] = {"rank": run.rank, "tuned_modules": _MODULES[run.modules]}
    for table, keys in wanted.items():
        path = results / f"tables/{table}.csv"
        if not path.is_file():
            continue
        rows = pd.read_csv(path)
        for key, value in keys.items():
            rows = rows[rows[key] == value] if key in rows else rows.iloc[:0]
        for row in rows.dropna(subset=["dice"]).to_dict("records"):
            yield table, {str(name): value for name, value in row.items()}


def _describe_model(choice: Choice) -> list[str]:
    run, model = choice.job.run, choice.job.model
    lines = [f"- method: {run.method}"]
    if run.rank is not None:
        start = f"pretrained by {run.pretraining}" if run.pretraining else "without pretraining"
        lines.append(f"- LoRA of rank {run.rank} on {run.modules}, {start}")
    lines += [
        f"- network: SAM-Med3D, {model.depth} blocks of width {model.embed_dim}, input {model.image_size}³ voxels",
        f"- voxels: {choice.ingest.spacing_mm} mm in the image plane, at most {choice.ingest.max_frames} frames",
        "- prompts: clicks in 3D; boxes as clicks; any object may be clicked",
    ]
    if choice.job.method.trained:
        lines.append(f"- classes it was tuned on: {', '.join(choice.job.classes)}")
    return lines


def _origin(results: Path) -> str:
    simulated = is_simulated(results)
    if simulated is None:
        return "Where the data is from is not known here."
    return _SIMULATED if simulated else "The data is the user's own cohort, given by a table of sweeps."


def _describe_training(choice: Choice, results: Path) -> list[str]:
    lines = [_origin(results), ""]
    facts = results / f"curves/finetune/{choice.name}.json"
    if facts.is_file():
        values = read_json(facts)
        lines += [
            f"- {name.replace('_', ' ')}: {values[name]}"
            for name in (
                "sweeps",
                "targets",
                "crops",
                "steps",
                "kept_step",
                "trainable_parameters",
                "total_parameters",
            )
            if name in values
        ]
    lines.append(
        "- labels of training sweeps: pseudo-labels, propagated from a few annotated frames of each sweep"
    )
    return lines


def _describe_shipped(card: dict[str, Any]) -> list[str]:
    """What the card of a shipped model says it is worth."""
    lines = _describe_validation(card["validation_dice"])
    if card["image_use"] is not None:
        lines.append(
            f"With another image it loses {card['image_use']['difference']:.1f} Dice points after the last click."
        )
    return lines or ["No score is kept with it."]


def _describe_validation(dice: float | None) -> list[str]:
    if dice is None:
        return []
    return [f"Mean Dice on validation cases of ultrasound at the last click: {dice:.1f}.", ""]


def _describe_results(choice: Choice, results: Path) -> list[str]:
    from uscl_med3d.report.tables import TABLES

    lines = _describe_validation(choice.validation_dice)
    rows = list(find_rows(choice, results))
    if not rows:
        return [*lines, f"The tables of {results} have no row of this run."]
    lines += [
        "Dice in percent with its interval over test patients (bootstrap; `confidence` of the parameters). Image use: Dice "
        "points lost with another patient's image, where measured. Below: rows that look at no image and are better.",
        "",
        "| table | what | Dice | interval | patients | cases | image use | below |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for table, row in rows:
        what = ", ".join(f"{key} {row[key]}" for key in TABLES[table].KEYS)
        uses = "–" if math.isnan(row["image_use"]) else f"{row['image_use']:.1f}"
        below = row["below"] if isinstance(row["below"], str) else "–"
        lines.append(
            f"| {table} | {what} | {row['dice']:.1f} | {row['ci_low']:.1f} to {row['ci_high']:.1f} "
            f"| {row['n_patients']} | {row['n_cases']} | {uses} | {below} |"
        )
    return lines


def _count(sidecars: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| group | split | patients | sweeps | key frames that prompt | held-out key frames | full references |",
        "|---|---|---|---|---|---|---|",
    ]
    for group, split in sorted({(each["group"], each["split"]) for each in sidecars}):
        these = [each for each in sidecars if (each["group"], each["split"]) == (group, split)]
        roles = Counter(frame["role"] for each in these for frame in each["key_frames"])
        patients, prompts = len({each["patient"] for each in these}), roles["prompt"] + roles["correction"]
        lines.append(
            f"| {group} | {split} | {patients} | {len(these)} | {prompts} | {roles['held_out']} "
            f"| {sum(each['has_reference'] for each in these)} |"
        )
    return lines


def _describe_images(sidecars: list[dict[str, Any]]) -> list[str]:
    probes = Counter(each["probe"] or "unknown" for each in sidecars)
    formats = Counter(f"{each['source_format']} ({each['source_codec']})" for each in sidecars)
    frames = [each["source_shape"][0] for each in sidecars]
    untracked = sum(each["axis_without_millimetres"] == "d" for each in sidecars)
    unknown = sum(each["spacing_mm"]["h"] is None for each in sidecars)
    not_used = sum(len(each["key_frames_not_used"]) for each in sidecars)
    return [
        f"- probes: {', '.join(f'{count} {name}' for name, count in sorted(probes.items()))}",
        f"- files: {', '.join(f'{count} {name}' for name, count in sorted(formats.items()))}",
        f"- frames per sweep: {min(frames)} to {max(frames)}",
        f"- sweeps without millimetres between frames: {untracked} of {len(sidecars)}",
        f"- sweeps of unknown pixel size: {unknown} of {len(sidecars)}",
        f"- key frames not used, because another one lies in the same voxel or takes their place: {not_used}",
    ]


_LIMITS = [
    "## Limits",
    "",
    "- Masks depend on the clicks; another user's clicks give another mask.",
    "- Scanners, probes, organs and diseases that the training data lacks were not tested.",
    "- Freehand sweeps have no millimetres between frames, so volumes in millilitres cannot be read off these masks.",
    "- Text burned into the image region is seen by the model like tissue.",
    "",
    "## Intended use",
    "",
    "Research on segmentation of ultrasound sweeps. Not a medical device; not for diagnosis, treatment or any decision "
    "about a patient. Whoever uses it on other data measures it there first.",
]
