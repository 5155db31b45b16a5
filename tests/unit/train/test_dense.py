"""Learning every structure of a crop, and where it stands in a fine-tune."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uscl_med3d.methods.base import Weights
from uscl_med3d.methods.registry import find_method
from uscl_med3d.train.dense import DenseHead, dense_loss, majority
from uscl_med3d.train.sweeps import LabelledSweeps
from uscl_med3d.train.tasks import make_task


def test_a_cell_has_the_class_of_most_of_its_voxels_or_none():
    label = np.zeros((4, 4, 4), np.uint8)
    label[:2, :2, :2] = 3
    label[0, 0, 0] = 1  # 7 of 8 voxels are left
    label[2:, 2:, 2:] = 2
    label[2:, 2:, 2] = 0  # half and half
    label[:2, :2, 2:] = 255
    cells = majority(label, 2, 0.6)
    assert cells[0, 0, 0] == 3
    assert cells[1, 1, 1] == 255 and cells[0, 0, 1] == 255
    assert (cells == 0).sum() == 5


def test_the_loss_falls_with_the_right_class_and_ignores_unknown_cells():
    cells = torch.zeros(2, 2, 2, dtype=torch.uint8)
    cells[0] = 1
    cells[1, 1, 1] = 255
    right, wrong = torch.zeros(2, 2, 2, 2), torch.zeros(2, 2, 2, 2)
    right[1, 0], right[0, 1] = 9, 9
    wrong[0, 0], wrong[1, 1] = 9, 9
    assert dense_loss(right, cells) < 0.01 < dense_loss(wrong, cells)
    changed = right.clone()
    changed[:, 1, 1, 1] = 100
    assert dense_loss(changed, cells) == dense_loss(right, cells)


@pytest.mark.parametrize("value", [0, 255])
def test_without_any_structure_the_loss_is_finite(value):
    cells = torch.full((2, 2, 2), value, dtype=torch.uint8)
    logits = torch.zeros(3, 2, 2, 2, requires_grad=True)
    loss = dense_loss(logits, cells)
    loss.backward()
    assert torch.isfinite(loss) and (loss.item() == 0) == (value == 255)


def test_the_head_starts_at_its_share_of_background():
    head = DenseHead(3, 4, 3, background_bias=1.0, structure_bias=-3.0)
    logits = head(lambda embedding, weights: torch.zeros(2, 4, 1, 1, 1), torch.zeros(2, 8, 1, 1, 1))
    assert logits.softmax(1)[:, 0].min() > 0.9


def start(cohort, make_job, run, **changes):
    job = make_job("finetune", run, **changes)
    method = find_method(job.run.method).load(job, Weights(cohort.base))
    return make_task(job, method, LabelledSweeps(cohort.volumes, cohort.splits, cohort.pseudolabels))


def gradients(task, step):
    """Names of the trained parameters that a step changes."""
    for value in task.method.network.parameters():
        value.grad = None
    task.loss(step)["loss"].backward()
    trained = task.method.tuning.trained()
    return {name for name, value in trained.items() if value.grad is not None and value.grad.abs().sum() > 0}


def test_structures_first_then_clicks(cohort, make_job):
    task = start(cohort, make_job, "full_tuning", finetune__dense__share=0.5)
    steps = task.schedule.steps
    assert 0 < task.dense.steps == round(0.5 * steps) < steps
    dense, clicks = gradients(task, 0), gradients(task, task.dense.steps)
    assert any(name.startswith("image_encoder.blocks") for name in dense & clicks)
    assert not any("transformer" in name or name.startswith("prompt_encoder") for name in dense)
    assert any("transformer" in name for name in clicks)


def test_what_is_learned_depends_on_the_labels(cohort, make_job):
    task = start(cohort, make_job, "full_tuning", finetune__dense__share=0.5)
    crops = [(image, label, values) for image, label, values in task.draw_crops(np.random.default_rng(0))]
    moved = [(image, np.roll(label, 7, axis=2), values) for image, label, values in crops]
    assert task._learn_structures(crops).item() != task._learn_structures(moved).item()


@pytest.mark.parametrize(
    "run, share",
    [("uscl_med3d_r32_decoder_none", 0.5), ("full_tuning", 0.0), ("uscl_med3d_r32_both_none", 0.0)],
)
def test_without_a_trained_encoder_or_a_share_clicks_begin_at_once(cohort, make_job, run, share):
    task = start(cohort, make_job, run, finetune__dense__share=share)
    assert task.dense.steps == 0 and task.dense.head is None and len(task.groups()) == 1
