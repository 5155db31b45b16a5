"""Claims about the cost of training and of inference, from the measured tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from uscl_med3d.report.claims.build import ADAPTFORMER, FULL, REGISTRY_SAM, REGISTRY_USCL, runs_of
from uscl_med3d.report.claims.claim import Claim, Decided, Evidence, bears_out
from uscl_med3d.report.reported import load_reported_cost

FASTSAM3D = "FastSAM3D"
DIRECTION = "Ratio below 1 in this run speaks for it; one measurement on one machine has no interval."


def _values(evidence: Evidence, column: str, first: str, second: str) -> tuple[float, float] | str:
    path = evidence.tables_dir / "training_cost.csv"
    if not path.is_file():
        return "no tables/training_cost.csv"
    table = pd.read_csv(path).set_index("run")
    found = []
    for name in (first, second):
        runs, missing = runs_of(evidence.context, name)
        if missing:
            return missing
        value = table[column].get(runs[0].id, math.nan)
        if pd.isna(value):
            return f"{column} of run {runs[0].id} was not measured"
        found.append(float(value))
    return found[0], found[1]


def _measured(column: str, unit: str) -> Callable[[Evidence], Decided]:
    def examine(evidence: Evidence) -> Decided:
        values = _values(evidence, column, REGISTRY_USCL, FULL)
        if isinstance(values, str):
            return Decided(math.nan, "undecided", values)
        ratio = values[0] / values[1]
        towards = "in favour" if ratio < 1 else "against"
        why = f"direction seen: {towards}; {values[0]:.3g} {unit} against {values[1]:.3g} {unit}, measured once."
        return Decided(ratio, "undecided (one measurement)", why)

    return examine


def _counted(evidence: Evidence) -> Decided:
    values = _values(evidence, "trainable_parameters", REGISTRY_USCL, ADAPTFORMER)
    if isinstance(values, str):
        return Decided(math.nan, "undecided", values)
    verdict = "supported" if values[0] < values[1] else "contradicted"
    why = f"LoRA trains {values[0]:,.0f} parameters, AdaptFormer {values[1]:,.0f}: a count, without uncertainty."
    return Decided(values[0] / values[1], verdict, why)


def _fewer(evidence: Evidence) -> Decided:
    values = _values(evidence, "trainable_parameters", REGISTRY_USCL, FULL)
    if isinstance(values, str):
        return Decided(math.nan, "undecided", values)
    verdict = "supported" if values[0] < values[1] else "contradicted"
    why = f"LoRA trains {values[0]:,.0f} parameters, full tuning {values[1]:,.0f}: a count, without uncertainty."
    return Decided(values[0] / values[1], verdict, why)


def _faster(evidence: Evidence) -> Decided:
    path = evidence.tables_dir / "inference_cost.csv"
    if not path.is_file():
        return Decided(math.nan, "undecided", "no tables/inference_cost.csv")
    table = pd.read_csv(path).set_index("method")
    seconds = [table["first_click_seconds"].get(name, math.nan) for name in (FASTSAM3D, REGISTRY_SAM)]
    if any(pd.isna(value) for value in seconds):
        return Decided(
            math.nan, "undecided", "first_click_seconds of FastSAM3D or SAM-Med3D was not measured"
        )
    ratio = seconds[0] / seconds[1]
    operations = table["encoder_gflop"][REGISTRY_SAM] / table["encoder_gflop"][FASTSAM3D]
    why = (
        f"direction seen: {'in favour' if ratio < 1 else 'against'}; {1 / ratio:.2f} times as fast "
        f"({seconds[0]:.3g} s against {seconds[1]:.3g} s), {operations:.2f} times fewer operations, measured "
        "once; SAM-Med3D runs with this project's fast encoder."
    )
    return Decided(ratio, "undecided (one measurement)", why)


def _paper(column: str, unit: str) -> str:
    cost: Any = load_reported_cost().set_index("method")[column]
    return bears_out(
        cost["lora"] < cost["full_tuning"],
        f"{cost['lora']:g} against {cost['full_tuning']:g} {unit} ({cost['full_tuning'] / cost['lora']:.1f} times)",
    )


COST_CLAIMS = (
    Claim(
        id="cost-parameters",
        claim="LoRA trains far fewer parameters than full tuning.",
        source="section 3.3",
        test="Ratio of trainable parameters; below 1 confirms.",
        paper_numbers=lambda: "no count is given",
        examine=_fewer,
    ),
    Claim(
        id="cost-adaptformer",
        claim="AdaptFormer trains more parameters than LoRA.",
        source="section 3.3",
        test="Ratio of trainable parameters, LoRA to AdaptFormer; below 1 confirms.",
        paper_numbers=lambda: "no count is given",
        examine=_counted,
    ),
    Claim(
        id="cost-time",
        claim="LoRA trains faster than full tuning.",
        source="section 3.3 (2.7 against 38.2 hours)",
        test=f"Ratio of training seconds, LoRA to full tuning. {DIRECTION}",
        paper_numbers=lambda: _paper("hours", "hours"),
        examine=_measured("seconds", "s"),
    ),
    Claim(
        id="cost-memory",
        claim="LoRA needs less memory than full tuning at the same batch size.",
        source="section 3.3 (9.6 against 68.1 GB)",
        test=f"Ratio of peak memory, LoRA to full tuning. {DIRECTION}",
        paper_numbers=lambda: _paper("gpu_memory_gb", "GB"),
        examine=_measured("peak_memory_gb", "GB"),
    ),
    Claim(
        id="cost-fastsam3d",
        claim="FastSAM3D answers the first click faster than SAM-Med3D.",
        source="abstract of FastSAM3D (arXiv 2403.09827), one of the compared methods",
        test=f"Ratio of seconds with encoding, FastSAM3D to SAM-Med3D. {DIRECTION}",
        paper_numbers=lambda: (
            "not in this paper; FastSAM3D's own: 8.75 times faster than 3D SAMs, on an A100"
        ),
        examine=_faster,
    ),
)
