"""What every method for single images promises, checked for every module of its folder, present and future."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_samus import tiny_samus
from tiny_stills import make_base, make_stills, tiny_job

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.images2d import open_set, read_item
from uscl_med3d.methods.base import Card
from uscl_med3d.methods.stills import find_still_method, list_still_methods
from uscl_med3d.methods.stills.base import ClickedMethod, Start, WholeMethod
from uscl_med3d.stills.task import StillTask

MODULES = list_still_methods()
# Those of the comparison on real images and of the simulated one, which has more.
ENTRIES = {
    entry.module: (name, entry)
    for methods in (tiny_samus("samus").samus.methods, tiny_job().stills.methods)
    for name, entry in methods.items()
}
CLICKED = [name for name in MODULES if find_still_method(name).prompt == "clicks"]
TRAINED = [name for name in MODULES if name in ENTRIES and ENTRIES[name][1].learning_rate is not None]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    items = open_set("usgra", make_stills(tmp_path_factory.mktemp("set") / "stills", 4)).items
    return [read_item(item) for item in items]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return make_base(tmp_path_factory.mktemp("base") / "sam.safetensors")


@pytest.fixture
def build(base, pictures):
    def make(module):
        entry = ENTRIES[module][1]
        torch.manual_seed(3)
        start = Start(entry.image_size, ("one", "two"), entry.options, base if entry.base else None)
        method = find_still_method(module).build(start)
        method.look_at(pictures)
        return method

    return make


def image_of(picture):
    return torch.from_numpy(picture[0].astype(np.float32))[None, None].expand(1, 3, -1, -1)


def answer(method, picture, points=((20, 20),)):
    image = image_of(picture)
    with torch.inference_mode():
        if isinstance(method, WholeMethod):
            return torch.from_numpy(method.segment(image))[None, None].float()
        size = (image.shape[-2], image.shape[-1])
        labels = torch.ones(1, len(points), dtype=torch.long)
        return method.click(method.embed(image), size, torch.tensor([points]).float(), labels)


def task_of(method, module, pictures):
    entry, job = ENTRIES[module][1], tiny_job()
    return StillTask(
        method, pictures, entry.image_size, 2, job.stills.training, entry.learning_rate, (1, module)
    )


def test_the_folder_is_what_params_name():
    assert sorted(ENTRIES) == MODULES
    with pytest.raises(InputError, match="one of"):
        find_still_method("nonsense")


@pytest.mark.parametrize("module", MODULES)
def test_says_where_it_comes_from(module):
    card = find_still_method(module).card
    assert isinstance(card, Card) and all([card.paper, card.code, card.licence, card.normalisation])


@pytest.mark.parametrize("module", MODULES)
def test_wrong_options_are_named(module):
    options = {**ENTRIES[module][1].options, "typo": 1}
    with pytest.raises(InputError, match="typo"):
        find_still_method(module).build(Start(32, ("one",), options, None))


@pytest.mark.parametrize("module", [name for name in MODULES if ENTRIES[name][1].base])
def test_a_missing_base_is_refused(module):
    entry = ENTRIES[module][1]
    with pytest.raises(ValueError, match="base SAM"):
        find_still_method(module).build(Start(entry.image_size, ("one",), entry.options, None))


@pytest.mark.parametrize("module", MODULES)
def test_masks_come_on_the_images_grid_and_again_the_same(module, build, pictures):
    method = build(module)
    found = answer(method, pictures[0])
    assert found.shape == (1, 1, *pictures[0][0].shape) and torch.isfinite(found).all()
    assert isinstance(method, ClickedMethod) == (method.prompt == "clicks")
    answer(method, pictures[1])
    assert torch.equal(found, answer(method, pictures[0])) and torch.equal(
        found, answer(build(module), pictures[0])
    )


@pytest.mark.parametrize("module", CLICKED)
def test_masks_depend_on_the_click(module, build, pictures):
    method = build(module)
    assert not torch.equal(answer(method, pictures[0]), answer(method, pictures[0], ((45, 50),)))


@pytest.mark.parametrize("module", [name for name in MODULES if name != "disc"])
def test_masks_depend_on_the_image(module, build, pictures):
    method = build(module)
    image = image_of(pictures[0])
    with torch.inference_mode():
        if isinstance(method, WholeMethod):
            frame = method.make_frame(tuple(image.shape[-2:]))
            one, two = (method.logits(frame.place_images(x)) for x in (image, 255 - image))
        else:
            one, two = method.embed(image), method.embed(255 - image)
    assert not torch.allclose(one, two)


@pytest.mark.parametrize("module", TRAINED)
def test_gradients_reach_exactly_what_is_trained(module, build, pictures):
    method = build(module)
    task = task_of(method, module, pictures)
    method.network.train()
    task.loss(task.training.steps - 1)["loss"].backward()  # after the steps that learn structures
    trained = set(method.trained_names())
    assert trained
    reached = 0
    for name, value in method.network.named_parameters():
        assert (value.grad is not None) <= (name in trained), name
        reached += value.grad is not None
    # SAM's prompt encoder and unused heads of the decoder are trained by name and get no gradient.
    assert reached > 0.3 * len(trained)


@pytest.mark.parametrize("module", TRAINED)
def test_training_lowers_the_loss_on_one_batch(module, build, pictures):
    method = build(module)
    task = task_of(method, module, pictures)
    optimizer = torch.optim.Adam([value for group in task.groups() for value in group.parameters], 0.003)
    method.network.train()
    batch = task.draw(0)
    losses = []
    for _ in range(25):
        loss = method.loss(batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 1e-3
