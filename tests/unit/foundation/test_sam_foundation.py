"""The base SAM and the base SAM-Med2D: trained here or official, reproducible, described, resumable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_cohort import cohort, make_job
from tiny_sam import SHAPE, TWO_BLOCKS

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json, sha256
from uscl_med3d.data.general import Reading
from uscl_med3d.foundation import sam, sam_med2d
from uscl_med3d.foundation.general_slices import GeneralSlices, fit_square
from uscl_med3d.foundation.scenes import Pictures, draw_pictures
from uscl_med3d.nets.sam import build_sam
from uscl_med3d.nets.sam.checkpoint import read_weights
from uscl_med3d.nets.sam.frame import PIXEL_MEAN, SquareFrame

__all__ = ["cohort", "make_job"]

SCHEDULE = {
    "steps": 4,
    "batch_size": 2,
    "objects_per_image": 2,
    "warmup_steps": 1,
    "evaluate_every": 2,
    "resume_every": 2,
}
SHORT = {
    "images": {"held_out_images": 2, "held_out_clicks": 2},
    "dense": SCHEDULE | {"points_per_object": 1},
    "clicks": SCHEDULE | {"clicks": 3, "first_click_steps": 1},
}


@pytest.fixture
def change():
    """Parameters of both base models, small and short."""
    changes = {}
    for name in ("sam", "sam_med2d"):
        changes |= {f"foundation__{name}__architecture__{key}": value for key, value in SHAPE.items()}
        for part, values in SHORT.items():
            changes |= {f"foundation__{name}__training__{part}__{key}": x for key, x in values.items()}
    return changes


@pytest.fixture
def base(make_job, change, tmp_path) -> Path:
    """Weights of a base SAM."""
    weights = tmp_path / "teacher.safetensors"
    sam.train(make_job("foundation_sam", **change), {}, None, weights, tmp_path / "teacher.csv")
    return weights


def train_med2d(job, cohort, teacher, weights):
    sam_med2d.train(job, cohort.general, teacher, weights, weights.with_suffix(".csv"))
    return weights


def test_sam_training_is_reproducible_and_described(make_job, change, tmp_path, base):
    again = tmp_path / "again.safetensors"
    sam.train(make_job("foundation_sam", **change), {}, None, again, tmp_path / "again.csv")
    assert sha256(again) == sha256(base)
    curve = pd.read_csv(tmp_path / "again.csv")
    assert list(curve["stage"]) == ["dense"] * 2 + ["clicks"] * 2 and list(curve["step"]) == [2, 4] * 2
    assert (
        curve["validation_dice"][:2].between(0, 100).all()
        and curve["last_click_dice"][2:].between(0, 100).all()
    )
    facts = read_json(again.with_suffix(".json"))
    assert facts["weights"] == "train" and facts["sha256"] == sha256(again)
    architecture, tensors = read_weights(again, "sam")
    build_sam(architecture).load_state_dict(tensors)
    assert not list(tmp_path.glob("*.resume"))


def test_official_sam_weights_are_checked_and_kept(make_job, change, tmp_path):
    official = tmp_path / "official.pth"
    network = build_sam(TWO_BLOCKS)
    torch.save(network.state_dict(), official)
    change |= {"foundation__sam__weights": str(official), "foundation__sam__sha256": sha256(official)}
    weights = tmp_path / "sam.safetensors"
    sam.train(make_job("foundation_sam", **change), {}, None, weights, tmp_path / "sam.csv")
    tensors = read_weights(weights, "sam")[1]
    assert all(torch.equal(tensors[name], value) for name, value in network.state_dict().items())
    change["foundation__sam__sha256"] = "0" * 64
    with pytest.raises(InputError, match="SHA-256"):
        sam.train(make_job("foundation_sam", **change), {}, None, weights, tmp_path / "sam.csv")


def test_only_adapters_prompts_and_decoder_of_sam_med2d_train(make_job, change, cohort, tmp_path, base):
    job = make_job("foundation_sam_med2d", **change)
    weights = train_med2d(job, cohort, base, tmp_path / "a.safetensors")
    assert sha256(weights) == sha256(train_med2d(job, cohort, base, tmp_path / "b.safetensors"))
    before, after = read_weights(base, "sam")[1], read_weights(weights, "sam_med2d")[1]
    added = set(after) - set(before)
    assert added and all(".Adapter." in name for name in added)
    for name, value in before.items():
        if name.startswith("image_encoder."):
            assert torch.equal(after[name], value), name
    changed = {name.split(".")[0] for name, value in before.items() if not torch.equal(after[name], value)}
    assert changed == {"prompt_encoder", "mask_decoder"}


def test_sam_med2d_needs_a_base_of_its_own_architecture(make_job, change, cohort, tmp_path, base):
    job = make_job("foundation_sam_med2d", **change)
    with pytest.raises(InputError, match="start from"):
        train_med2d(job, cohort, None, tmp_path / "a.safetensors")
    job = make_job("foundation_sam_med2d", **(change | {"foundation__sam_med2d__architecture__depth": 3}))
    with pytest.raises(InputError, match="depth: 3"):
        train_med2d(job, cohort, base, tmp_path / "a.safetensors")


def test_official_sam_med2d_weights_load_from_their_wrapper(make_job, change, cohort, tmp_path):
    official = tmp_path / "official.pth"
    network = build_sam(SHAPE | {"adapter_ratio": 0.25})
    torch.save({"model": network.state_dict()}, official)
    change |= {"foundation__sam_med2d__weights": str(official)}
    weights = train_med2d(
        make_job("foundation_sam_med2d", **change), cohort, None, tmp_path / "m.safetensors"
    )
    assert read_weights(weights, "sam_med2d")[0]["small_slices"] == "resize"


def test_pictures_show_disjoint_objects(make_job):
    settings = make_job("foundation_sam").sam.scenes
    generator = torch.Generator().manual_seed(0)
    pictures = draw_pictures(generator, 4, (40, 50), settings)
    assert (
        pictures.images.shape == (4, 3, 40, 50) and pictures.images.min() >= 0 and pictures.images.max() <= 1
    )
    assert pictures.regions.shape == (4, settings.objects, 40, 50)
    assert pictures.regions.sum(1).max() == 1
    again = draw_pictures(torch.Generator().manual_seed(0), 4, (40, 50), settings)
    assert torch.equal(pictures.images, again.images)


def test_targets_are_neither_too_small_nor_too_large():
    regions = torch.zeros(2, 3, 10, 10, dtype=torch.bool)
    regions[0, 0, :2, :2] = True  # 4 pixels
    regions[0, 1, :4, :4] = True  # 16
    regions[1, 2] = True  # everything
    pictures = Pictures(torch.zeros(2, 3, 10, 10), regions)
    batch = sam.choose_targets(pictures, 3, 5, 0.5, np.random.default_rng(0))
    assert batch.owner.tolist() == [0] and int(batch.truth.sum()) == 16
    none = sam.choose_targets(pictures, 3, 20, 0.5, np.random.default_rng(0))
    assert none.truth.shape == (1, 10, 10) and none.truth.any()


@pytest.mark.parametrize(("size", "pads"), [((18, 24), True), ((18, 24), False), ((40, 20), True)])
def test_training_slices_look_as_the_method_shows_them(size, pads):
    image = torch.randint(0, 256, (3, *size)).float()
    fitted = fit_square(image, 32, pads, PIXEL_MEAN)
    expected = SquareFrame(size, 32, 16, pads).place_images(image[None])
    found = SquareFrame((32, 32), 32, 16, pads).place_images(fitted[None])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_slices_come_from_training_patients_only(make_job, change, cohort):
    job = make_job("foundation_sam_med2d", **change)
    sampling = job.sam_med2d.training.images.model_copy(update={"validation_patients": 1})
    slices = GeneralSlices(cohort.general, Reading.of(job), sampling, 32, False, 0, "test")
    names = [
        {example.case for structures in part.values() for found in structures.values() for example in found}
        for part in (slices.training_examples, slices.held_out_examples)
    ]
    assert names[0] and names[1] and not names[0] & names[1]
    batch = slices.draw(2, 2, "batch", 0)
    assert batch.images.shape == (2, 3, 32, 32) and batch.truth.shape[1:] == (32, 32)
    assert batch.truth.any((1, 2)).all() and set(batch.owner.tolist()) == {0, 1}
    assert torch.equal(batch.images, slices.draw(2, 2, "batch", 0).images)
    assert not torch.equal(batch.images, slices.draw(2, 2, "batch", 1).images)


def test_sets_without_structures_are_an_error(make_job, change, cohort):
    job = make_job("foundation_sam_med2d", **change)
    sampling = job.sam_med2d.training.images.model_copy(update={"min_target_pixels": 10_000})
    with pytest.raises(InputError, match="no labelled structure"):
        GeneralSlices(cohort.general, Reading.of(job), sampling, 32, False, 0, "foundation_sam_med2d")
