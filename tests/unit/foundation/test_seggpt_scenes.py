from __future__ import annotations

import pytest
import torch

from uscl_med3d.core.params.scenes import SceneSettings
from uscl_med3d.foundation.scenes import draw_batch, draw_scenes

SETTINGS = SceneSettings(
    objects=5,
    pace=(1.0, 1.0),
    radius=(0.2, 0.9),
    irregularity=0.4,
    lifetime=(0.7, 4.0),
    edge_width=(0.01, 0.1),
    object_motion=0.1,
    object_turn=0.3,
    camera_motion=0.1,
    warp=0.1,
    warp_motion=0.05,
    texture=0.4,
    grain=0.4,
    light=0.3,
    shadow_fraction=0.5,
    opening_fraction=0.5,
    colour_fraction=0.5,
    area=(0.02, 0.5),
)


def views(seed: int, times: list[float], scenes: int = 12):
    generator = torch.Generator().manual_seed(seed)
    return draw_scenes(generator, torch.tensor([times]).expand(scenes, -1), (32, 40), SETTINGS)


def dice(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return 2 * (first & second).sum((-2, -1)) / (first.sum((-2, -1)) + second.sum((-2, -1))).clamp_min(1)


def test_views_are_images_with_a_followed_object() -> None:
    found = views(0, [0.0, 0.5, 1.0])
    assert found.images.shape == (12, 3, 3, 32, 40) and found.masks.shape == (12, 3, 32, 40)
    assert found.images.min() >= 0 and found.images.max() <= 1 and found.images.isfinite().all()
    assert (found.masks[:, [0, 2]].sum((-2, -1)).amax(1) > 0).all(), (
        "every scene shows its object in a prompt"
    )
    assert found.images.flatten(1).std(dim=1).min() > 0.005


def test_equal_generators_give_equal_scenes() -> None:
    first, second, other = views(1, [0.0, 1.0]), views(1, [0.0, 1.0]), views(2, [0.0, 1.0])
    assert torch.equal(first.images, second.images) and torch.equal(first.masks, second.masks)
    assert not torch.equal(first.images, other.images)


def test_near_views_agree_more_than_far_ones() -> None:
    found = views(3, [0.0, 0.1, 1.0], scenes=24)
    near, far = dice(found.masks[:, 0], found.masks[:, 1]), dice(found.masks[:, 0], found.masks[:, 2])
    assert near.mean() > far.mean() + 0.1
    assert far.mean() < 0.9, "copying the prompt must not be enough"


@pytest.mark.parametrize("prompts", [1, 2])
def test_weights_follow_the_distance_in_time(prompts: int) -> None:
    batch = draw_batch(torch.Generator().manual_seed(4), 16, (16, 24), prompts, 0.5, SETTINGS)
    assert batch.prompt_images.shape == (16, prompts, 3, 16, 24) and batch.weights.shape == (16, prompts)
    torch.testing.assert_close(batch.weights.sum(1), torch.ones(16))
    if prompts == 2:
        assert (batch.weights.min(dim=1).values > 0).all() and (batch.weights.std(dim=0) > 0.05).all()
