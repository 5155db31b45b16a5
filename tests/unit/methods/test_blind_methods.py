"""Ball and atlas: what they predict, that they look at no image, and that fitting finds what is there."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from uscl_med3d.methods.atlas import AtlasMethod, lay
from uscl_med3d.methods.ball import BallMethod, grow
from uscl_med3d.methods.base import Example, Weights

CLASSES = {"liver": 3, "spleen": 4}
BALL = {"radii": [2, 4, 6, 9], "objects": 12, "clicks": 3, "click_simulator": "random_error"}
ATLAS = {"grid": [8, 20, 24], "thresholds": [0.2, 0.5, 0.8]}


def job(name: str, options: dict) -> SimpleNamespace:
    return SimpleNamespace(
        device="cpu",
        classes=CLASSES,
        model=SimpleNamespace(image_size=24),
        run=SimpleNamespace(method=name),
        method=SimpleNamespace(options=options),
    )


def sweep(number: int, centre: tuple[int, int, int], radius: float, value: int = 3) -> Example:
    """A sweep with one ball in it; nothing is known of its last frame."""
    grid = np.indices((16, 20, 24))
    squared = sum((axis - at) ** 2 for axis, at in zip(grid, centre, strict=True))
    label = np.where(squared < radius**2, value, 0).astype(np.uint8)
    label[-1] = 255
    return Example(f"sweep_{number}", np.ones(label.shape, np.uint8), label)


def test_voxels_belong_to_the_nearest_click_within_the_radius():
    inside = torch.ones(1, 9, 9, 9, dtype=torch.bool)
    inside[..., 8] = False
    points, labels = torch.tensor([[[4, 4, 2], [4, 4, 6], [0, 0, 0]]]), torch.tensor([[1, 0, -1]])
    mask = grow(points, labels, inside, 3.5)[0, 0] > 0
    w = torch.arange(9)
    assert mask[4, 4].tolist() == (w < 4).tolist(), "half way to the background click"
    assert mask[4, :, 2].tolist() == ((w - 4).abs() <= 3).tolist(), "the radius"
    assert not mask[0, 0, 0], "padding is no click"
    assert not (grow(points, torch.tensor([[1, -1, -1]]), inside, 99.0)[0, 0] > 0)[..., 8].any(), "the fan"


def test_ball_finds_the_radius_of_balls(tmp_path):
    examples = [sweep(i, (8, 10, 8 + i), 6.0) for i in range(6)]
    method = BallMethod.load(job("ball", BALL | {"clicks": 1}), Weights())
    # With one click on a random voxel the best ball is larger than half the object and no larger than all of it.
    assert method.fit(examples, CLASSES, 1) > 40 and method.describe()["radius"] == 6
    method.save(tmp_path / "ball.safetensors")
    again = BallMethod.load(job("ball", BALL), Weights(trained=tmp_path / "ball.safetensors"))
    assert again.describe() == method.describe()


def test_ball_sees_of_an_image_only_where_it_is():
    method = BallMethod.load(job("ball", BALL), Weights())
    points, labels = torch.tensor([[[5.0, 5.0, 5.0]]]), torch.ones(1, 1)
    image = torch.rand(1, 1, 12, 12, 12) + 0.1
    first, second = (method.click(method.encode(crop), points, labels) for crop in (image, image.flip(2) * 9))
    assert torch.equal(first, second)
    air = method.click(method.encode(-1000 * image), points, labels)
    assert torch.equal(first, air), "CT has negative values inside"


def test_atlas_predicts_the_usual_place(tmp_path):
    examples = [sweep(i, (8, 10, 7 + i % 2), 5.0) for i in range(8)]
    method = AtlasMethod.load(job("atlas", ATLAS), Weights())
    assert method.fit(examples, CLASSES, 1) > 75
    method.save(tmp_path / "atlas.safetensors")
    again = AtlasMethod.load(job("atlas", ATLAS), Weights(trained=tmp_path / "atlas.safetensors"))
    image = np.random.default_rng(0).integers(1, 255, (16, 20, 24)).astype(np.uint8)
    image[:, :4] = 0
    labels = again.segment(image, None, {"liver": 3}, None)
    assert (labels == method.segment(image[::-1], None, {"liver": 3}, None)).all(), "it looks at nothing"
    truth = examples[0].label == 3
    assert 2 * (truth & (labels == 3)).sum() / (truth.sum() + (labels == 3).sum()) > 0.75
    assert not labels[:, :4].any(), "nothing outside the acquisition"
    assert not method.segment(image, None, {"spleen": 4}, None).any(), "never seen, never predicted"


def test_atlas_knows_no_more_than_chance_where_places_differ():
    random = np.random.default_rng(3)
    examples = [sweep(i, tuple(random.integers(4, (12, 16, 20))), 3.0) for i in range(30)]
    assert AtlasMethod.load(job("atlas", ATLAS), Weights()).fit(examples, CLASSES, 1) < 30


@pytest.mark.parametrize("shape", [(4, 30, 10), (16, 6, 40), (8, 20, 24)])
def test_laying_keeps_tops_and_middles(shape):
    values = np.zeros((8, 20, 24), np.float32)
    values[:, 0, 11:13] = 1
    laid = lay(values, shape)
    middle = shape[2] // 2
    assert (
        laid.shape == shape
        and (laid[:, 0, middle - 1 : middle + 1] == 1).all()
        and laid.sum() == 2 * shape[0]
    )
