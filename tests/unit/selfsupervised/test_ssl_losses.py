"""Losses, heads and measurements of the self-supervised tasks: official numbers, and values by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from uscl_med3d.selfsupervised import losses
from uscl_med3d.selfsupervised.collapse import effective_rank, feature_std
from uscl_med3d.selfsupervised.contrast import retrieval
from uscl_med3d.selfsupervised.heads import projection_head
from uscl_med3d.selfsupervised.images import Augmentation, blur, choose_sweeps, draw_view
from uscl_med3d.selfsupervised.masked import from_patches, to_patches

PRECISIONS = pytest.mark.parametrize(
    ("kind", "dtype", "tolerance"), [("ref32", torch.float32, 1e-5), ("ref64", torch.float64, 1e-9)]
)


@pytest.fixture(scope="module")
def reference(shared):
    return load_file(shared / "reference/contrastive.tiny.safetensors")


def check(found, expected, tolerance):
    """Relative to the largest value."""
    assert (found.detach() - expected.view_as(found)).abs().max() <= tolerance * expected.abs().max()


@PRECISIONS
@pytest.mark.parametrize("temperature", ["0.1", "0.5", "1.0"])
def test_ntxent_is_half_of_the_official_sum(reference, kind, dtype, tolerance, temperature):
    z = torch.cat([reference["in/z1"], reference["in/z2"]]).to(dtype).requires_grad_()
    loss = 2 * losses.ntxent(*z.chunk(2), float(temperature), None)
    loss.backward()
    check(loss, reference[f"{kind}/simclr.t{temperature}"], tolerance)
    check(z.grad, reference[f"{kind}/simclr.t{temperature}.grad"], tolerance)


@PRECISIONS
def test_negatives_of_the_same_patient_are_left_out(reference, kind, dtype, tolerance):
    z = torch.cat([reference["in/z1"], reference["in/z2"]]).to(dtype).requires_grad_()
    loss = losses.ntxent(*z.chunk(2), 0.1, reference["in/patient"])
    loss.backward()
    name = f"{kind}/formula.ntxent_same_patient_left_out.t0.1"
    check(loss, reference[name], tolerance)
    check(z.grad, reference[f"{name}.grad"], tolerance)
    assert abs(loss - losses.ntxent(*z.chunk(2), 0.1, None)) > 1e-3


def networks(reference, part, dtype):
    """Encoder, projector and predictor with the official numbers."""
    encoder = nn.Linear(12, 11)
    heads = {
        "projector": projection_head([11, 14, 9], 0, "a"),
        "predictor": projection_head([9, 14, 9], 0, "b"),
    }
    keys = {"fc1": "0", "bn": "1", "fc2": "3"}
    prefix = f"state/{part}."
    encoder.load_state_dict({k: reference[f"{prefix}encoder.{k}"] for k in ("weight", "bias")})
    for name, head in heads.items():
        state = {}
        for key, value in reference.items():
            if key.startswith(f"{prefix}{name}."):
                layer, leaf = key.rsplit(".", 2)[1:]
                state[f"{keys[layer]}.{leaf}"] = value
        head.load_state_dict(state, strict=True)
    return [module.to(dtype) for module in (encoder, heads["projector"], heads["predictor"])]


@PRECISIONS
def test_a_step_of_byol_is_the_official_one(reference, kind, dtype, tolerance):
    encoder, projector, predictor = networks(reference, "online", dtype)
    target_encoder, target_projector, _ = networks(reference, "target", dtype)
    views = [reference[f"in/x{k}"].to(dtype) for k in (1, 2)]
    predictions = tuple(predictor(projector(encoder(x))) for x in views)
    targets = tuple(target_projector(target_encoder(x)) for x in views)
    for k in (0, 1):
        check(predictions[k], reference[f"{kind}/byol.prediction{k + 1}"], tolerance)
        check(targets[k], reference[f"{kind}/byol.target{k + 1}"], tolerance)
    loss = losses.byol_loss(predictions, targets)
    loss.backward()
    check(loss, reference[f"{kind}/byol.loss"], tolerance)
    for name, module in {
        "encoder": encoder,
        "projector.fc2": projector[3],
        "predictor.fc1": predictor[0],
    }.items():
        check(module.weight.grad, reference[f"{kind}/byol.grad.{name}.weight"], tolerance)
    assert target_encoder.weight.grad is None


@PRECISIONS
def test_the_regression_loss_is_the_official_one(reference, kind, dtype, tolerance):
    found = losses.byol_regression(reference["in/z1"].to(dtype), reference["in/z2"].to(dtype))
    check(found, reference[f"{kind}/byol.regression_loss"], tolerance)


def test_the_momentum_is_the_official_schedule(reference):
    official = reference["ref64/schedule.byol_tau"]
    found = torch.tensor(
        [losses.byol_momentum(k, 20, 0.99) for k in range(len(official))], dtype=torch.float64
    )
    check(found, official, 1e-12)


def test_masked_error_counts_what_is_hidden_only():
    prediction, target = torch.zeros(1, 3, 2), torch.tensor([[[1.0, 3.0], [9.0, 9.0], [2.0, 2.0]]])
    counted = torch.tensor([[True, False, True]])
    assert losses.masked_error(prediction, target, counted, 1).item() == pytest.approx(2)
    assert losses.masked_error(prediction, target, counted, 2).item() == pytest.approx((5 + 4) / 2)
    assert losses.masked_error(prediction, target, ~counted & counted, 2).item() == 0


def test_normalised_patches_by_hand():
    found = losses.normalise_patches(torch.tensor([[[1.0, 3.0], [5.0, 5.0]]]))
    torch.testing.assert_close(found[0, 0], torch.tensor([-1.0, 1.0]) / math.sqrt(2), atol=1e-5, rtol=0)
    assert found[0, 1].tolist() == [0, 0]


def test_patches_are_the_cells_of_the_grid_and_come_back():
    crops = torch.arange(2 * 6**3, dtype=torch.float32).reshape(2, 1, 6, 6, 6)
    patches = to_patches(crops, 2)
    assert torch.equal(patches[1, 1 * 9 + 0 * 3 + 2].reshape(2, 2, 2), crops[1, 0, 2:4, 0:2, 4:6])
    assert torch.equal(from_patches(patches, 3, 2), crops)


def test_collapse_is_seen():
    spread = torch.randn(400, 8, generator=torch.Generator().manual_seed(0))
    assert feature_std(spread) == pytest.approx(1, abs=0.05) and effective_rank(spread) > 7.5
    alike = torch.ones(50, 8) * 0.3
    assert feature_std(alike) < 1e-6 and effective_rank(alike) == 0
    line = torch.randn(50, 1, generator=torch.Generator().manual_seed(1)) * torch.ones(8)
    assert effective_rank(line) == pytest.approx(1, abs=1e-5)


def test_retrieval_finds_the_other_view_or_nothing():
    views = torch.eye(4)
    assert retrieval(torch.cat([views, views])) == (1.0, 1 / 7)
    assert retrieval(torch.cat([views, views.roll(1, 0)]))[0] == 0


def test_no_patient_comes_twice_before_all_have_come():
    patients = {"a": ["a1", "a2"], "b": ["b1"], "c": ["c1", "c2"]}
    chosen = choose_sweeps(patients, 6, np.random.default_rng(0))
    assert sorted(p for p, _ in chosen[:3]) == sorted(p for p, _ in chosen[3:]) == ["a", "b", "c"]
    assert sorted(s for p, s in chosen if p != "b") == ["a1", "a2", "c1", "c2"]


def options(**changes):
    none = {
        "crop_share": (0.3, 0.9),
        "flip_probability": (0, 0, 0),
        "blur_probability": (0, 0),
        "blur_sigma": (1, 1),
        "jitter_probability": 0,
        "contrast": 0.4,
        "brightness": 0.4,
    }
    return Augmentation(**{**none, **changes})


@pytest.mark.parametrize(
    ("changes", "undo"),
    [
        ({"flip_probability": (0, 1, 0)}, lambda view, plain: torch.equal(view.flip(3), plain)),
        ({"blur_probability": (1, 0)}, lambda view, plain: torch.equal(view, blur(plain, 1.0))),
        (
            {"jitter_probability": 1},
            lambda view, plain: torch.corrcoef(torch.stack([view.flatten(), plain.flatten()]))[0, 1] > 0.9999,
        ),
    ],
)
def test_each_augmentation_changes_only_what_it_names(changes, undo):
    volume = torch.from_numpy(np.random.default_rng(1).integers(1, 255, (12, 14, 16)).astype(np.uint8))
    plain, view = (
        draw_view(volume, o, 0, 8, np.random.default_rng(2)) for o in (options(), options(**changes))
    )
    assert not torch.equal(view, plain) and undo(view, plain)
    second = draw_view(volume, options(blur_probability=(1, 0)), 1, 8, np.random.default_rng(2))
    assert torch.equal(second, plain), "the second view has its own blur probability"


def test_blur_keeps_a_constant_and_lowers_the_spread():
    crops = torch.randn(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    assert blur(crops, 1.0).std() < 0.5 * crops.std()
    torch.testing.assert_close(blur(torch.full((1, 1, 6, 6, 6), 3.0), 1.5), torch.full((1, 1, 6, 6, 6), 3.0))
