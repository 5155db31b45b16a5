"""The base FastSAM3D: distilled from the base SAM-Med3D, or the official student; one code path after."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from tiny_cohort import cohort, make_job

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json, sha256
from uscl_med3d.foundation import fastsam3d as module
from uscl_med3d.methods.base import Weights
from uscl_med3d.methods.fastsam3d import FastSam3DMethod
from uscl_med3d.nets.fastsam3d import FastSam3DEncoder, load_fastsam3d
from uscl_med3d.nets.sam_med3d import read_state

__all__ = ["cohort", "make_job"]

STAGE = "foundation_fastsam3d"


def run(job, cohort, folder, name="student", teacher="base"):
    weights, curve = folder / f"{name}.safetensors", folder / f"{name}.csv"
    module.train(job, cohort.general, cohort.base if teacher else None, weights, curve)
    return weights, curve


def test_distillation_is_reproducible_and_described(cohort, make_job, tmp_path):
    job = make_job(STAGE)
    first, second = (run(job, cohort, tmp_path, name) for name in ("a", "b"))
    assert sha256(first[0]) == sha256(second[0])
    assert list(pd.read_csv(first[1])["step"]) == [4, 8]
    facts = read_json(first[0].with_suffix(".json"))
    assert facts["weights"] == "train" and facts["sha256"] == sha256(first[0])
    assert {"student", "teacher", "unexplained_features"} <= set(facts["validation"])
    assert not list(tmp_path.glob("*.resume"))


def test_prompt_encoder_and_decoder_are_the_teachers(cohort, make_job, tmp_path):
    weights, _ = run(make_job(STAGE), cohort, tmp_path)
    base, student = read_state(cohort.base), load_fastsam3d(weights).state_dict()
    shared = [name for name in base if not name.startswith("image_encoder.")]
    assert shared and all(torch.equal(base[name], student[name]) for name in shared)
    assert not torch.equal(base["image_encoder.neck.0.weight"], student["image_encoder.neck.0.weight"])


@pytest.mark.parametrize("form", ["progressive", "output"])
def test_student_comes_nearer_to_its_teacher(form, cohort, make_job, tmp_path):
    def unexplained(steps):
        changes = {
            "form": form,
            "steps": steps,
            "start": "random",
            "learning_rate": 0.01,
            "layer_steps": 5,
            "evaluate_every": 100,
        }
        job = make_job(STAGE, **{f"foundation__fastsam3d__training__{key}": x for key, x in changes.items()})
        weights, _ = run(job, cohort, tmp_path, f"{form}{steps}")
        return read_json(weights.with_suffix(".json"))["validation"]["unexplained_features"]

    assert unexplained(40) < 0.5 * unexplained(1)


def test_progressive_learns_layer_after_layer():
    pairs, settings = [(1, 2), (2, 4), (-1, -1)], SimpleNamespace(form="progressive", layer_steps=3)
    assert [module.pair_at(step, pairs, settings) for step in range(9)] == [
        (1, 2),
        (1, 2),
        (1, 2),
        (2, 4),
        (2, 4),
        (2, 4),
        (-1, -1),
        (-1, -1),
        (-1, -1),
    ]
    assert module.pair_at(0, pairs, SimpleNamespace(form="output", layer_steps=3)) == (-1, -1)


def test_layers_are_paired_by_their_share_of_the_depth(make_job):
    student = replace(module.describe_student(make_job(STAGE)), depth=6, output_every=2)
    assert module.pair_layers(student, 12) == [(1, 4), (2, 8), (3, 12), (-1, -1)]


def test_start_copies_what_matches(make_job):
    job = make_job(STAGE)
    student = FastSam3DEncoder(module.describe_student(job))
    teacher = FastSam3DEncoder(module.describe_teacher(job, "plain"))
    module.start_from_teacher(student, teacher)
    ours, theirs = student.state_dict(), teacher.state_dict()
    # Student block 1 of 2 matches teacher block 1 of 2 in the tiny model.
    for name in (
        "patch_embed.proj.weight",
        "neck.2.weight",
        "blocks.0.mlp.lin1.weight",
        "blocks.1.attn.qkv.weight",
    ):
        assert torch.equal(ours[name], theirs[name])


def test_official_student_is_loaded_and_its_quirks_kept(cohort, make_job, tmp_path):
    architecture = {
        f"foundation__fastsam3d__architecture__{key}": value
        for key, value in {"residual": "normalised", "depth": 3, "blocks_without_attention": 2}.items()
    }
    job = make_job(STAGE, **architecture)
    torch.manual_seed(5)
    encoder = FastSam3DEncoder(module.describe_student(job))
    file = tmp_path / "6layers6heads_student"
    torch.save({"model_state_dict": encoder.state_dict()}, file)
    given = {"foundation__fastsam3d__weights": str(file), "foundation__fastsam3d__sha256": sha256(file)}
    weights, curve = run(make_job(STAGE, **architecture, **given), cohort, tmp_path)
    method = FastSam3DMethod.load(make_job("evaluate", "fastsam3d"), Weights(weights))
    assert method.network.image_encoder.config.residual == "normalised"
    image = torch.randn(1, 1, *[encoder.image_size] * 3)
    with torch.no_grad():
        assert torch.equal(method.network.image_encoder(image), encoder.eval()(image))
    assert len(pd.read_csv(curve)) == 0


@pytest.mark.parametrize(
    ("changes", "teacher", "why"),
    [
        ({"foundation__fastsam3d__weights": "missing.pth"}, "base", "no such file"),
        ({}, None, "no weights of the base SAM-Med3D"),
    ],
)
def test_wrong_files_are_a_clear_error(changes, teacher, why, cohort, make_job, tmp_path):
    with pytest.raises(InputError, match=why):
        run(make_job(STAGE, **changes), cohort, tmp_path, teacher=teacher)
    assert not (tmp_path / "student.safetensors").exists()
