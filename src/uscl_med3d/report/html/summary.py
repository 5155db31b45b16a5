"""The main result in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.io import read_json
from uscl_med3d.report.words import signed

LEAD = "us-lead"
"""The claim whose estimate is the main result."""


def summarise(inputs: Any) -> str:
    """USCL-Med3D against SAM-Med3D on ultrasound, its use of the image, and whether the gate was passed."""
    if inputs.claims_csv is None or not inputs.claims_csv.is_file():
        return "No result yet."
    found = pd.read_csv(inputs.claims_csv).set_index("id")
    lead: Any = found.loc[LEAD] if LEAD in found.index else None
    if lead is None or pd.isna(lead["estimate"]):
        return "Ultrasound was not scored: nothing to compare."
    interval = (
        f" [{signed(lead['ci_low'], 1)}, {signed(lead['ci_high'], 1)}]" if pd.notna(lead["ci_low"]) else ""
    )
    parts = [
        f"On ultrasound after the last click, USCL-Med3D minus SAM-Med3D: {signed(lead['estimate'], 1)} Dice{interval}"
    ]
    gain = _image_use(inputs.image_use_csv)
    if gain is not None:
        parts.append(
            f"with another patient's image USCL-Med3D has {abs(gain):.1f} {'less' if gain >= 0 else 'more'}"
        )
    if inputs.gate_json is not None and Path(inputs.gate_json).is_file():
        parts.append("gate passed" if read_json(inputs.gate_json)["passed"] else "gate NOT passed")
    return "; ".join(parts) + "."


def _image_use(path: Path | None) -> float | None:
    frame = pd.read_csv(path) if path is not None and Path(path).is_file() else pd.DataFrame()
    if frame.empty:
        return None
    rows = frame[(frame["method"] == "USCL-Med3D") & (frame["dataset"] == "ultrasound")]
    last = rows[rows["points"] == rows["points"].max()]
    return float(last["difference"].iloc[0]) if len(last) else None
