"""Fine-tuning: every kind of run, the same data for all, and resuming."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import load_volume, read_json, save_volume, sha256
from uscl_med3d.core.seeds import rng
from uscl_med3d.methods.base import Weights
from uscl_med3d.methods.registry import find_method
from uscl_med3d.nets import lora
from uscl_med3d.train import finetune as module
from uscl_med3d.train.clicking import draw_objects
from uscl_med3d.train.sweeps import LabelledSweeps
from uscl_med3d.train.tasks import crops, make_task
from uscl_med3d.train.tasks.crops import CropClicks

RUNS = [
    "full_tuning",
    "adaptformer",
    "uscl_med3d_r8_both_vcl",
    "uscl_med3d_r8_decoder_vcl",
    "uscl_med3d_r32_encoder_none",
    "uscl_med3d_r32_decoder_none",
]


@pytest.fixture(scope="module")
def vcl(cohort, make_job, tmp_path_factory):
    """An encoder adapter as pretraining would leave it, with B different from zero."""
    method = find_method("uscl_med3d").load(
        make_job("finetune", "uscl_med3d_r8_encoder_none", methods__uscl_med3d__grid__rank=8),
        Weights(cohort.base),
    )
    state = {name: value + 0.1 for name, value in lora.lora_state(method.network, "encoder").items()}
    path = tmp_path_factory.mktemp("vcl") / "r8.safetensors"
    lora.save_lora(path, state, 8, method.tuning.alpha, method.tuning.belongs["base_sha256"])
    return path


def train(job, cohort, vcl, folder, name="run"):
    paths = [folder / f"{name}.{kind}" for kind in ("safetensors", "csv", "json", "cost.json")]
    start = vcl if job.run.pretraining else None
    names = ("out_weights", "curve_csv", "info_json", "cost_json")
    sweeps = LabelledSweeps(cohort.volumes, cohort.splits, cohort.pseudolabels)
    module.finetune(job, sweeps, Weights(cohort.base, start), **dict(zip(names, paths, strict=True)))
    return paths


@pytest.mark.parametrize("run", RUNS)
def test_trains_only_what_the_run_names(run, cohort, make_job, vcl, tmp_path):
    job = make_job("finetune", run)
    weights, curve, info, cost = train(job, cohort, vcl, tmp_path)
    start = find_method(job.run.method).load(job, Weights(cohort.base, vcl if job.run.pretraining else None))
    trained = find_method(job.run.method).load(
        job, Weights(cohort.base, vcl if job.run.pretraining else None, weights)
    )
    changed = {
        name
        for (name, a), b in zip(
            start.network.state_dict().items(), trained.network.state_dict().values(), strict=True
        )
        if not torch.equal(a, b)
    }
    expected = {name for name, value in _prepared(trained).items() if value.requires_grad}
    assert changed and changed <= expected
    facts = read_json(info)
    assert facts["trainable_parameters"] == sum(
        v.numel() for n, v in _prepared(trained).items() if n in expected
    )
    assert list(pd.read_csv(curve)["step"]) == [3, 6]
    assert read_json(cost)["training_seconds"] >= 0
    assert not list(tmp_path.glob("*.resume"))


def _prepared(method):
    method.prepare_training()
    return dict(method.network.named_parameters())


def test_same_job_gives_the_same_bytes(cohort, make_job, vcl, tmp_path):
    job = make_job("finetune", "adaptformer")
    first, second = (train(job, cohort, vcl, tmp_path, name) for name in ("a", "b"))
    assert sha256(first[0]) == sha256(second[0])
    assert sha256(first[1]) == sha256(second[1])


@pytest.mark.parametrize("keep", ["best", "last"])
def test_interrupted_run_ends_like_an_uninterrupted_one(keep, cohort, make_job, vcl, tmp_path, monkeypatch):
    job = make_job("finetune", "uscl_med3d_r8_decoder_vcl", finetune__keep=keep)
    whole = train(job, cohort, vcl, tmp_path, "whole")
    loss = CropClicks.loss

    def stop_at_five(self, step):
        if step == 5:
            raise KeyboardInterrupt
        return loss(self, step)

    monkeypatch.setattr(CropClicks, "loss", stop_at_five)
    with pytest.raises(KeyboardInterrupt):
        train(job, cohort, vcl, tmp_path, "parts")
    assert (tmp_path / "parts.safetensors.resume").is_file() and not (tmp_path / "parts.safetensors").exists()
    seen = []
    monkeypatch.setattr(CropClicks, "loss", lambda self, step: (seen.append(step), loss(self, step))[1])
    parts = train(job, cohort, vcl, tmp_path, "parts")
    assert seen == [4, 5]
    assert sha256(whole[0]) == sha256(parts[0]) and sha256(whole[1]) == sha256(parts[1])


def test_resume_file_of_another_job_is_ignored(cohort, make_job, vcl, tmp_path, monkeypatch):
    fresh = train(make_job("finetune", "adaptformer"), cohort, vcl, tmp_path, "fresh")
    (tmp_path / "x.safetensors.resume").write_bytes(b"damaged")
    again = train(make_job("finetune", "adaptformer"), cohort, vcl, tmp_path, "x")
    assert sha256(fresh[0]) == sha256(again[0])


def draw(task, step):
    """The clicked objects of one step."""
    random, schedule = rng(*task.seeds, "batch", step), task.schedule
    crops = task.draw_crops(random)
    return draw_objects(crops, schedule.objects_per_crop, schedule.min_target_voxels, random)


def test_all_runs_of_a_seed_draw_the_same_crops_and_clicks(cohort, make_job):
    drawn = []
    for run in ("full_tuning", "uscl_med3d_r32_decoder_none"):
        job = make_job("finetune", run)
        method = find_method(job.run.method).load(job, Weights(cohort.base))
        sweeps = LabelledSweeps(cohort.volumes, cohort.splits, cohort.pseudolabels)
        task = make_task(job, method, sweeps)
        drawn.append([draw(task, step) for step in range(3)])
        assert {target.case for target in task.targets} == {"s_t1", "s_t2"}
    for one, two in zip(*drawn, strict=True):
        assert np.array_equal(one.images, two.images) and np.array_equal(one.owner, two.owner)
        assert np.array_equal(one.objects.first_clicks, two.objects.first_clicks)
    assert not np.array_equal(drawn[0][0].images, drawn[0][1].images), "every step draws new crops"


def test_a_target_that_is_turned_out_of_its_crop_is_taken_as_it_was(cohort, make_job, monkeypatch):
    job = make_job("finetune", "full_tuning")
    method = find_method(job.run.method).load(job, Weights(cohort.base))
    task = make_task(job, method, LabelledSweeps(cohort.volumes, cohort.splits, cohort.pseudolabels))
    monkeypatch.setattr(
        crops, "augment_crop", lambda image, label, settings, random: (image, np.zeros_like(label))
    )
    assert all((label == values[0][0]).any() for _, label, values in task.draw_crops(rng(1, "x")))
    assert draw(task, 0).objects.truth.any(axis=(1, 2, 3, 4)).all()


def test_no_target_is_a_clear_error(cohort, make_job, vcl, tmp_path):
    job = make_job("finetune", "adaptformer", finetune__min_target_voxels=100000)
    with pytest.raises(InputError, match="at least one accepted target"):
        train(job, cohort, vcl, tmp_path)
    assert not list(tmp_path.iterdir())


def test_pseudolabels_of_other_volumes_are_refused(cohort, make_job, vcl, tmp_path):
    for file in cohort.pseudolabels.glob("*.nii.gz"):
        save_volume(tmp_path / "labels" / file.name, load_volume(file)[0][:-1], (1.0, 1.0, 1.0))
    stale = dataclasses.replace(cohort, pseudolabels=tmp_path / "labels")
    with pytest.raises(InputError, match="as its image"):
        train(make_job("finetune", "adaptformer"), stale, vcl, tmp_path)
