"""The base model: trained on the general-domain sets, or an official checkpoint; one code path after."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_cohort import cohort, make_job

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json, sha256
from uscl_med3d.data.general import Reading
from uscl_med3d.foundation import sam_med3d as module
from uscl_med3d.foundation.general_crops import GeneralCrops, flip
from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d, read_state
from uscl_med3d.train.crops import Batch

__all__ = ["cohort", "make_job"]


def run(job, cohort, folder, name="base"):
    weights, curve = folder / f"{name}.safetensors", folder / f"{name}.csv"
    module.train(job, cohort.general, None, weights, curve)
    return weights, curve


def test_training_is_reproducible_and_described(cohort, make_job, tmp_path):
    job = make_job("foundation_sam_med3d")
    first, second = (run(job, cohort, tmp_path, name) for name in ("a", "b"))
    assert sha256(first[0]) == sha256(second[0])
    assert list(pd.read_csv(first[1])["step"]) == [3, 6, 3, 6]
    facts = read_json(first[0].with_suffix(".json"))
    assert facts["weights"] == "train" and facts["sha256"] == sha256(first[0])
    build_sam_med3d(SamMed3DConfig(**job.model.model_dump())).load_state_dict(read_state(first[0]))


def test_checkpoint_is_checked_and_copied(cohort, make_job, tmp_path):
    settings = {
        "foundation__sam_med3d__weights": str(cohort.base),
        "foundation__sam_med3d__sha256": sha256(cohort.base),
    }
    weights, curve = run(make_job("foundation_sam_med3d", **settings), cohort, tmp_path)
    given, written = read_state(cohort.base), read_state(weights)
    assert all(torch.equal(given[name], written[name]) for name in given) and set(given) == set(written)
    assert len(pd.read_csv(curve)) == 0


@pytest.mark.parametrize(
    ("file", "digest", "why"), [("missing.pth", None, "no such file"), (None, "0" * 64, "SHA-256")]
)
def test_wrong_checkpoint_is_a_clear_error(file, digest, why, cohort, make_job, tmp_path):
    path = str(tmp_path / file) if file else str(cohort.base)
    job = make_job(
        "foundation_sam_med3d", foundation__sam_med3d__weights=path, foundation__sam_med3d__sha256=digest
    )
    with pytest.raises(InputError, match=why):
        run(job, cohort, tmp_path)
    assert not (tmp_path / "base.safetensors").exists()


def test_flipping_keeps_clicks_on_their_voxel():
    random = np.random.default_rng(0)
    images = random.random((4, 1, 6, 6, 6)).astype(np.float32)
    clicks = random.integers(0, 6, (4, 3))
    batch = Batch(images, (images > 0.5).astype(np.uint8), clicks)
    flipped = flip(batch, 0.5, np.random.default_rng(1))
    assert not np.array_equal(flipped.images, images)
    for index in range(4):
        at = (index, 0, *clicks[index])
        now = (index, 0, *flipped.first_clicks[index])
        assert images[at] == flipped.images[now] and batch.truth[at] == flipped.truth[now]
    assert np.array_equal(batch.images, images)


def test_held_back_patients_are_not_trained_on(cohort, make_job):
    job = make_job("foundation_sam_med3d")
    sampling = job.sam_med3d.training.crops
    training = GeneralCrops(cohort.general, Reading.of(job), job.model.image_size, sampling, job.seed, "test")
    trained = {target.case for target in training.targets}
    validated = {crop.target.case for crop in training.validation_crops}
    assert trained == {f"{name}/Tr0" for name in cohort.general}
    assert validated <= {f"{name}/Tr1" for name in cohort.general} and validated
    random = np.random.default_rng(0)
    sets = {crop.target.case.split("/")[0] for crop in training.draw_references(30, random)}
    assert sets == set(cohort.general)
