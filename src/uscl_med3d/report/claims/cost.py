"""Claims about cost: sizes are counted; seconds and memory are measured, and stand in a file of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from uscl_med3d.report.claims.build import ADAPTFORMER, FASTSAM3D, FULL, REGISTRY_SAM, REGISTRY_USCL, runs_of
from uscl_med3d.report.claims.claim import Claim, Decided, Evidence, bears_out
from uscl_med3d.report.reported import load_reported_cost
from uscl_med3d.report.words import direction

MEASURED_NOTE = (
    "Ratios of what was measured once on one machine, other in every run; so they stand apart from the other claims. "
    "Such a claim stays undecided, and only the direction is given."
)
DIRECTION = "Ratio below 1 in this run speaks for it; one measurement on one machine has no interval."


def _values(evidence: Evidence, column: str, first: str, second: str) -> tuple[float, float] | str:
    """Measured values of the main runs of two methods, or why there are none."""
    path = None if evidence.tables_dir is None else evidence.tables_dir / "training_cost.csv"
    if path is None or not path.is_file():
        return "no tables/training_cost.csv"
    measured = pd.read_csv(path).set_index("run")[column].dropna().to_dict()
    return _of_both(evidence, measured, first, second, f"{column} of run {{}} was not measured")


def _of_both(
    evidence: Evidence, values: Mapping[Any, float], first: str, second: str, missing: str
) -> tuple[float, float] | str:
    found = []
    for name in (first, second):
        runs, reason = runs_of(evidence.context, name)
        if reason or runs[0].id not in values:
            return reason or missing.format(runs[0].id)
        found.append(float(values[runs[0].id]))
    return found[0], found[1]


def _measured(column: str, unit: str) -> Callable[[Evidence], Decided]:
    def examine(evidence: Evidence) -> Decided:
        values = _values(evidence, column, REGISTRY_USCL, FULL)
        if isinstance(values, str):
            return Decided(math.nan, "undecided", values)
        ratio = values[0] / values[1]
        seen = direction([1 - ratio])
        why = f"direction seen: {seen}; {values[0]:.3g} {unit} against {values[1]:.3g} {unit}, measured once."
        return Decided(ratio, "undecided (one measurement)", why)

    return examine


def _fewer_than(other: str, label: str) -> Callable[[Evidence], Decided]:
    def examine(evidence: Evidence) -> Decided:
        missing = "no facts of run {}: how many parameters it trains"
        values = _of_both(evidence, evidence.sizes, REGISTRY_USCL, other, missing)
        if isinstance(values, str):
            return Decided(math.nan, "undecided", values)
        verdict = "supported" if values[0] < values[1] else "contradicted"
        why = f"LoRA trains {values[0]:,.0f} parameters, {label} {values[1]:,.0f}: a count, without uncertainty."
        return Decided(values[0] / values[1], verdict, why)

    return examine


def _faster(evidence: Evidence) -> Decided:
    path = None if evidence.tables_dir is None else evidence.tables_dir / "inference_cost.csv"
    if path is None or not path.is_file():
        return Decided(math.nan, "undecided", "no tables/inference_cost.csv")
    table = pd.read_csv(path).set_index("run")
    seconds = [table["first_click_seconds"].get(name, math.nan) for name in (FASTSAM3D, REGISTRY_SAM)]
    if any(pd.isna(value) for value in seconds):
        return Decided(
            math.nan, "undecided", "first_click_seconds of FastSAM3D or SAM-Med3D was not measured"
        )
    ratio = seconds[0] / seconds[1]
    operations = table["encoder_gflop"][REGISTRY_SAM] / table["encoder_gflop"][FASTSAM3D]
    why = (
        f"direction seen: {direction([1 - ratio])}; {1 / ratio:.2f} times as fast "
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


SIZE_CLAIMS = (
    Claim(
        id="cost-parameters",
        claim="LoRA trains far fewer parameters than full tuning.",
        source="section 3.3",
        test="Ratio of trainable parameters; below 1 confirms.",
        paper_numbers=lambda: "no count is given",
        examine=_fewer_than(FULL, "full tuning"),
    ),
    Claim(
        id="cost-adaptformer",
        claim="AdaptFormer trains more parameters than LoRA.",
        source="section 3.3",
        test="Ratio of trainable parameters, LoRA to AdaptFormer; below 1 confirms.",
        paper_numbers=lambda: "no count is given",
        examine=_fewer_than(ADAPTFORMER, "AdaptFormer"),
    ),
)

MEASURED_CLAIMS = (
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
