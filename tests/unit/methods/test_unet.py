"""U-Net and SwinUNETR as methods: any volume size, classes by name, checkpoints that fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uscl_med3d.core.errors import InputError
from uscl_med3d.methods.base import Weights
from uscl_med3d.methods.registry import find_method
from uscl_med3d.methods.unet import Unshuffled, pad_to

NAMES = ["unet", "swin_unetr"]


def volume(shape):
    image = np.random.default_rng(0).integers(1, 255, shape).astype(np.uint8)
    image[..., :3] = 0
    return image


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(10, 12, 9), (35, 20, 70)])
def test_smaller_and_larger_than_a_patch(name, shape, make_job):
    job = make_job("evaluate", name)
    method = find_method(name).load(job, Weights())
    labels = method.segment(volume(shape), None, job.classes, None)
    assert labels.shape == shape and labels.dtype == np.uint8
    assert labels.any() and not labels[..., :3].any()


def test_label_values_come_by_name(make_job):
    job = make_job("evaluate", "unet")
    method = find_method("unet").load(job, Weights())
    image = volume((12, 14, 16))
    labels = method.segment(image, None, job.classes, None)
    renamed = method.segment(image, None, {name: value + 10 for name, value in job.classes.items()}, None)
    np.testing.assert_array_equal(renamed, np.where(labels, labels + 10, 0))
    assert not method.segment(image, None, {"aorta": 1}, None).any()


def test_told_the_class_it_is_that_class_or_background(make_job, tmp_path):
    job = make_job("evaluate", "unet")
    plain = find_method("unet").load(job, Weights())
    plain.save(tmp_path / "trained.safetensors")
    told = find_method("unet_told").load(job, Weights(trained=tmp_path / "trained.safetensors"))
    image = volume((12, 14, 16))
    labels, logits = plain.segment(image, None, job.classes, None), plain.predict_logits(image)
    for name, value in job.classes.items():
        found = told.segment(image, None, {name: value}, None) == value
        assert (found >= (labels == value)).all()  # what has this name keeps it
        above = logits[1 + plain.classes.index(name)] > logits[0]
        np.testing.assert_array_equal(found, above.numpy() & (image > 0))
    np.testing.assert_array_equal(told.segment(image, None, job.classes, None), labels)


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_of_another_architecture_or_other_classes_is_refused(name, make_job, tmp_path):
    job = make_job("evaluate", name)
    method = find_method(name).load(job, Weights())
    method.save(tmp_path / "trained.safetensors")
    for changes, key in (({"classes": {"liver": 3}}, "classes"),):
        with pytest.raises(InputError, match=key):
            find_method(name).load(
                job.model_copy(update=changes), Weights(trained=tmp_path / "trained.safetensors")
            )
    options = {**job.method.options, "patch": [64, 64, 64]}
    other = job.model_copy(update={"method": job.method.model_copy(update={"options": options})})
    with pytest.raises(InputError, match="architecture"):
        find_method(name).load(other, Weights(trained=tmp_path / "trained.safetensors"))


def test_the_start_depends_on_the_training_seed_only(make_job):
    job = make_job("finetune", "unet")
    torch.manual_seed(1)
    first = find_method("unet").load(job, Weights()).trained_state()
    torch.manual_seed(2)
    second = find_method("unet").load(job, Weights()).trained_state()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = job.model_copy(update={"run": job.run.model_copy(update={"training_seed": 1})})
    third = find_method("unet").load(other, Weights()).trained_state()
    assert any(not torch.equal(first[name], third[name]) for name in first)


def test_blocks_of_voxels_go_in_and_come_out_in_their_places():
    images = torch.arange(2 * 4 * 6 * 8).float().view(2, 1, 4, 6, 8)
    same = Unshuffled(torch.nn.Identity(), 2)
    torch.testing.assert_close(same(images), images)


def test_padding_keeps_the_volume_in_the_middle():
    image = volume((3, 10, 5))
    padded, inside = pad_to(image, (7, 4, 8))
    assert padded.shape == (7, 10, 8)
    np.testing.assert_array_equal(padded[inside], image)
    assert padded.sum() == image.sum() and inside[0].start == 2
