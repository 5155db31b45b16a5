"""Image use: the same protocol with another patient's image."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from uscl_med3d.evaluate import image_use as module
from uscl_med3d.evaluate.cases import Distance, Item
from uscl_med3d.evaluate.protocol import Prediction, Setting
from uscl_med3d.predict.crops import Region

SETTING = Setting("first_click", "random_error", 0)
SHAPES = {"a": (6, 5, 4), "b": (4, 7, 4), "c": (6, 5, 4)}


def make_item(patient: str, name: str = "liver", case: str | None = None) -> Item:
    image = np.zeros(SHAPES[patient], np.uint8)
    image[1 + "abc".index(patient) :, 1:4] = 1
    return Item(
        dataset="us",
        split="val",
        patient=patient,
        case=case or f"s_{patient}",
        name=name,
        image=image,
        truth=image > 0,
        known=None,
        reference="true_mask",
        held_out=None,
        distance=Distance("voxel", (1.0, 1.0, 1.0)),
    )


def predict_what_is_seen(items, setting):
    """An answer that depends on the image alone."""
    for item in items:
        for number in (1, 2, 3):
            yield Prediction(item, number, None, Region((0, 0, 0), item.image > 0), number)


def predict_blindly(items, setting):
    """An answer that does not depend on the image: a box where the truth's middle lies."""
    for item in items:
        mask = np.zeros(item.truth.shape, bool)
        mask[2:4, 1:4] = True
        for number in (1, 2, 3):
            yield Prediction(item, number, None, Region((0, 0, 0), mask), number)


def measure(predict, items):
    """Mean Dice with the own image, and with another."""
    settings = SimpleNamespace(
        image_use=SimpleNamespace(classes_per_case=1, points=(1, 3)),
        surface_at=(),
        nsd_tolerance=None,
        empty_masks="undefined",
        model_copy=lambda update: settings,
    )
    run = SimpleNamespace(id="run", method="m", rank=None, modules=None, pretraining=None, training_seed=0)
    job = SimpleNamespace(seed=1, run=run, evaluate=settings, model_copy=lambda update: job)
    looked = module.ImageUse(job, SETTING)
    for item in items:
        looked.add_items([item])
        for prediction in predict([item], SETTING):
            looked.add_scores(prediction, module.score_prediction(job, prediction, SETTING), SETTING)
    rows = looked.measure(predict)
    assert {row["points"] for row in rows} == {1, 3}
    found = {image: [row["dice"] for row in rows if row["image"] == image] for image in ("own", "other")}
    assert len(found["own"]) == len(found["other"]) == 2 * len(items)
    return float(np.mean(found["own"])), float(np.mean(found["other"]))


def test_a_method_that_looks_loses_with_another_image_and_a_blind_one_does_not():
    items = [make_item(patient) for patient in "abc"]
    own, other = measure(predict_what_is_seen, items)
    assert own == 100 and other < 90
    own, other = measure(predict_blindly, items)
    assert own == other


def test_the_other_image_is_another_patients_if_possible_of_the_same_class():
    items = [make_item("a"), make_item("a", case="second"), make_item("b", "spleen"), make_item("c")]
    assert module.find_other(items[0], items) is items[3]
    assert module.find_other(items[1], items) is items[3]
    # Nobody else has a spleen: any other patient's image will do, which makes nothing easier to see.
    assert module.find_other(items[2], items) is items[3]
    assert module.find_other(items[0], items[:2]) is None


def test_the_other_image_need_not_be_among_those_that_were_drawn():
    settings = SimpleNamespace(
        image_use=SimpleNamespace(classes_per_case=1, points=(1,)), model_copy=lambda update: settings
    )
    job = SimpleNamespace(seed=1, evaluate=settings, model_copy=lambda update: job)
    looked = module.ImageUse(job, SETTING)
    for patient in "abc":
        looked.add_items([make_item(patient, name) for name in ("kidney", "liver", "spleen")])
    assert len(looked.items) == 3
    others = [module.find_other(item, looked.pool) for item in looked.items]
    assert [one.name for one in others] == [item.name for item in looked.items]
    assert all(one.patient != item.patient for one, item in zip(others, looked.items, strict=True))


def test_an_image_on_another_grid_keeps_its_middle():
    image = np.arange(5 * 4 * 3).reshape(5, 4, 3)
    made = module.fit(image, (3, 6, 3))
    assert made.shape == (3, 6, 3)
    np.testing.assert_array_equal(made[:, 1:5], image[1:4])
    assert (made[:, 0] == 0).all() and (made[:, 5] == 0).all()


def test_a_method_prompted_with_key_frames_follows_one_class_with_the_other_image():
    from dataclasses import replace

    from uscl_med3d.evaluate.cases import FrameMasks
    from uscl_med3d.evaluate.whole import predict_whole

    asked: list[set[int]] = []

    class Follower:
        """Copies what is bright; its prompts are remembered."""

        takes, told_class = "key_frames", False

        def segment(self, volume, key_frames, classes, frames):
            asked.append(set(np.unique(key_frames).tolist()))
            return np.where(volume > 0, np.uint8(1), np.uint8(0))

    items = []
    for patient in "abc":
        item = make_item(patient)
        key_frames = np.full(item.image.shape, 255, np.uint8)
        key_frames[[0, 2, 3]] = 0
        key_frames[[0, 2, 3], 0], key_frames[[0, 2, 3], 1] = 1, 2
        held_out = FrameMasks(np.array([2]), key_frames[[2]] == 1)
        items.append(replace(item, key_frames=key_frames, held_out=held_out))
    settings = SimpleNamespace(
        image_use=SimpleNamespace(classes_per_case=1, points=(1, 10)),
        surface_at=(),
        nsd_tolerance=None,
        empty_masks="undefined",
        model_copy=lambda update: settings,
    )
    run = SimpleNamespace(id="run", method="m", rank=None, modules=None, pretraining=None, training_seed=0)
    job = SimpleNamespace(
        seed=1, run=run, evaluate=settings, classes={"liver": 1, "spleen": 2}, model_copy=lambda update: job
    )
    setting = Setting("whole", "none", 0)
    looked = module.ImageUse(job, setting)
    predict = lambda of_case, setting: predict_whole(Follower(), of_case, setting, job)  # noqa: E731
    for item in items:
        looked.add_items([item])
        for prediction in predict([item], setting):
            looked.add_scores(prediction, module.score_prediction(job, prediction, setting), setting)
    assert asked == [{0, 1, 2, 255}] * 6  # the volume, and the key frame between the others
    asked.clear()
    rows = looked.measure(predict)
    assert asked == [{0, 1, 255}] * 3
    assert [row["image"] for row in rows] == ["own"] * 3 + ["other"] * 3
    assert {row["dice"] for row in rows if row["image"] == "own"} == {100.0}
    assert all(row["dice"] < 90 for row in rows if row["image"] == "other")


def test_scores_of_another_way_of_clicking_are_not_compared():
    settings = SimpleNamespace(
        image_use=SimpleNamespace(classes_per_case=1, points=(1,)), model_copy=lambda update: settings
    )
    run = SimpleNamespace(id="run")
    job = SimpleNamespace(seed=1, run=run, evaluate=settings, model_copy=lambda update: job)
    looked, item = module.ImageUse(job, SETTING), make_item("a")
    looked.add_items([item])
    prediction = Prediction(item, 1, None, Region((0, 0, 0), item.truth), 1)
    for crop, seed, dice in (("oracle", 0, 90.0), ("first_click", 1, 80.0), ("first_click", 0, 70.0)):
        looked.add_scores(prediction, [{"dice": dice}], Setting(crop, "random_error", seed))
    assert [row["dice"] for row in looked.own] == [70.0]
