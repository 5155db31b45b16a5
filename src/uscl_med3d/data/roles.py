"""Which annotated key frames prompt the pseudo-labels, and which are kept back to score them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from uscl_med3d.core.seeds import rng
from uscl_med3d.data.annotations import IGNORE, label_values

Role = Literal["prompt", "held_out", "correction"]
"""`correction`: redrawn by a person after looking at the pseudo-labels; a prompt like any other (`data.corrections`)."""


def assign_roles(
    masks: Mapping[int, np.ndarray], *, split: str, held_out: int, seed: int, sweep: str
) -> dict[int, Role]:
    """Role of each key frame.

    masks: frame -> label map. In a test sweep every key frame is held out: nothing may be learned from it.
    Elsewhere up to `held_out` inner key frames (not the first, not the last, so that prompts enclose them)
    are drawn from the sweep's own random stream, as long as every annotated class keeps a prompt frame.
    """
    frames = sorted(masks)
    if split == "test":
        return dict.fromkeys(frames, "held_out")
    present = {frame: set(label_values(masks[frame])) - {0, IGNORE} for frame in frames}
    roles: dict[int, Role] = dict.fromkeys(frames, "prompt")
    inner = frames[1:-1]
    for position in rng(seed, "ingest", "held_out", sweep).permutation(len(inner)):
        if list(roles.values()).count("held_out") == held_out:
            break
        frame = inner[position]
        others = set().union(*(present[f] for f in frames if f != frame and roles[f] == "prompt"))
        if present[frame] <= others:
            roles[frame] = "held_out"
    return roles
