"""Methods without clicks are judged as stated: once per volume, prompts known, key frames left out in turn."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.evaluate.cases import Distance, FrameMasks, Item
from uscl_med3d.evaluate.protocol import NoPrediction, Setting
from uscl_med3d.evaluate.whole import NO_INNER_KEY_FRAME, NO_KEY_FRAMES, predict_whole

CLASSES = {"liver": 3, "spleen": 4, "kidney": 5}
JOB = SimpleNamespace(classes=CLASSES)
SHAPE = (8, 4, 5)
SETTING = Setting("whole", "none", 0)
KEYS = (1, 3, 4, 6)


class Recorder:
    """Answers label 3 everywhere on wanted frames, and remembers what it was asked."""

    told_class = False

    def __init__(self, prompt: str) -> None:
        self.takes, self.asked = prompt, []

    def segment(self, volume, key_frames, classes, frames):
        given = None if key_frames is None else np.flatnonzero((key_frames != 255).any((1, 2))).tolist()
        self.asked.append((given, frames))
        labels = np.zeros(volume.shape, np.uint8)
        labels[slice(None) if frames is None else frames] = 3
        return labels


def make_item(case: str, name: str, keys=KEYS, reference="true_mask", dataset="us", **changes) -> Item:
    key_frames = np.full(SHAPE, 255, np.uint8)
    key_frames[list(keys)] = 0
    key_frames[list(keys), 0] = CLASSES[name]
    frames = np.array(keys, int)
    values = {
        "dataset": dataset,
        "split": "test",
        "patient": "p",
        "case": case,
        "name": name,
        "image": np.ones(SHAPE, np.uint8),
        "truth": key_frames == CLASSES[name],
        "known": None,
        "reference": reference,
        "held_out": FrameMasks(frames, key_frames[frames] == CLASSES[name]),
        "distance": Distance("voxel", (1.0, 1.0, 1.0)),
        "key_frames": key_frames,
    }
    return Item(**(values | changes))


def test_without_a_prompt_each_volume_is_segmented_once_for_all_its_classes():
    method = Recorder("nothing")
    items = [make_item("a", "liver"), make_item("a", "spleen"), make_item("b", "spleen")]
    predictions = list(predict_whole(method, items, SETTING, JOB))
    assert method.asked == [(None, None), (None, None)]
    assert [prediction.item for prediction in predictions] == items
    assert [int(p.region.mask.sum()) for p in predictions] == [160, 0, 0]
    assert all(p.number == p.volume_clicks == 0 and p.click is None for p in predictions)


def test_a_class_that_the_method_does_not_know_is_empty():
    (prediction,) = predict_whole(
        Recorder("nothing"), [make_item("a", "liver", dataset="amos")], SETTING, SimpleNamespace(classes={})
    )
    assert not prediction.region.mask.any()


def test_key_frames_prompt_the_whole_volume_and_are_left_out_in_turn():
    method = Recorder("key_frames")
    whole, left_out = predict_whole(method, [make_item("a", "liver")], SETTING, JOB)
    assert method.asked == [([1, 3, 4, 6], None), ([1, 4, 6], [3]), ([1, 3, 6], [4])]
    assert whole.item.reference == "true_mask" and whole.item.held_out is None
    assert left_out.item.reference is None
    held_out = left_out.item.held_out
    assert held_out.frames.tolist() == [3, 4]
    assert held_out.masks[:, 0].all() and not held_out.masks[:, 1:].any()
    assert left_out.region.mask.any((1, 2)).tolist() == [frame in (3, 4) for frame in range(8)]


def test_without_a_complete_reference_only_key_frames_are_scored():
    method = Recorder("key_frames")
    (prediction,) = predict_whole(method, [make_item("a", "liver", reference=None)], SETTING, JOB)
    assert prediction.item.held_out.frames.tolist() == [3, 4] and len(method.asked) == 2


def test_two_key_frames_enclose_no_other():
    whole, missing = predict_whole(
        Recorder("key_frames"), [make_item("a", "liver", keys=(1, 6))], SETTING, JOB
    )
    assert whole.item.reference == "true_mask" and whole.item.held_out is None
    assert missing == NoPrediction(missing.item, 0, NO_INNER_KEY_FRAME)
    assert missing.item.reference is None and missing.item.held_out is not None


def test_without_key_frames_the_reason_is_given_and_nothing_is_segmented():
    method = Recorder("key_frames")
    item = make_item("a", "liver", keys=(), held_out=None)
    assert list(predict_whole(method, [item], SETTING, JOB)) == [NoPrediction(item, 0, NO_KEY_FRAMES)]
    assert method.asked == []


def test_only_the_whole_volume_is_compared_with_the_pseudo_label():
    pseudo_label = FrameMasks(np.array([2]), np.zeros((1, *SHAPE[1:]), bool))
    item = make_item("a", "liver", split="val", pseudo_label=pseudo_label)
    whole, left_out = predict_whole(Recorder("key_frames"), [item], SETTING, JOB)
    assert whole.item.pseudo_label is pseudo_label and left_out.item.pseudo_label is None


def test_a_data_set_without_key_frames_is_an_error():
    with pytest.raises(InputError, match="amos"):
        list(
            predict_whole(
                Recorder("key_frames"),
                [make_item("a", "liver", dataset="amos", key_frames=None)],
                SETTING,
                JOB,
            )
        )
