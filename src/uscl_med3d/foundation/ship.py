"""Weights that were trained by `workflow/scales/foundation.yaml` -> files that come with the program; and their comparison.

Shipped weights are half precision; their values, not those of the training, define the results.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch

from uscl_med3d.core import shipped
from uscl_med3d.core.io import atomic, read_json, sha256, write_csv, write_json
from uscl_med3d.core.params import load_job
from uscl_med3d.core.params.foundation import BASE_MODELS
from uscl_med3d.core.plan import Plan

LEARNED_FROM = {
    True: "simulated CT and MR volumes, without any ultrasound; says nothing about accuracy on patients",
    False: "simulated natural-looking scenes, without any medical image",
}
LICENCE = "Apache-2.0"
AIM = {"first": 15.0, "last": 20.0}
"""Dice points that a model should lose with another image, after the first and the last click (docs/image_use.md)."""


def halve(source: Path, target: Path) -> None:
    """Write a file of weights again in half precision: floating-point tensors only, the same description."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(str(source), framework="pt") as stream:
        description = stream.metadata()
        tensors = {name: stream.get_tensor(name) for name in sorted(stream.keys())}
    halved = {
        name: value.half().contiguous() if value.dtype == torch.float32 else value
        for name, value in tensors.items()
    }
    with atomic(target) as temporary:
        save_file(halved, temporary, description)


def ship(plan: Plan, models: Sequence[str], folder: Path) -> list[Path]:
    """Copy trained base models of a scale into a folder of shipped ones, each with its card and learning curve.

    Args:
        plan: of the scale that trained them. models: keys of `foundation`. folder: `core.shipped.FOLDER` for everybody.
    """
    made = []
    for model in models:
        weights = Path(plan.foundation_weights(model))
        job_file, receipt = (
            Path(plan.results, part, f"{name}.json")
            for part, name in (("params", f"foundation_{model}"), ("receipts/foundation", model))
        )
        curve = Path(plan.results, "curves/foundation", f"{model}.csv")
        files = [folder / f"{model}.safetensors", folder / f"{model}_curve.csv", folder / f"{model}.json"]
        folder.mkdir(parents=True, exist_ok=True)
        halve(weights, files[0])
        shutil.copyfile(curve, files[1])
        card = describe(model, job_file, pd.read_csv(curve), read_json(weights.with_suffix(".json")))
        card |= {"sha256": sha256(files[0]), "receipt": read_json(receipt) if receipt.is_file() else None}
        if model == "sam_med3d":  # takes clicks in a volume by itself (`uscl-med3d segment`)
            job = read_json(Path(plan.results, "params/evaluate/sam_med3d.json"))
            ingest = read_json(Path(plan.results, "params/all.json"))["ingest"]
            card |= {"job": job, "ingest": ingest}
        write_json(files[2], card)
        made += files
    return made


def describe(model: str, job_file: Path, curve: pd.DataFrame, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The card of a trained base model, without its hash."""
    declared, job = BASE_MODELS[model], load_job(f"foundation_{model}", job_file)
    scores = image_use(curve)
    return {
        "model": model,
        "title": declared.title,
        "method": model,
        "domain": "CT and MR volumes" if declared.general else "natural-looking images",
        "learned_from": LEARNED_FROM[declared.general],
        "licence": LICENCE,
        "made_by": "workflow/scales/foundation.yaml",
        "source": facts["source"],
        "parameters": facts["parameters"],
        "base": None,
        "validation_dice": None,
        "network": shipped.describe_network(job, model),
        "recipe": shipped.hash_recipe(read_json(job_file)),
        "image_use": scores,
        "facts": {name: facts[name] for name in ("held_out", "validation") if name in facts},
    }


def image_use(curve: pd.DataFrame) -> dict[str, Any] | None:
    """Dice (0..100) on held-out patients or scenes with the own and with another image, of the last row of a curve.

    None for models that take no clicks. `passes` says whether both differences reach `AIM`.
    """
    if "last_click_other_image" not in curve:
        return None
    row = curve.iloc[-1]
    found = {}
    for name, aim in AIM.items():
        own, other = float(row[f"{name}_click_dice"]), float(row[f"{name}_click_other_image"])
        found[f"{name}_click"] = {
            "dice_own": round(own, 2),
            "dice_other": round(other, 2),
            "difference": round(own - other, 2),
            "aim": aim,
        }
    passes = all(one["difference"] >= one["aim"] for one in found.values())
    return {**found, "difference": found["last_click"]["difference"], "passes": passes}


def compare(plan: Plan, out: Path) -> str:
    """Write, for every base model that a scale trained, whether it is the shipped one; the same as a text.

    `recipe`: whether the parameters are the same. `bytes`: whether the weights are, in half precision.
    """
    rows = []
    with TemporaryDirectory() as folder:
        for model in plan.foundations:
            card_file = shipped.list_files(model).card
            card = read_json(card_file) if card_file.is_file() else {}
            halved = Path(folder, f"{model}.safetensors")
            halve(Path(plan.foundation_weights(model)), halved)
            recipe = shipped.hash_recipe(read_json(plan.job_file(f"foundation_{model}")))
            found = sha256(halved)
            rows.append(
                {
                    "model": model,
                    "recipe": "same" if recipe == card.get("recipe") else "different",
                    "bytes": "same" if found == card.get("sha256") else "different",
                    "sha256": found,
                    "sha256_shipped": card.get("sha256", ""),
                }
            )
    write_csv(out, pd.DataFrame(rows))
    return "\n".join(f"{row['model']}: recipe {row['recipe']}, bytes {row['bytes']}" for row in rows)
