"""What the training of every base model shares: its stages in turn, their learning curves, and the written files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from uscl_med3d.core.io import sha256, write_csv, write_json
from uscl_med3d.core.params.schedule import Schedule
from uscl_med3d.nets.card import preprocessing_of
from uscl_med3d.predict.official_cards import describe_card
from uscl_med3d.train import engine

COLUMNS = ["stage", "step", "loss", "learning_rate"]
DICE_COLUMNS = [
    "validation_dice",
    "first_click_dice",
    "first_click_other_image",
    "last_click_dice",
    "last_click_other_image",
]
"""Dice (0..100) of the first stage; of later ones after the first and the last click, with the own and another image."""


@dataclass
class Stages:
    """Runs the stages of one training; an interrupted one goes on with the same bytes.

    Args:
        job: the typed job. name: of the training, for its random streams. title: of the progress bar.
        weights_out: the file that the training makes; resume files lie beside it. belongs: see `engine.fingerprint`.

    Attributes:
        curve: rows of all stages so far.
    """

    job: Any
    name: str
    title: str
    weights_out: Path
    belongs: str
    precision: str = "float32"
    curve: list[dict[str, Any]] = field(default_factory=list)
    _unfinished: list[engine.ResumeFile] = field(default_factory=list)

    def run(self, stage: str, make_task: Callable[[], engine.Task], schedule: Schedule) -> None:
        """Train one stage to its end. The task is made here, because it may change where the last stage ended."""
        resume = engine.ResumeFile(
            self.weights_out.with_name(f"{self.weights_out.name}.{stage}"), self.belongs
        )
        progress = engine.run(
            make_task(),
            schedule,
            seeds=(self.job.seed, self.name, stage),
            resume=resume,
            precision=self.precision,
            title=f"{self.title}, {stage}",
        )
        self.curve += [{"stage": stage, **row} for row in progress.curve]
        self._unfinished.append(resume)

    def finish(self) -> None:
        """Forget the resume files, once the outputs are written."""
        for file in self._unfinished:
            file.remove()


def write_description(
    settings: Any,
    network: nn.Module,
    weights_out: Path,
    curve_out: Path,
    curve: list[dict[str, Any]],
    columns: list[str],
    facts: Mapping[str, Any],
) -> None:
    """Write the learning curve, and the weights' card (a .json beside them): where they come from, how they are fed."""
    write_csv(curve_out, pd.DataFrame(curve, columns=[*COLUMNS, *columns]))
    write_json(
        weights_out.with_suffix(".json"),
        {
            "weights": settings.weights,
            "source": settings.source,
            "sha256": sha256(weights_out),
            **describe_card(weights_out.stem, preprocessing_of(settings.weights)),
            "parameters": sum(value.numel() for value in network.parameters()),
            **facts,
        },
    )
