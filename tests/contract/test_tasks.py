"""What holds for every task of the training engine; see the registry in tests/tiny_tasks.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_cohort import Cohort, cohort
from tiny_tasks import SEED, TASKS, Example

from uscl_med3d.train import engine

__all__ = ["cohort"]

STEPS = 5
ALL = pytest.mark.parametrize("name", TASKS)


def make(name: str, cohort: Cohort, seed: int = SEED) -> Example:
    """The task with a schedule of a few steps whose learning curve and resume files meet at different steps."""
    task, schedule, frozen = TASKS[name](cohort, seed)
    short = {"steps": STEPS, "warmup_steps": 1, "evaluate_every": 3, "resume_every": 2}
    return Example(task, schedule.model_copy(update=short), frozen)


def run(example: Example, folder: Path, seed: int = SEED) -> tuple[dict[str, torch.Tensor], list]:
    """What training changes, and the learning curve."""
    progress = engine.run(
        example.task,
        example.schedule,
        seeds=(seed, "test"),
        resume=engine.ResumeFile(folder / "weights", "the same"),
        precision="float32",
        title="test",
    )
    return example.task.state(), progress.curve


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@ALL
def test_interrupted_and_resumed_is_as_if_never_interrupted(name, cohort, tmp_path):
    whole, curve = run(make(name, cohort), tmp_path / "whole")
    cut = make(name, cohort)
    loss = cut.task.loss

    def stop(step: int):
        if step == 3:
            raise KeyboardInterrupt
        return loss(step)

    cut.task.loss = stop
    with pytest.raises(KeyboardInterrupt):
        run(cut, tmp_path / "cut")
    resumed = make(name, cohort)
    steps, loss = [], resumed.task.loss
    resumed.task.loss = lambda step: (steps.append(step), loss(step))[1]
    again, curve_again = run(resumed, tmp_path / "cut")
    assert steps == [2, 3, 4], "it goes on at the last resume file"
    assert same(whole, again)
    assert repr(curve) == repr(curve_again)


@ALL
def test_another_seed_gives_other_weights(name, cohort, tmp_path):
    first, _ = run(make(name, cohort), tmp_path / "a")
    second, _ = run(make(name, cohort, SEED + 1), tmp_path / "b", SEED + 1)
    assert not same(first, second)


@ALL
def test_the_loss_of_a_repeated_step_falls(name, cohort):
    task, schedule, _ = make(name, cohort)
    optimizer = torch.optim.AdamW(
        [{"params": list(group.parameters), "lr": group.rate} for group in task.groups()]
    )
    task.network.train()
    losses = []
    for _ in range(90):
        loss = task.loss(0)["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(
            [value for group in task.groups() for value in group.parameters], schedule.gradient_norm
        )
        optimizer.step()
        losses.append(float(loss.detach()))
    assert min(losses[-3:]) < 0.98 * losses[0], losses


@ALL
def test_what_is_not_trained_keeps_its_bytes(name, cohort, tmp_path):
    example = make(name, cohort)
    before = {key: value.detach().clone() for key, value in example.frozen.items()}
    trained = [value for group in example.task.groups() for value in group.parameters]
    started = [value.detach().clone() for value in trained]
    run(example, tmp_path)
    assert all(torch.equal(before[key], value) for key, value in example.frozen.items())
    assert any(not torch.equal(a, b) for a, b in zip(started, trained, strict=True))
