from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256
from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.foundation.seggpt import SegGptFoundation
from uscl_med3d.core.params.scenes import SceneSettings
from uscl_med3d.foundation import seggpt
from uscl_med3d.foundation.held_out import dice_percent
from uscl_med3d.nets.seggpt import load_seggpt, predict_canvas, read_scores

SETTINGS = {
    "weights": "train",
    "sha256": None,
    "source": "the test",
    "embedding_type": "instance",
    "architecture": {
        "image_height": 16,
        "image_width": 24,
        "patch_size": 8,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "mlp_dim": 32,
        "merge_index": 0,
        "intermediate_hidden_state_indices": [0, 1],
        "decoder_hidden_size": 4,
        "initializer_range": 0.05,
    },
    "training": {
        "steps": 6,
        "batch_size": 4,
        "learning_rate": 0.01,
        "warmup_steps": 1,
        "weight_decay": 0.0,
        "gradient_norm": 1.0,
        "loss_beta": 0.5,
        "similarity_scale": 2.0,
        "prompt_loss": 0.5,
        "plain_steps": 2,
        "two_prompts": 0.5,
        "extrapolation": 0.2,
        "held_out_scenes": 4,
        "evaluate_every": 2,
        "resume_every": 2,
        "final_learning_rate": 0.0,
    },
    "plain_scenes": {
        "pace": [1.0, 2.0],
        "texture": 0.1,
        "grain": 0.1,
        "shadow_fraction": 0.0,
        "opening_fraction": 0.0,
    },
    "scenes": {
        "objects": 3,
        "pace": [0.5, 2.0],
        "radius": [0.3, 0.9],
        "irregularity": 0.3,
        "lifetime": [1.0, 3.0],
        "edge_width": [0.01, 0.1],
        "object_motion": 0.1,
        "object_turn": 0.2,
        "camera_motion": 0.1,
        "warp": 0.1,
        "warp_motion": 0.05,
        "texture": 0.3,
        "grain": 0.3,
        "light": 0.2,
        "shadow_fraction": 0.5,
        "opening_fraction": 0.5,
        "colour_fraction": 0.5,
        "area": [0.02, 0.5],
    },
}


class Job(Section):
    seed: int
    threads: int
    device: str
    seggpt: SegGptFoundation


@pytest.fixture
def job() -> Job:
    return Job(seed=5, threads=1, device="cpu", seggpt=SETTINGS)


@pytest.fixture
def scenes() -> SceneSettings:
    return SceneSettings(**SETTINGS["scenes"])


def official(job: Job, path: Path, **changes: str) -> Job:
    """The same job with an official checkpoint at `path`."""
    return job.model_copy(update={"seggpt": job.seggpt.model_copy(update={"weights": str(path), **changes})})


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder as `save_pretrained` writes it."""
    torch.manual_seed(1)
    folder = tmp_path / "seggpt-vit-large"
    seggpt.build_seggpt(seggpt.configure(SegGptFoundation(**SETTINGS).architecture)).save_pretrained(folder)
    return folder


def test_training_lowers_the_loss_and_writes_three_files(job: Job, tmp_path: Path) -> None:
    longer = job.seggpt.training.model_copy(update={"steps": 60, "evaluate_every": 20, "resume_every": 20})
    job = job.model_copy(update={"seggpt": job.seggpt.model_copy(update={"training": longer})})
    seggpt.train(job, {}, None, tmp_path / "w.safetensors", tmp_path / "w.csv")
    curve = pd.read_csv(tmp_path / "w.csv")
    assert list(curve["step"]) == [20, 40, 60] and set(seggpt.CURVE_COLUMNS) <= set(curve.columns)
    assert curve["loss"].iloc[-1] < 0.8 * curve["loss"].iloc[0]
    facts = json.loads((tmp_path / "w.json").read_text())
    assert {"seggpt", "nearest_prompt_mask", "scenes"} <= set(facts["held_out"]["one_prompt"])
    assert facts["parameters"] == sum(
        p.numel() for p in load_seggpt(tmp_path / "w.safetensors")[0].parameters()
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.csv", "w.json", "w.safetensors"]


@torch.no_grad()
def test_official_checkpoint_takes_the_same_path(job: Job, checkpoint: Path, tmp_path: Path) -> None:
    from transformers import SegGptForImageSegmentation

    digest = sha256(checkpoint / "model.safetensors")
    job = official(job, checkpoint, sha256=digest)
    seggpt.train(job, {}, None, tmp_path / "w.safetensors", tmp_path / "w.csv")
    model, embedding_type = load_seggpt(tmp_path / "w.safetensors")
    upstream = SegGptForImageSegmentation.from_pretrained(checkpoint).eval()
    target, image, mask = torch.randn(3, 2, 3, 16, 24, generator=torch.Generator().manual_seed(2))
    expected = upstream(
        pixel_values=target, prompt_pixel_values=image, prompt_masks=mask, embedding_type="instance"
    )
    found = predict_canvas(model, target, image[:, None], mask[:, None], torch.ones(2, 1), embedding_type)
    torch.testing.assert_close(found, expected.pred_masks)
    assert read_scores(found).shape == (2, 16, 24)
    assert json.loads((tmp_path / "w.json").read_text())["sha256"] == digest
    assert pd.read_csv(tmp_path / "w.csv").empty


def test_binary_checkpoint_is_read_without_unpickling_code(job: Job, checkpoint: Path) -> None:
    from safetensors.torch import load_file

    tensors = load_file(checkpoint / "model.safetensors")
    (checkpoint / "model.safetensors").unlink()
    torch.save(tensors, checkpoint / "pytorch_model.bin")
    model, facts = seggpt.load_official(official(job, checkpoint).seggpt)
    assert facts["file"] == "pytorch_model.bin"
    name, tensor = next(iter(tensors.items()))
    torch.testing.assert_close(model.state_dict()[name], tensor)
    torch.save({"code": print}, checkpoint / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model\.bin"):
        seggpt.load_official(official(job, checkpoint).seggpt)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json beside it"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights file"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"short"), r"model\.safetensors"),
        (lambda folder: (folder / "config.json").write_text("{"), r"config\.json"),
    ],
)
def test_unusable_checkpoints_are_named(
    job: Job, checkpoint: Path, tmp_path: Path, break_it, message: str
) -> None:
    break_it(checkpoint)
    with pytest.raises(InputError, match=message):
        seggpt.train(official(job, checkpoint), {}, None, tmp_path / "w.safetensors", tmp_path / "w.csv")
    assert not (tmp_path / "w.safetensors").exists()


def test_missing_or_exchanged_file(job: Job, checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        seggpt.load_official(official(job, tmp_path / "nowhere").seggpt)
    with pytest.raises(InputError, match="SHA-256 0000"):
        seggpt.load_official(official(job, checkpoint, sha256="0000").seggpt)


def test_dice_of_two_empty_masks_is_no_number() -> None:
    empty, full = torch.zeros(1, 2, 2, dtype=torch.bool), torch.ones(1, 2, 2, dtype=torch.bool)
    assert (
        dice_percent(empty, empty).isnan()
        and dice_percent(full, full) == 100
        and dice_percent(full, empty) == 0
    )
