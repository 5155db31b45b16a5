"""The stage `pretrain` on a tiny model and tiny sweeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import gaussian_filter
from tiny_sam import SAM_MED3D

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import save_volume, sha256
from uscl_med3d.core.params import job_model
from uscl_med3d.nets import lora
from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d, save_checkpoint
from uscl_med3d.pretext import stage
from uscl_med3d.pretext.vcl import Vcl
from uscl_med3d.selfsupervised.sweeps import SweepImages

PRETRAIN = {
    "form": "paper",
    "log_margin": 0.05,
    "base_grid": (1, 2, 2),
    "random_crops": 3,
    "momentum": 0.9,
    "head": "linear",
    "head_hidden_dim": 16,
    "head_dim": 16,
    "head_components": 8,
    "whitening_sweeps": 3,
    "learning_rate": 1e-3,
    "head_learning_rate": 1e-3,
    "augmentation": {
        "flip_probability": 0.1,
        "rotate_probability": 0.1,
        "shift_probability": 0.1,
        "shift": 0.1,
    },
    "validation_crops": 4,
}
SCHEDULE = {
    "steps": 6,
    "batch_size": 2,
    "warmup_steps": 2,
    "final_learning_rate": 0.0,
    "weight_decay": 0.01,
    "gradient_norm": 1.0,
    "evaluate_every": 4,
    "resume_every": 3,
}
SHARED = {"alpha_rule": "equal_rank", "dropout": 0.0}
SPLITS = {"a": "train", "b": "train", "c": "train", "d": "val", "e": "test"}


def make_job(**changes):
    values = {"seed": 3, "threads": 1, "device": "cpu", "precision": "float32", "model": SAM_MED3D}
    schedule = {key: changes.pop(key, value) for key, value in SCHEDULE.items()}
    shared = {key: changes.pop(key, value) for key, value in SHARED.items()}
    pretrain = shared | {"schedule": schedule, "tasks": {"vcl": {**PRETRAIN, **changes}}}
    return job_model("pretrain").model_validate({**values, "pretrain": pretrain})


def write_splits(path, splits):
    rows = [(f"p_{name}", name, "chest", "chest", split) for name, split in splits.items()]
    columns = ["patient", "sweep", "group", "view", "split"]
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Images of the training and validation sweeps; no label anywhere, and nothing of the test sweep."""
    folder = tmp_path_factory.mktemp("inputs")
    layout = gaussian_filter(np.random.default_rng(0).normal(size=(12, 20, 22)), 3)
    for index, name in enumerate("abcd"):
        own = gaussian_filter(np.random.default_rng(index + 1).normal(size=layout.shape), 3)
        image = np.clip(120 + 40 * (layout + 0.5 * own) / layout.std(), 1, 255).astype(np.uint8)
        image[:, :4, :4] = 0
        save_volume(folder / "volumes" / name / "image.nii.gz", image, (1.0, 1.0, 1.0))
    write_splits(folder / "splits.csv", SPLITS)
    torch.manual_seed(0)
    model = build_sam_med3d(SamMed3DConfig(**SAM_MED3D))
    torch.nn.init.normal_(model.image_encoder.pos_embed, std=0.02)
    save_checkpoint(model, folder / "base.safetensors")
    return folder


def run(inputs: Path, out: Path, rank: int = 4, **changes):
    sweeps = SweepImages(inputs / "volumes", inputs / "splits.csv")
    made = {"out_weights": out / f"r{rank}.safetensors", "curve_csv": out / f"r{rank}.csv"}
    stage.pretrain(make_job(**changes), rank, 0, sweeps, inputs / "base.safetensors", **made)
    return (out / f"r{rank}.safetensors").read_bytes(), (out / f"r{rank}.csv").read_text()


def test_writes_the_encoder_adapter_and_a_curve(inputs, tmp_path):
    run(inputs, tmp_path)
    tensors = lora.read_lora(tmp_path / "r4.safetensors", 4, 4.0, sha256(inputs / "base.safetensors"))
    model = build_sam_med3d(SamMed3DConfig(**SAM_MED3D))
    lora.add_lora(model, "encoder", 4, 4.0, 0.0, 0)
    lora.load_lora_state(model, tensors, "encoder")
    assert all(value.abs().sum() > 0 for value in tensors.values()), "an adapter was not trained"
    curve = pd.read_csv(tmp_path / "r4.csv")
    assert list(curve["step"]) == [0, 4, 6]
    assert np.isfinite(curve.loc[1:].to_numpy()).all()
    assert np.isfinite(curve.filter(like="validation").to_numpy()).all()
    assert not list(tmp_path.glob("*.resume")) and not list(tmp_path.glob(".tmp*"))


def test_the_task_is_learned(inputs, tmp_path):
    changes = {"learning_rate": 3e-3, "head_learning_rate": 1e-2, "steps": 60, "evaluate_every": 10}
    run(inputs, tmp_path, augmentation=dict.fromkeys(PRETRAIN["augmentation"], 0.0), **changes)
    # Three sweeps are learned, not understood: the last steps are compared with the first.
    first, last = pd.read_csv(tmp_path / "r4.csv").iloc[[1, -1]].to_dict("records")
    assert last["loss"] < 0.6 * first["loss"]
    assert last["prediction_loss"] < first["prediction_loss"]
    assert last["regularisation_loss"] < 0.5 * first["regularisation_loss"]


@pytest.mark.parametrize("changes", [{}, {"dropout": 0.3}, {"form": "code", "head": "mlp"}])
def test_interrupted_and_resumed_equals_uninterrupted(inputs, tmp_path, monkeypatch, changes):
    whole = run(inputs, tmp_path / "whole", **changes)
    step = Vcl.loss

    def fail_at_five(self, number):
        if number == 5:
            raise KeyboardInterrupt
        return step(self, number)

    monkeypatch.setattr(Vcl, "loss", fail_at_five)
    with pytest.raises(KeyboardInterrupt):
        run(inputs, tmp_path / "cut", **changes)
    assert (tmp_path / "cut/r4.safetensors.resume").is_file() and not (
        tmp_path / "cut/r4.safetensors"
    ).exists()
    steps = []
    monkeypatch.setattr(Vcl, "loss", lambda self, number: (steps.append(number), step(self, number))[1])
    torch.manual_seed(99)
    assert run(inputs, tmp_path / "cut", **changes) == whole
    assert steps == [3, 4, 5], "it did not go on from its checkpoint"


@pytest.mark.parametrize("damage", ["other parameters", "truncated"])
def test_a_checkpoint_of_something_else_is_ignored(inputs, tmp_path, monkeypatch, damage):
    whole = run(inputs, tmp_path / "whole")
    step = Vcl.loss

    def fail_at_five(self, number):
        if number == 5:
            raise KeyboardInterrupt
        return step(self, number)

    monkeypatch.setattr(Vcl, "loss", fail_at_five)
    with pytest.raises(KeyboardInterrupt):
        run(inputs, tmp_path / "cut", learning_rate=2e-3 if damage == "other parameters" else 1e-3)
    if damage == "truncated":
        resume = tmp_path / "cut/r4.safetensors.resume"
        resume.write_bytes(resume.read_bytes()[:500])
    monkeypatch.setattr(Vcl, "loss", step)
    assert run(inputs, tmp_path / "cut") == whole


def test_only_training_and_validation_images_can_be_read(inputs):
    sweeps = SweepImages(inputs / "volumes", inputs / "splits.csv")
    assert (sweeps.train, sweeps.validation) == (["a", "b", "c"], ["d"])
    for unknown in ("e", "f"):
        with pytest.raises(ValueError, match="no training or validation patient"):
            sweeps.load(unknown)


def test_training_draws_from_training_sweeps_only(inputs, tmp_path, monkeypatch):
    drawn = []
    draw = Vcl._draw
    monkeypatch.setattr(
        Vcl, "_draw", lambda self, sweep, *rest: (drawn.append(sweep), draw(self, sweep, *rest))[1]
    )
    monkeypatch.setattr(Vcl, "evaluate", lambda self: {})
    monkeypatch.setattr(Vcl, "columns", Vcl.columns[:3])
    run(inputs, tmp_path)
    # Once for the head's start; then 6 steps of 2 sweeps are four epochs, each with every sweep once.
    assert all(sorted(drawn[k : k + 3]) == ["a", "b", "c"] for k in range(0, 15, 3)) and len(drawn) == 15


def test_runs_without_validation_patients(inputs, tmp_path):
    write_splits(tmp_path / "splits.csv", {name: "train" for name in "abc"})
    sweeps = SweepImages(inputs / "volumes", tmp_path / "splits.csv")
    made = {"out_weights": tmp_path / "r4.safetensors", "curve_csv": tmp_path / "r4.csv"}
    stage.pretrain(make_job(), 4, 0, sweeps, inputs / "base.safetensors", **made)
    curve = pd.read_csv(tmp_path / "r4.csv")
    assert curve["validation_loss"].isna().all() and np.isfinite(curve["loss"].iloc[-1])


def test_a_patient_in_two_splits_is_refused(inputs, tmp_path):
    write_splits(tmp_path / "splits.csv", SPLITS)
    text = (tmp_path / "splits.csv").read_text().replace("p_d", "p_a")
    (tmp_path / "splits.csv").write_text(text)
    with pytest.raises(InputError, match="p_a"):
        SweepImages(inputs / "volumes", tmp_path / "splits.csv")


def test_no_training_patient_is_refused(inputs, tmp_path):
    write_splits(tmp_path / "splits.csv", {"d": "val"})
    with pytest.raises(InputError, match="train"):
        SweepImages(inputs / "volumes", tmp_path / "splits.csv")


def test_a_sweep_too_thin_for_the_grid_is_named(inputs, tmp_path):
    with pytest.raises(InputError, match=r"image\.nii\.gz"):
        run(inputs, tmp_path, base_grid=(13, 1, 1))


def test_training_seeds_differ_and_are_measured_on_the_same_crops(inputs, tmp_path):
    sweeps = SweepImages(inputs / "volumes", inputs / "splits.csv")
    made = {}
    for seed in (0, 1):
        files = tmp_path / f"s{seed}.safetensors", tmp_path / f"s{seed}.csv"
        outputs = dict(zip(("out_weights", "curve_csv"), files, strict=True))
        stage.pretrain(make_job(), 4, seed, sweeps, inputs / "base.safetensors", **outputs)
        made[seed] = files[0].read_bytes(), pd.read_csv(files[1])
    assert made[0][0] != made[1][0]
    same = ["validation_chance", "validation_constant_prediction_loss"]
    pd.testing.assert_frame_equal(made[0][1][same], made[1][1][same])
