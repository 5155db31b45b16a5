from __future__ import annotations

import numpy as np
import pytest

from uscl_med3d.propagation.key_frames import finish_labels, list_key_masks, spread


def test_annotated_frames_are_found_even_where_they_show_nothing() -> None:
    key_frames = np.full((4, 2, 2), 255, np.uint8)
    key_frames[1] = 0
    key_frames[3, 0, 0] = 2
    masks = list_key_masks(key_frames)
    assert list(masks) == [1, 3] and masks[3][0, 0] == 2


@pytest.mark.parametrize("key_frames", [None, np.full((2, 2, 2), 255, np.uint8)])
def test_without_a_key_frame_there_is_nothing_to_propagate(key_frames) -> None:
    with pytest.raises(ValueError, match="at least one"):
        list_key_masks(key_frames)


def test_nothing_outside_the_fan_but_human_masks_stay() -> None:
    labels = np.full((2, 1, 3), 4, np.uint8)
    labels[0, 0, 2] = 255
    image = np.array([[[0, 9, 9]], [[0, 9, 9]]])
    finished = finish_labels(labels, image, {1: np.array([[3, 0, 255]], np.uint8)})
    assert finished.tolist() == [[[0, 4, 0]], [[3, 0, 0]]]
    assert labels[0, 0, 0] == 4


def test_few_key_frames_are_spread_over_all():
    frames = [3, 10, 20, 31, 44]
    assert spread(frames, None) == spread(frames, 9) == frames
    assert spread(frames, 1) == [20] and spread(frames, 2) == [3, 44] and spread(frames, 3) == [3, 20, 44]
    assert len(set(spread(frames, 4))) == 4
    assert spread(frames, 2, [30, 5]) == [3, 5, 30, 44] and spread(frames, 1, [20]) == [20]
