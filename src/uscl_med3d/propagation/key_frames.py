"""Key frames as propagation takes them, and the last step that all ways of propagating share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

UNANNOTATED = 255


def list_annotated_frames(key_frames: np.ndarray) -> list[int]:
    """Frames along d of a label map (d, h, w) that carry an annotation: those that are not 255 all over."""
    return np.flatnonzero((key_frames != UNANNOTATED).any(axis=(1, 2))).tolist()


def spread(frames: Sequence[int], count: int | None, corrections: Sequence[int] = ()) -> list[int]:
    """At most `count` of the sorted key frames, evenly spread: the middle one, or with both ends from two on.

    Corrections are kept in addition, all of them: somebody drew each where the pseudo-labels were wrong.
    """
    return sorted({*_choose(frames, count), *corrections})


def _choose(frames: Sequence[int], count: int | None) -> list[int]:
    if count is None or count >= len(frames):
        return list(frames)
    if count == 1:
        return [frames[len(frames) // 2]]
    return [frames[round(step * (len(frames) - 1) / (count - 1))] for step in range(count)]


def list_key_masks(key_frames: np.ndarray | None) -> dict[int, np.ndarray]:
    """Annotated frames of a label map (d, h, w) and their label maps (h, w), by index along d.

    Raises:
        ValueError: if there is none; without a key frame there is nothing to propagate.
    """
    annotated = [] if key_frames is None else list_annotated_frames(key_frames)
    if key_frames is None or not annotated:
        raise ValueError("at least one annotated key frame is needed")
    return {frame: key_frames[frame] for frame in annotated}


def finish_labels(labels: np.ndarray, image: np.ndarray, key_masks: Mapping[int, np.ndarray]) -> np.ndarray:
    """Label volume (d, h, w) without anything outside the fan, and with the human masks on the key frames.

    image (d, h, w) is zero outside the fan; pixels of a key frame that are not annotated are background.
    """
    labels = labels.copy()
    labels[labels == UNANNOTATED] = 0
    labels[image == 0] = 0
    for frame, mask in key_masks.items():
        labels[frame] = np.where(mask == UNANNOTATED, 0, mask)
    return labels
