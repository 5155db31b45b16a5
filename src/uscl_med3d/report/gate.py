"""The gate's result, as far as the report needs it: which models ignore the image?"""

from __future__ import annotations

from pathlib import Path

from uscl_med3d.core.io import read_json

NOT_TESTABLE = "not testable: the model ignores the image"
"""Verdict of a claim about training where a model that it compares has not passed the gate of image use."""


def read_blind(gate_json: Path | None) -> frozenset[str]:
    """Methods that the gate has found to ignore the image; empty without a gate.

    Args:
        gate_json: with `methods`: method -> result, of which `sees` is false where too little Dice is owed to the image
            (`evaluate.gate`), and null or missing where that was not judged.
    """
    if gate_json is None or not Path(gate_json).is_file():
        return frozenset()
    judged = read_json(gate_json).get("methods", {})
    return frozenset(name for name, result in judged.items() if result.get("sees") is False)
