"""Structures before clicks on single images: which methods, for how long, and what is learned."""

from __future__ import annotations

import pytest
import torch
from tiny_stills import make_base, make_stills, tiny_job

from uscl_med3d.data.images2d import open_set, read_item
from uscl_med3d.methods.stills import find_still_method
from uscl_med3d.methods.stills.base import Start
from uscl_med3d.stills.task import StillTask

CLASSES = ("nerve", "vessel")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base") / "sam.safetensors")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = make_stills(tmp_path_factory.mktemp("set") / "stills", 6)
    return [read_item(item) for item in open_set("usgra", folder).items]


def make_task(name, base, pictures, **dense):
    job = tiny_job(training={"steps": 10, "dense": dense})
    entry = job.stills.methods[name]
    torch.manual_seed(0)
    method = find_still_method(entry.module).build(
        Start(entry.image_size, CLASSES, entry.options, base if entry.base else None)
    )
    return StillTask(
        method, pictures, entry.image_size, 2, job.stills.training, 0.001, (1, "stills", name, 0)
    )


@pytest.mark.parametrize(
    ("name", "steps"), [("samus", 4), ("msa", 4), ("medsam", 0), ("unet", 0), ("samed", 0)]
)
def test_methods_that_take_clicks_and_train_their_encoder_see_first(name, steps, base, pictures):
    """MedSAM's first form tunes the decoder alone; the others named take no clicks."""
    task = make_task(name, base, pictures, share=0.4)
    assert task.dense.steps == steps and (task.dense.head is not None) == bool(steps)
    assert len(task.groups()) == 1 + bool(steps)
    assert make_task(name, base, pictures, share=0.0).dense.head is None


def test_no_click_is_looked_at_while_structures_are_learned(base, pictures):
    task = make_task("samus", base, pictures, share=0.4)
    batch = task.draw(0)
    moved = type(batch)(batch.images, batch.labels, batch.chosen, batch.points + 5, 1 - batch.signs)
    assert torch.equal(task._learn_structures(batch), task._learn_structures(moved))
    assert task.method.loss(batch)["loss"] != task.method.loss(moved)["loss"]


def test_the_head_starts_at_background_and_learns_through_the_encoder(base, pictures):
    task = make_task("samus", base, pictures, share=0.4, background_bias=2.0, structure_bias=-2.0)
    batch = task.draw(0)
    with torch.no_grad():
        logits = task.dense.logits(batch.images)
    assert logits.shape[1] == 3 and (logits.argmax(1) == 0).float().mean() > 0.9
    optimiser = torch.optim.Adam([value for group in task.groups() for value in group.parameters], 0.01)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = task._learn_structures(batch)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.98 * losses[0]
    changed = [name for name, value in task.network.named_parameters() if value.grad is not None]
    assert changed and all(name.startswith("image_encoder.") for name in changed)


def test_the_head_is_part_of_the_state(base, pictures):
    task, other = (make_task("samus", base, pictures, share=0.4) for _ in range(2))
    with torch.no_grad():
        other.dense.head.linear.bias += 1
    task.load_state(other.state())
    assert torch.equal(task.dense.head.linear.bias, other.dense.head.linear.bias)
