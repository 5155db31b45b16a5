"""The gate's result, as far as the report needs it: which models ignore the image?"""

from __future__ import annotations

from pathlib import Path

from uscl_med3d.core.io import read_json

NOT_TESTABLE = "not testable: the model ignores the image"
"""Verdict of a claim about training where a model that it compares has not passed the gate of image use."""


def read_blind(gate_json: Path | None) -> frozenset[str]:
    """Ids of the runs that the gate of image use has judged and not passed; empty without a gate.

    Args:
        gate_json: with `image_use`: run -> result with `passed`.
    """
    if gate_json is None or not Path(gate_json).is_file():
        return frozenset()
    judged = read_json(gate_json).get("image_use", {})
    return frozenset(run for run, result in judged.items() if not result["passed"])
