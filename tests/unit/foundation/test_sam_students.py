"""MobileSAM and TinySAM learn from a base SAM, or load official weights."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from tiny_sam import ONE_BLOCK

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.foundation.mobile_sam import MobileSamFoundation
from uscl_med3d.core.params.foundation.sam import SamFoundation
from uscl_med3d.core.params.foundation.tinysam import FullStageDistillation, TinySamFoundation
from uscl_med3d.foundation import mobile_sam, students, tinysam
from uscl_med3d.foundation.distillation_scenes import DistillationScenes
from uscl_med3d.nets.mobile_sam import build_mobile_sam
from uscl_med3d.nets.sam import OFFICIAL_DECODER, build_sam
from uscl_med3d.nets.sam.checkpoint import read_weights, save_weights

SCENES = {
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
}
SHORT = {
    "steps": 2,
    "batch_size": 4,
    "learning_rate": 0.001,
    "warmup_steps": 1,
    "final_learning_rate": 0.1,
    "weight_decay": 0.0,
    "gradient_norm": 1.0,
    "evaluate_every": 2,
    "resume_every": 2,
}
SAM = {
    "weights": "train",
    "sha256": None,
    "source": "the test",
    "architecture": ONE_BLOCK,
    "scenes": SCENES,
    "training": {
        "images": {
            "sides": [20, 32],
            "aspect": [0.7, 1.0],
            "largest_target": 0.8,
            "min_target_pixels": 10,
            "click_simulator": "random_error",
            "held_out_images": 4,
            "held_out_clicks": 2,
        },
        "dense": SHORT
        | {
            "objects_per_image": 2,
            "points_per_object": 1,
            "channels": 4,
            "colour_weight": 1.0,
            "fast_share": 3.0,
            "neck_share": 0.1,
            "neck_start": 0.2,
        },
        "clicks": SHORT
        | {
            "objects_per_image": 2,
            "first_click_steps": 1,
            "clicks": 2,
            "focal_weight": 1.0,
            "focal_gamma": 2.0,
            "dice_weight": 1.0,
            "iou_weight": 1.0,
            "position_scale": 0.5,
            "query_scale": 2.0,
        },
    },
}
STUDENT = {
    "weights": "train",
    "sha256": None,
    "source": "the test",
    "architecture": {
        "widths": [8, 12, 16, 16],
        "depths": [1, 1, 1, 1],
        "num_heads": [2, 2, 2, 2],
        "window_sizes": [2, 2, 3, 2],
        "merge_strides": [2, 1, 1],
        "mlp_ratio": 2.0,
        "expand_ratio": 2.0,
        "local_conv_size": 3,
        "num_classes": 0,
    },
    "training": {
        "scenes": 12,
        "steps": 6,
        "batch_size": 4,
        "learning_rate": 0.003,
        "warmup_steps": 1,
        "final_learning_rate": 0.1,
        "weight_decay": 0.01,
        "gradient_norm": 1.0,
        "evaluate_every": 3,
        "resume_every": 3,
    },
}
STAGES = {
    "encoder_steps": 2,
    "decoder_learning_rate": 0.0003,
    "masks_per_image": 1,
    "clicks": 3,
    "learned_clicks": 3,
    "embedding_weight": 1.0,
    "token_weight": 1.0,
    "mask_weight": 1.0,
    "iou_weight": 1.0,
    "hard_mask_limit": 2.0,
}


class Job(Section):
    seed: int
    threads: int
    device: str
    sam: SamFoundation
    mobile_sam: MobileSamFoundation
    tinysam: TinySamFoundation


@pytest.fixture
def job() -> Job:
    tiny = STUDENT | {"training": STUDENT["training"] | STAGES}
    return Job(seed=3, threads=1, device="cpu", sam=SAM, mobile_sam=STUDENT, tinysam=tiny)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("teacher") / "sam.safetensors"
    save_weights(path, "sam", ONE_BLOCK, build_sam(ONE_BLOCK))
    return path


def change(job: Job, name: str, **values: object) -> Job:
    """The job with other numbers of a training."""
    section = getattr(job, name)
    training = section.training.model_copy(update=values)
    return job.model_copy(update={name: section.model_copy(update={"training": training})})


def run(module: object, job: Job, teacher: Path | None, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    weights = folder / "weights.safetensors"
    module.train(job, {}, teacher, weights, folder / "curve.csv")
    return weights


BOTH = pytest.mark.parametrize(
    ("module", "name"), [(mobile_sam, "mobile_sam"), (tinysam, "tinysam")], ids=["mobile_sam", "tinysam"]
)


@BOTH
def test_a_student_comes_close_to_its_teacher(
    module: object, name: str, job: Job, teacher: Path, tmp_path: Path
) -> None:
    longer = change(job, name, steps=80, evaluate_every=40, scenes=40, batch_size=8, learning_rate=0.01)
    weights = run(module, longer, teacher, tmp_path)
    curve = pd.read_csv(tmp_path / "curve.csv")
    assert curve.step.tolist() == [40, 80]
    assert curve.held_out_embedding_error.iloc[-1] < 0.85
    facts = json.loads(weights.with_suffix(".json").read_text())
    assert (
        facts["held_out"]["student"].keys() == facts["held_out"]["teacher"].keys()
        and facts["held_out"]["objects"]
    )
    architecture, tensors = read_weights(weights, name)
    build_mobile_sam(architecture).load_state_dict(tensors, strict=True)


def test_mobile_sam_keeps_the_decoder_of_its_teacher(job: Job, teacher: Path, tmp_path: Path) -> None:
    _, base = read_weights(teacher, "sam")
    _, student = read_weights(run(mobile_sam, job, teacher, tmp_path), "mobile_sam")
    kept = [key for key in base if not key.startswith("image_encoder.")]
    assert all(torch.equal(base[key], student[key]) for key in kept)


@pytest.mark.parametrize("rate", [0.0, 0.001])
def test_tinysam_trains_the_decoder_only_if_told_to(
    job: Job, teacher: Path, tmp_path: Path, rate: float
) -> None:
    _, base = read_weights(teacher, "sam")
    weights = run(tinysam, change(job, "tinysam", decoder_learning_rate=rate), teacher, tmp_path)
    _, student = read_weights(weights, "tinysam")
    same = {key: torch.equal(base[key], student[key]) for key in base if not key.startswith("image_encoder.")}
    assert all(value for key, value in same.items() if key.startswith("prompt_encoder."))
    assert all(value for key, value in same.items() if key.startswith("mask_decoder.")) == (rate == 0)


def test_every_stage_teaches(job: Job, teacher: Path) -> None:
    """Each weight of the loss changes it; in the encoder's steps only the embedding does."""
    base = students.read_teacher(teacher, "tinysam")

    def losses(**values: float) -> tuple[float, float]:
        changed = change(job, "tinysam", **values).tinysam
        torch.manual_seed(1)
        student, architecture = students.build_student(base, changed.architecture)
        scenes = DistillationScenes(job, changed.training, tinysam.NAME, base)
        method = tinysam.TinySamMethod(student, architecture, (0.0, 100.0), torch.device("cpu"))
        task = tinysam.FullStageDistillation(scenes, method)
        return float(task.loss(0)["loss"].detach()), float(task.loss(2)["loss"].detach())

    early, late = losses()
    assert losses(embedding_weight=2.0)[0] == pytest.approx(2 * early)
    for weight in ("token_weight", "mask_weight", "iou_weight"):
        assert losses(**{weight: 2.0})[0] == pytest.approx(early)
        assert losses(**{weight: 2.0})[1] > late


def test_hard_masks_weigh_more() -> None:
    student, teacher = torch.tensor([[0.8, 0.4, 0.0]]), torch.tensor([[0.8, 0.8, 0.9]])
    weight = tinysam.weigh_hard_masks(student, teacher, 4.0)
    torch.testing.assert_close(weight, torch.tensor([[1.0, 2.7182817, 4.0]]))
    assert tinysam.weigh_hard_masks(teacher, student, 4.0).max() == 1.0
    assert tinysam.weigh_hard_masks(student, teacher, 1.0).tolist() == [[1.0, 1.0, 1.0]]


def test_masks_are_compared_one_by_one() -> None:
    target = (torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    assert tinysam.compare_masks(20 * (2 * target - 1), target).max() < 0.01
    assert tinysam.compare_masks(-20 * (2 * target - 1), target).min() > 10


@BOTH
def test_official_weights_load_under_their_own_names(
    module: object, name: str, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(OFFICIAL_DECODER, image_size=32, grid=4, prompt_dim=16, decoder_heads=2)
    monkeypatch.setattr(students, "OFFICIAL_DECODER", small)
    section = getattr(job, name)
    encoder = section.architecture.model_dump() | {"image_size": 32, "out_channels": 16}
    network = build_mobile_sam({"sam": asdict(small), "encoder": encoder})
    path = tmp_path / "official.pth"
    official = job.model_copy(update={name: section.model_copy(update={"weights": str(path)})})
    with pytest.raises(InputError, match="the test"):
        run(module, official, None, tmp_path)
    torch.save(network.state_dict(), path)
    _, tensors = read_weights(run(module, official, None, tmp_path), name)
    assert all(torch.equal(tensors[key], value) for key, value in network.state_dict().items())
    torch.save({key: value for key, value in network.state_dict().items() if "neck.0" not in key}, path)
    with pytest.raises(InputError, match=r"image_encoder\.neck\.0\.weight"):
        run(module, official, None, tmp_path)


@BOTH
def test_wrong_teachers_and_grids_are_named(
    module: object, name: str, job: Job, teacher: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="--teacher"):
        run(module, job, None, tmp_path)
    section = getattr(job, name)
    other = section.architecture.model_copy(update={"merge_strides": (1, 1, 1)})
    wrong = job.model_copy(update={name: section.model_copy(update={"architecture": other})})
    with pytest.raises(InputError, match="merge_strides"):
        run(module, wrong, teacher, tmp_path)


def test_more_learned_clicks_than_clicks_are_refused() -> None:
    values = STUDENT["training"] | STAGES
    with pytest.raises(ValueError, match="learned_clicks"):
        FullStageDistillation(**values | {"learned_clicks": 4})
    with pytest.raises(ValueError, match="encoder_steps"):
        FullStageDistillation(**values | {"encoder_steps": 7})
