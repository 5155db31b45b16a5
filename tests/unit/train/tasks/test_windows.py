"""Training without clicks: the loss ignores what is unknown, patches show what they should, resuming changes nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json, sha256
from uscl_med3d.core.params.segmentation import Augmentation
from uscl_med3d.methods.base import Weights
from uscl_med3d.methods.registry import find_method
from uscl_med3d.train import finetune as module
from uscl_med3d.train.augment import augment
from uscl_med3d.train.sweeps import LabelledSweeps
from uscl_med3d.train.tasks.windows import Windows, dice_cross_entropy_of_classes, place_patch

STILL = {
    "flip": (0.0, 0.0, 0.0),
    "rotation_deg": 0.0,
    "scaling": 0.0,
    "contrast": 0.0,
    "gamma": 0.0,
    "noise": 0.0,
}


def test_the_loss_is_monais_where_everything_is_known():
    from monai.losses import DiceCELoss

    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 5, 6, 7, generator=generator)
    labels = torch.randint(0, 4, (2, 5, 6, 7), generator=generator)
    theirs = DiceCELoss(softmax=True, to_onehot_y=True, include_background=False, batch=True)
    ours = dice_cross_entropy_of_classes(logits, labels.to(torch.uint8))
    # MONAI leaves the background out of its cross-entropy, too; ours is that of all classes.
    dice = theirs.dice(logits, labels[:, None])
    torch.testing.assert_close(ours, dice + torch.nn.functional.cross_entropy(logits, labels))


def test_unknown_voxels_enter_neither_value_nor_gradient():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, 6, generator=generator).requires_grad_(True)
    labels = torch.randint(0, 3, (2, 4, 5, 6), generator=generator).to(torch.uint8)
    labels[:, 2:] = 255
    loss = dice_cross_entropy_of_classes(logits, labels)
    loss.backward()
    assert logits.grad[:, :, :2].abs().min() > 0 and not logits.grad[:, :, 2:].any()
    torch.testing.assert_close(loss, dice_cross_entropy_of_classes(logits[:, :, :2], labels[:, :2]))


def test_a_batch_without_any_known_voxel_has_a_finite_loss():
    loss = dice_cross_entropy_of_classes(torch.zeros(1, 3, 2, 2, 2), torch.full((1, 2, 2, 2), 255))
    assert torch.isfinite(loss)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([None, 1, 2]))
def test_a_patch_lies_inside_and_shows_its_class(seed, channel):
    random = np.random.default_rng(seed)
    label = random.integers(0, 3, (7, 9, 8)).astype(np.uint8)
    part = place_patch(label, (4, 9, 3), channel, random)
    assert label[part].shape == (4, 9, 3)
    assert channel is None or (label[part] == channel).any()


def patch() -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.rand(2, 1, 6, 8, 10, generator=torch.Generator().manual_seed(0))
    image[..., :2] = -1.0
    labels = (image[:, 0] > 0.5).to(torch.uint8)
    labels[:, 0] = 255
    return image, labels


def test_without_augmentation_nothing_changes():
    image, labels = patch()
    same, kept = augment(image, labels, Augmentation(**STILL), np.random.default_rng(0))
    torch.testing.assert_close(same, image, atol=1e-5, rtol=1e-5)
    assert torch.equal(kept, labels)


def test_flips_move_image_and_labels_alike():
    image, labels = patch()
    flipped, moved = augment(
        image, labels, Augmentation(**STILL | {"flip": (1.0, 0.0, 1.0)}), np.random.default_rng(0)
    )
    torch.testing.assert_close(flipped, image.flip([2, 4]), atol=1e-5, rtol=1e-5)
    assert torch.equal(moved, labels.flip([1, 3]))


@pytest.mark.parametrize("seed", range(4))
def test_turning_and_scaling_move_image_and_labels_alike(seed):
    labels = torch.zeros(1, 8, 24, 40, dtype=torch.uint8)
    labels[0, 2:6, 4:12, 5:30] = 1  # far from symmetric, in a frame that is not square
    settings = Augmentation(**STILL | {"rotation_deg": 40.0, "scaling": 0.2})
    turned, moved = augment(labels[:, None].float(), labels, settings, np.random.default_rng(seed))
    bright, label = turned[0, 0] > 0.5, moved[0] == 1
    assert not torch.equal(moved, labels)
    assert 2 * (bright & label).sum() / (bright.sum() + label.sum()) > 0.9


def test_what_turns_in_from_outside_is_unknown_and_labels_stay_labels():
    image, labels = torch.ones(1, 1, 6, 20, 20), torch.full((1, 6, 20, 20), 3, dtype=torch.uint8)
    image[..., 0, 0] = -1.0
    turned, moved = augment(
        image, labels, Augmentation(**STILL | {"rotation_deg": 45.0}), np.random.default_rng(1)
    )
    assert set(moved.unique().tolist()) == {3, 255}
    assert (turned[0, 0][moved[0] == 255] < 1).all()


def test_the_outside_of_the_fan_stays_dark():
    image, labels = patch()
    changed, _ = augment(
        image,
        labels,
        Augmentation(**STILL | {"noise": 0.5, "contrast": 0.3, "gamma": 0.4}),
        np.random.default_rng(2),
    )
    assert not torch.allclose(changed, image)
    assert all(len(one[..., :2].unique()) == 1 for one in changed)


def train(job, cohort, folder, name="run"):
    paths = [folder / f"{name}.{kind}" for kind in ("safetensors", "csv", "json", "cost.json")]
    names = ("out_weights", "curve_csv", "info_json", "cost_json")
    sweeps = LabelledSweeps(cohort.volumes, cohort.splits, cohort.pseudolabels)
    module.finetune(job, sweeps, Weights(), **dict(zip(names, paths, strict=True)))
    return paths


@pytest.mark.parametrize("name", ["unet", "swin_unetr"])
def test_training_changes_the_weights_and_writes_the_same_files_as_other_methods(
    name, cohort, make_job, tmp_path
):
    job = make_job("finetune", name)
    weights, curve, info, cost = train(job, cohort, tmp_path)
    start = find_method(name).load(job, Weights()).trained_state()
    trained = find_method(name).load(job, Weights(trained=weights)).trained_state()
    assert all(not torch.equal(start[key], trained[key]) for key in start if key.endswith("weight"))
    steps = job.method.options["training"]["steps"]
    frame = pd.read_csv(curve)
    assert list(frame.columns) == module.CURVE_COLUMNS and frame["step"].iloc[-1] == steps
    facts = read_json(info)
    assert facts["steps"] == steps and facts["sweeps"] == 2 and facts["clicks"] == 0
    assert (
        facts["trainable_parameters"] == facts["total_parameters"] == sum(v.numel() for v in trained.values())
    )
    assert read_json(cost)["training_seconds"] > 0
    assert not list(tmp_path.glob("*.resume"))


def test_an_interrupted_training_ends_with_the_same_weights(cohort, make_job, tmp_path, monkeypatch):
    job = make_job("finetune", "unet")
    whole = train(job, cohort, tmp_path, "whole")[0]
    loss = Windows.loss
    stop = job.method.options["training"]["resume_every"] + 1

    def stop_there(self, step):
        if step == stop:
            raise KeyboardInterrupt
        return loss(self, step)

    monkeypatch.setattr(Windows, "loss", stop_there)
    with pytest.raises(KeyboardInterrupt):
        train(job, cohort, tmp_path, "parts")
    seen = []
    monkeypatch.setattr(Windows, "loss", lambda self, step: (seen.append(step), loss(self, step))[1])
    assert sha256(train(job, cohort, tmp_path, "parts")[0]) == sha256(whole)
    assert seen[0] == stop - 1


def test_channels_follow_the_classes_and_unknown_stays_unknown(cohort, make_job):
    job = make_job("finetune", "unet")
    method = find_method("unet").load(job, Weights())
    training = Windows(job, method, LabelledSweeps(cohort.volumes, cohort.splits, cohort.pseudolabels))
    images, labels = training.draw(0)
    size = (job.method.options["training"]["batch_size"], *job.method.options["patch"])
    assert images.shape == (size[0], 1, *size[1:]) and labels.shape == size
    assert set(labels.unique().tolist()) <= {0, 1, 2, 3, 4, 5, 255}
    again = training.draw(0)
    assert torch.equal(images, again[0]) and not torch.equal(images, training.draw(1)[0])


def test_without_pseudo_labels_there_is_one_clear_message(cohort, tmp_path):
    with pytest.raises(InputError, match="no pseudo-labelled sweep"):
        LabelledSweeps(cohort.volumes, cohort.splits, tmp_path)


def test_a_method_prompted_with_key_frames_is_not_trained(cohort, make_job, tmp_path):
    job = make_job("finetune", "nearest_key_frame")
    with pytest.raises((InputError, NotImplementedError)):
        train(job, cohort, tmp_path)
