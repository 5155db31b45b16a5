"""A checkout in which the scale `paper` has run at full size, with the counts of workflow/scales/full.yaml."""

from __future__ import annotations

import csv
import json
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from checkout import ROOT, Checkout

from uscl_med3d.core.params.files import overlay, read_defaults
from uscl_med3d.core.plan import Plan
from uscl_med3d.core.scores import read_score_file

SCALES = "workflow/scales/paper.yaml workflow/scales/full.yaml"


class FullRun(Checkout):
    """The finished run."""

    @cached_property
    def plan(self) -> Plan:
        """What was to be made."""
        values = read_defaults(ROOT)
        for scale in SCALES.split():
            values = overlay(values, yaml.safe_load((ROOT / scale).read_text()))
        return Plan(values)

    @property
    def results(self) -> Path:
        return self.folder / self.plan.results

    @property
    def official(self) -> dict[str, Path]:
        """Base model -> where the scale looks for its official file."""
        foundation = self.plan.params.foundation
        return {name: self.folder / getattr(foundation, name).weights for name in self.plan.foundations}

    def json(self, name: str) -> Any:
        return json.loads((self.results / name).read_text())

    def scores(self, run: str) -> pd.DataFrame:
        """Rows with a Dice, sorted; without the columns that name the run."""
        rows = read_score_file(self.results / f"scores/{run}.parquet")
        rows = rows[rows["dice"].notna()].drop(
            columns=["run", "method", "rank", "modules", "pretraining", "training_seed"]
        )
        return rows.reset_index(drop=True)

    def cost(self) -> list[dict[str, Any]]:
        """What every job has cost, as it has measured itself (`benchmarks/run.csv`)."""
        with open(self.results / "benchmarks/run.csv", newline="") as stream:
            return [
                {name: value if name in ("stage", "job") else float(value) for name, value in row.items()}
                for row in csv.DictReader(stream)
            ]
