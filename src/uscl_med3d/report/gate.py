"""The gate's result, as far as the report needs it: which models ignore the image?"""

from __future__ import annotations

from pathlib import Path

from uscl_med3d.core.io import read_json

NOT_TESTABLE = "not testable: the model ignores the image"
"""Verdict of a claim about training where a model that it compares has not passed the gate of image use."""


def read_blind(gate_json: Path | None) -> dict[str, str]:
    """Methods that have not passed, each with what was found; empty without a gate.

    Args:
        gate_json: result of `evaluate.gate`, of whose `image_use` an entry names its method. A method that was not judged is
            not among them.
    """
    if gate_json is None or not Path(gate_json).is_file():
        return {}
    judged = read_json(gate_json)["image_use"].values()
    return {
        found[
            "method"
        ]: f"owes {found['first_click']:.1f} and {found['last_click']:.1f} points to the image after the first "
        f"and the last click, not {found['first_click_needed']:g} and {found['last_click_needed']:g}"
        for found in judged
        if not found["passed"]
    }
