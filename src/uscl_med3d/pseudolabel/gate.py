"""The accept/reject gate: how sure and how steady a pseudo-label is, and what may enter training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from uscl_med3d.core.params.pseudolabel import Gate
from uscl_med3d.propagation.prompts import count_frames_outside

HUMAN = "human key frame"


@dataclass(frozen=True)
class Verdict:
    """Of one class on one frame. `confidence` is None for a human mask and for methods without scores."""

    label: int
    frame: int
    confidence: float | None
    consistency: float
    accepted: bool
    reason: str


def measure_confidence(score: np.ndarray, predicted: np.ndarray, expected: np.ndarray) -> float:
    """Mean margin |2 s - 1| of one frame's scores over the predicted and the expected region.

    score (h, w) in 0..1; predicted: the final mask of the class; expected: its mask in the nearest key
    frame, so that an object that was dropped half-heartedly counts as unsure. 1 where both are empty.
    """
    region = predicted | expected
    return float(np.abs(2 * score[region] - 1).mean()) if region.any() else 1.0


def measure_consistency(masks: np.ndarray) -> np.ndarray:
    """Temporal consistency (d,) of one class's masks (d, h, w): mean Dice with the neighbouring frames, 0..1.

    The first and the last frame have one neighbour. Two empty masks agree: 1.
    """
    masks = masks.reshape(len(masks), -1).astype(bool)
    if len(masks) == 1:
        return np.ones(1)
    areas = masks.sum(axis=1).astype(float)
    overlap = (masks[1:] & masks[:-1]).sum(axis=1)
    total = areas[1:] + areas[:-1]
    steps = np.where(total > 0, 2 * overlap / np.maximum(total, 1), 1.0)
    return np.concatenate([steps[:1], (steps[1:] + steps[:-1]) / 2, steps[-1:]])


def judge_frames(
    labels: np.ndarray,
    scores: Mapping[int, np.ndarray] | None,
    key_masks: Mapping[int, np.ndarray],
    gate: Gate,
) -> list[Verdict]:
    """One verdict per class and frame. A frame is accepted if every class on it passes; human key frames
    always are.

    labels (d, h, w): the pseudo-labels; scores: per class, or None for a method without scores (no
    confidence then).
    """
    keys = sorted(key_masks)
    classes = sorted(set().union(*(np.unique(mask).tolist() for mask in key_masks.values())) - {0, 255})
    found: dict[int, list[tuple[int, float | None, float, str]]] = {}
    for label in classes:
        masks = labels == label
        consistency = measure_consistency(masks)
        for frame in range(len(labels)):
            row: tuple[int, float | None, float, str]
            if frame in key_masks:
                row = (label, None, float(consistency[frame]), HUMAN)
            else:
                nearest = min(keys, key=lambda key: (abs(key - frame), key))
                confidence = (
                    None
                    if scores is None
                    else measure_confidence(scores[label][frame], masks[frame], key_masks[nearest] == label)
                )
                outside = count_frames_outside(frame, keys)
                steady = float(consistency[frame])
                row = (label, confidence, steady, explain_rejection(confidence, steady, outside, gate))
            found.setdefault(frame, []).append(row)
    return [verdict for frame in sorted(found) for verdict in _decide(frame, found[frame])]


def explain_rejection(confidence: float | None, consistency: float, frames_outside: int, gate: Gate) -> str:
    """Why a class fails on a frame, or an empty string."""
    if frames_outside > gate.max_frames_outside:
        return f"{frames_outside} frames outside the key frames > {gate.max_frames_outside}"
    if confidence is not None and confidence < gate.min_confidence:
        return f"confidence {confidence:.3f} < {gate.min_confidence}"
    if consistency < gate.min_consistency:
        return f"consistency {consistency:.3f} < {gate.min_consistency}"
    return ""


def judge_sweep(accepted: Sequence[bool], gate: Gate) -> tuple[bool, str]:
    """Whether a sweep enters training, from the verdict on each of its frames; with the reason if not."""
    fraction = sum(accepted) / len(accepted)
    if fraction < gate.min_accepted_fraction:
        return False, f"{fraction:.3f} of the frames accepted < {gate.min_accepted_fraction}"
    return True, ""


def _decide(frame: int, rows: Sequence[tuple[int, float | None, float, str]]) -> list[Verdict]:
    rejected = any(reason and reason != HUMAN for *_, reason in rows)
    return [
        Verdict(
            label=label,
            frame=frame,
            confidence=confidence,
            consistency=consistency,
            accepted=not rejected,
            reason=reason or ("another class of the frame failed" if rejected else ""),
        )
        for label, confidence, consistency, reason in rows
    ]
