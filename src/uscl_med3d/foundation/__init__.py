"""Base models: the shipped ones, trainings, official checkpoints, and the synthetic data that some are trained on."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from uscl_med3d.core import shipped
from uscl_med3d.core.io import atomic, write_json


def make(
    model: str,
    job: Any,
    general_dirs: Mapping[str, Path],
    teacher: Path | None,
    weights_out: Path,
    curve_out: Path,
) -> None:
    """Write the weights of one base model, a .json beside them that says where they come from, and the learning curve.

    Args:
        model: key of `foundation`. job: the typed job `foundation_<model>`.
        general_dirs: set name -> folder; for models that are trained on them.
        teacher: weights of the base model that it learns from, where there is one.

    Raises:
        InputError: for missing or unsuitable files.
    """
    if getattr(job, model).weights == shipped.SHIPPED:
        _copy_shipped(model, job, Path(weights_out), Path(curve_out))
        return
    import_module(f"uscl_med3d.foundation.{model}").train(job, general_dirs, teacher, weights_out, curve_out)


def _copy_shipped(model: str, job: Any, weights_out: Path, curve_out: Path) -> None:
    card, files = shipped.check(model), shipped.list_files(model)
    shipped.check_fit(model, card, shipped.describe_network(job, model))
    for source, target in ((files.weights, weights_out), (files.curve, curve_out)):
        with atomic(target) as temporary:
            shutil.copyfile(source, temporary)
    kept = ("sha256", "recipe", "source", "parameters", "facts")
    facts = {name: card[name] for name in kept if name in card}
    write_json(weights_out.with_suffix(".json"), {"weights": shipped.SHIPPED, **facts})
