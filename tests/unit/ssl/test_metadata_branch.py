"""The metadata branch of BYOL, its controls, and where the metadata of simulated patients come from."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_cohort import cohort, tiny_params

from uscl_med3d.core import params as parameters
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.seeds import rng
from uscl_med3d.nets.frame_resnet import build_frame_resnet
from uscl_med3d.pretext.byol import Byol
from uscl_med3d.pretext.byol_patient import ByolPatient
from uscl_med3d.simulate.abdomen import Flank
from uscl_med3d.simulate.chest import Chest
from uscl_med3d.ssl.arms import FrameSweeps
from uscl_med3d.ssl.metadata import write_metadata

__all__ = ["cohort"]

WIDTHS = (8, 16)


def make(cohort, kind=ByolPatient, metadata_csv=None, **changes):
    values = tiny_params().ssl.tasks["byol_patient" if kind is ByolPatient else "byol"]
    small = {"images": 4, "hidden_dim": 8, "head_dim": 4, "validation_images": 1}
    branch = {"branch_dim": 8} if kind is ByolPatient else {}
    job = SimpleNamespace(
        seed=7,
        device="cpu",
        model=SimpleNamespace(prompt_dim=WIDTHS[-1], image_size=16),
        pretrain=SimpleNamespace(schedule=SimpleNamespace(batch_size=1, steps=4)),
    )
    options = kind.Options.model_validate(values | small | branch | changes)
    sweeps = FrameSweeps(cohort.volumes, cohort.splits, None, metadata_csv)
    return kind(job, options, build_frame_resnet(WIDTHS, 1), sweeps, 3)


def gradients(task) -> list[torch.Tensor]:
    task.network.train()
    task.loss(0)["loss"].backward()
    return [value.grad for value in task.encoder.parameters()]


def test_without_weight_it_is_byol(cohort):
    pairs = zip(gradients(make(cohort, branch_weight=0.0)), gradients(make(cohort, Byol)), strict=True)
    for own, plain in pairs:
        torch.testing.assert_close(own, plain)


def test_the_branch_reaches_the_encoder(cohort):
    with_branch = gradients(make(cohort, branch_weight=1.0))
    without = gradients(make(cohort, branch_weight=0.0))
    assert max(float((a - b).abs().max()) for a, b in zip(with_branch, without, strict=True)) > 1e-4


def test_the_control_is_told_nothing_of_the_patient(cohort):
    task = make(cohort, metadata="random")
    patients = torch.zeros(200, dtype=torch.long)
    drawn = task._label(patients, 0)
    assert set(drawn.tolist()) == {0, 1}  # one patient, both classes
    assert not torch.equal(drawn, task._label(patients, 1))
    assert set(make(cohort)._label(patients, 0).tolist()) == {0}


def test_a_column_of_the_metadata_is_used_and_dealt_out_to_others(cohort, tmp_path):
    file = tmp_path / "patients.csv"
    pd.DataFrame({"patient": ["p_t1", "p_t2"], "body_wall_class": [2, 0]}).to_csv(file, index=False)
    assert make(cohort, metadata_csv=file, metadata="body_wall").classes.tolist() == [2, 0]
    shuffled = make(cohort, metadata_csv=file, metadata="body_wall", shuffled=True).classes.tolist()
    assert sorted(shuffled) == [0, 2]


def test_a_column_that_is_not_there_is_named(cohort):
    with pytest.raises(InputError, match="body_wall"):
        make(cohort, metadata="body_wall")


def test_metadata_are_those_that_shaped_the_images(tmp_path):
    job = parameters.job_model("simulate_cohort").model_validate(
        parameters.slice_job(tiny_params(), "simulate_cohort")
    )
    write_metadata(job, tmp_path / "patients.csv")
    table = pd.read_csv(tmp_path / "patients.csv").set_index("patient")
    build = job.cohort.build
    for patient, group in (("chest_002", "chest"), ("abdomen_001", "abdomen")):
        person, side = rng(job.seed, "simulate", patient), np.random.default_rng(0)
        anatomy = (
            Chest(person, side, build["chest"])
            if group == "chest"
            else Flank(person, side, "abdomen_left", True, build["abdomen"])
        )
        assert table.loc[patient, "size"] == pytest.approx(anatomy.size, rel=1e-5)
        assert table.loc[patient, "wall_mm"] == pytest.approx(anatomy.body.wall_mm, rel=1e-5)


def test_classes_are_equal_parts_of_each_group(tmp_path):
    job = parameters.job_model("simulate_cohort").model_validate(
        parameters.slice_job(tiny_params(), "simulate_cohort")
    )
    write_metadata(job, tmp_path / "patients.csv")
    table = pd.read_csv(tmp_path / "patients.csv")
    for _, part in table.groupby("group"):
        counts = part["body_wall_class"].value_counts()
        assert set(counts.index) <= {0, 1, 2} and counts.max() - counts.min() <= 1 + (len(part) < 3)
        assert part.sort_values("wall_mm")["body_wall_class"].is_monotonic_increasing
