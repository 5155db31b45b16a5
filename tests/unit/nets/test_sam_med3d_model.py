"""Behaviour of the whole network: batches, boxes, plain reference, precision, memory, unusable input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import padded_reference
import pytest
import torch
from torch import Tensor, nn

from uscl_med3d.nets.sam_med3d import PRESETS, SamMed3D, SamMed3DConfig, build_sam_med3d
from uscl_med3d.nets.sam_med3d.resample import upsample_trilinear

SMOKE = PRESETS["smoke"]
SIDE = SMOKE.image_size


@pytest.fixture
def model(randomise: Callable[..., nn.Module]) -> SamMed3D:
    return randomise(build_sam_med3d(SMOKE))


@pytest.fixture
def volume() -> Tensor:
    return torch.randn(2, 1, SIDE, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def click(*positions: tuple[float, float, float], label: int = 1) -> tuple[Tensor, Tensor]:
    return torch.tensor([[position] for position in positions]), torch.full((len(positions), 1), label)


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> bool:
    return bool((found - expected).abs().max() <= tolerance * expected.abs().max())


def test_one_volume_serves_many_prompts(model: SamMed3D, volume: Tensor) -> None:
    points = click((1, 2, 3), (10, 11, 12), (20, 3, 7))
    shared = model.decode(model.image_encoder(volume[:1]), points=points)
    repeated = model.decode(model.image_encoder(volume[:1].repeat(3, 1, 1, 1, 1)), points=points)
    assert shared[0].shape == (3, 1, 12, 12, 12)
    assert close(shared[0], repeated[0]) and close(shared[1], repeated[1])


def test_batched_prompts_equal_single_ones(model: SamMed3D, volume: Tensor) -> None:
    embedding = model.image_encoder(volume)
    points = click((1, 2, 3), (10, 11, 12))
    masks, quality = model.decode(embedding, points=points, multimask_output=True)
    assert masks.shape[:2] == quality.shape == (2, 3)
    for item in range(2):
        one = slice(item, item + 1)
        alone = model.decode(embedding[one], points=(points[0][one], points[1][one]), multimask_output=True)
        assert close(masks[one], alone[0])


def test_decoder_returns_one_mask_unless_told_otherwise(model: SamMed3D, volume: Tensor) -> None:
    assert model(volume, points=click((1, 2, 3), (4, 5, 6)))[0].shape[1] == 1


def test_boxes_work_and_matter(model: SamMed3D, volume: Tensor) -> None:
    embedding = model.image_encoder(volume)
    boxes = torch.tensor([[2.0, 3, 4, 10, 11, 12], [5, 5, 5, 20, 20, 20]])
    sparse, _ = model.prompt_encoder(boxes=boxes)
    assert sparse.shape == (2, 3, SMOKE.prompt_dim)
    both, _ = model.prompt_encoder(points=click((1, 2, 3), (4, 5, 6)), boxes=boxes)
    assert both.shape[1] == 4, "with a box, no placeholder point is appended"
    first, _ = model.decode(embedding, boxes=boxes)
    second, _ = model.decode(embedding, boxes=boxes + 1)
    assert first.shape == (2, 1, 12, 12, 12) and not close(first, second, 1e-3)


def test_box_is_its_corners_and_centre(model: SamMed3D) -> None:
    boxed, _ = model.prompt_encoder(boxes=torch.tensor([[2.0, 3, 4, 10, 11, 12]]))
    corners = torch.tensor([[[2.0, 3, 4], [10, 11, 12], [6, 7, 8]]])
    pointed, _ = model.prompt_encoder(points=(corners, torch.tensor([[0, 0, 1]])))
    torch.testing.assert_close(boxed, pointed[:, :3])


def test_no_prompt_at_all(model: SamMed3D, volume: Tensor) -> None:
    sparse, dense = model.prompt_encoder()
    assert sparse.shape == (1, 0, SMOKE.prompt_dim) and dense.shape[0] == 1
    assert torch.isfinite(model(volume)[0]).all() and model(volume)[0].shape[0] == 2


def test_empty_batch(model: SamMed3D) -> None:
    masks, quality = model(
        torch.zeros(0, 1, SIDE, SIDE, SIDE), points=(torch.zeros(0, 1, 3), torch.zeros(0, 1))
    )
    assert masks.shape == (0, 1, 12, 12, 12) and quality.shape == (0, 1)


def test_dense_positions_are_cached_and_follow_the_weights(model: SamMed3D) -> None:
    encoder = model.prompt_encoder
    before = encoder.get_dense_pe()
    assert encoder.get_dense_pe() is before
    matrix = encoder.pe_layer.positional_encoding_gaussian_matrix
    encoder.load_state_dict(
        {**encoder.state_dict(), "pe_layer.positional_encoding_gaussian_matrix": 2 * matrix}
    )
    assert not torch.equal(encoder.get_dense_pe(), before)
    assert model.double().prompt_encoder.get_dense_pe().dtype == torch.float64
    assert not any("dense_pe" in name for name in model.state_dict())


def test_dense_positions_cached_in_inference_mode_still_train(model: SamMed3D, volume: Tensor) -> None:
    with torch.inference_mode():
        model(volume, points=click((1, 2, 3), (4, 5, 6)))
    masks, _ = model(volume, points=click((1, 2, 3), (4, 5, 6)))
    model.upsample(masks).sum().backward()


def test_point_and_grid_encodings_have_swapped_axes(model: SamMed3D) -> None:
    """As upstream: a point at the centre of cell (d, h, w) has the encoding of cell (h, d, w)."""
    encoder = model.prompt_encoder
    patch, cell = SMOKE.patch_size, (0, 1, 2)
    centre = torch.tensor([[[patch * (index + 0.5) - 0.5 for index in cell]]])
    sparse, _ = encoder(points=(centre, torch.tensor([[1]])))
    position = sparse[0, 0] - encoder.point_embeddings[1].weight[0]
    grid = encoder.get_dense_pe()[0]
    torch.testing.assert_close(position, grid[:, 1, 0, 2], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(position, grid[:, 0, 1, 2], atol=1e-2)


@pytest.mark.parametrize("size", [24, 29, 48])
def test_upsampling_is_trilinear(size: int) -> None:
    masks = torch.randn(2, 3, 12, 11, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = nn.functional.interpolate(masks, size=[size] * 3, mode="trilinear", align_corners=False)
    torch.testing.assert_close(upsample_trilinear(masks, size), expected, rtol=1e-12, atol=1e-12)


def test_activation_checkpointing_changes_nothing(model: SamMed3D, volume: Tensor) -> None:
    gradients = []
    for flag in (False, True):
        model.image_encoder.activation_checkpointing = flag
        model.zero_grad()
        model.image_encoder(volume).square().sum().backward()
        gradients.append([p.grad.clone() for p in model.image_encoder.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_bfloat16_autocast_is_close(randomise: Callable[..., nn.Module]) -> None:
    """At realistic weight scale; the noise of the other tests saturates the softmax."""
    model = randomise(build_sam_med3d(replace(SMOKE, depth=3)))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter *= 0.2
    x = torch.randn(2, 1, SIDE, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    exact = model.image_encoder(x)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.image_encoder(x)
        rough.float().square().mean().backward()
    assert close(rough.float(), exact, 2e-2)
    assert all(torch.isfinite(p.grad).all() for p in model.image_encoder.parameters())


def test_training_keeps_a_third_of_the_activations_of_written_out_padding(
    randomise: Callable[..., nn.Module],
) -> None:
    def saved_bytes(model: SamMed3D) -> int:
        storages = {}

        def pack(x: Tensor) -> Tensor:
            storages[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            out = model.image_encoder(torch.zeros(1, 1, SIDE, SIDE, SIDE))
        del out
        weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
        return sum(size for pointer, size in storages.items() if pointer not in weights)

    config = replace(SMOKE, depth=1, global_blocks=(), window_size=7)
    ours = saved_bytes(randomise(build_sam_med3d(config)))
    plain = saved_bytes(padded_reference.use_padded_encoder(randomise(build_sam_med3d(config))))
    assert 3 * ours <= plain


@pytest.mark.parametrize("mode", ["upstream", "decomposed"])
@pytest.mark.parametrize("window", [2, 5, 7])
def test_whole_network_equals_the_plain_reference(
    randomise: Callable[..., nn.Module], mode: str, window: int
) -> None:
    """Window smaller than the grid, equal to it at the edge, and larger."""
    config = replace(SMOKE, image_size=40, window_size=window, relative_position=mode)
    model = randomise(build_sam_med3d(config)).double()
    x = torch.randn(1, 1, 40, 40, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    prompts = {
        "points": (torch.tensor([[[3.0, 8, 30]], [[9, 9, 9]]]).double(), torch.tensor([[1], [0]])),
        "masks": torch.randn(
            2, 1, 20, 20, 20, generator=torch.Generator().manual_seed(2), dtype=torch.float64
        ),
        "multimask_output": True,
    }
    with torch.no_grad():
        found = model(x, **prompts)
        padded_reference.use_plain_decoder(padded_reference.use_padded_encoder(model))
        expected = model(x, **prompts)
    assert close(found[0], expected[0], 1e-10) and close(found[1], expected[1], 1e-10)


def test_non_cubic_volume_is_refused(model: SamMed3D) -> None:
    with pytest.raises(ValueError, match="crop or pad"):
        model.image_encoder(torch.zeros(1, 1, SIDE, SIDE, SIDE + 8))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_not_a_number_is_refused(model: SamMed3D, volume: Tensor, bad: float) -> None:
    volume[1, 0, 3, 4, 5] = bad
    with pytest.raises(ValueError, match="NaN or infinite"):
        model.image_encoder(volume)


def test_huge_but_finite_voxels_are_not_mistaken_for_infinity(model: SamMed3D, volume: Tensor) -> None:
    model.image_encoder._check(volume.clone().fill_(3e37))


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({"points": click((1, 2, SIDE))}, "outside the volume"),
        ({"points": click((-1, 2, 3))}, "outside the volume"),
        ({"points": (torch.zeros(1, 1, 2), torch.zeros(1, 1))}, "coordinates"),
        ({"points": (torch.zeros(1, 2, 3), torch.zeros(1, 1))}, "coordinates"),
        ({"points": click((1, 2, 3), label=4)}, "labels"),
        ({"boxes": torch.tensor([[5.0, 5, 5, 4, 6, 6]])}, "behind"),
        ({"boxes": torch.tensor([[0.0, 0, 0, 4, 6, 99]])}, "outside the volume"),
        ({"boxes": torch.zeros(1, 4)}, "boxes are"),
        ({"masks": torch.zeros(1, 1, SIDE, SIDE, SIDE)}, "low-resolution"),
        ({"points": click((1, 2, 3)), "masks": torch.zeros(2, 1, 12, 12, 12)}, "batch sizes"),
    ],
)
def test_unusable_prompts_are_refused(model: SamMed3D, prompts: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.prompt_encoder(**prompts)


def test_placeholder_points_may_lie_anywhere(model: SamMed3D) -> None:
    model.prompt_encoder(points=click((-5, 99, 0), label=-1))


def test_embedding_batch_must_fit_the_prompts(model: SamMed3D, volume: Tensor) -> None:
    with pytest.raises(ValueError, match="3 prompts"):
        model(volume, points=click((1, 2, 3), (4, 5, 6), (7, 8, 9)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 25}, "multiple of patch_size"),
        ({"num_heads": 5}, "num_heads"),
        ({"prompt_dim": 40}, "divisible by 3"),
        ({"global_blocks": (7,)}, "global_blocks"),
        ({"relative_position": "other"}, "relative_position"),
        ({"window_size": 0}, "window_size must be positive"),
    ],
)
def test_impossible_configurations_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SamMed3DConfig(**{**SMOKE.__dict__, **change})
