"""Losses of the contextual-position task: hand-computed values and reference numbers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from uscl_med3d.pretext.vcl import losses as vcl_losses
from uscl_med3d.pretext.vcl.head import VclHead
from uscl_med3d.pretext.vcl.losses import Embeddings

CLOSE = {"rtol": 1e-9, "atol": 1e-10}


@pytest.fixture(scope="module")
def reference(shared):
    tensors = load_file(shared / "reference/voco.tiny.safetensors")
    return {name: value.double() if value.is_floating_point() else value for name, value in tensors.items()}


def loss_at(distance, margin=0.05):
    """Equation 4 for n = 1 at one distance."""
    return vcl_losses.paper_prediction(torch.tensor([distance], dtype=torch.float64), torch.zeros(1), margin)


# --------------------------------------------------------------------------------------------- paper form
def test_paper_prediction_by_hand():
    labels = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
    logits = torch.tensor([[0.5, 0.0, 0.5, -0.5], [0.25, 0.0, 0.75, -0.25]])
    expected = torch.tensor([3 * math.log(2) / 4, (math.log(4 / 3) + 2 * math.log(2)) / 4])
    torch.testing.assert_close(vcl_losses.paper_prediction(labels, logits, 0.05), expected)


def test_paper_prediction_beyond_the_margin_is_the_tangent():
    # At d = 0.75 the loss is log 4 with slope 4; at d = 1.5 (label 1, cosine -0.5) it is log 4 + 4 * 0.75.
    found = vcl_losses.paper_prediction(torch.tensor([1.0]), torch.tensor([-0.5]), 0.25)
    assert found.item() == pytest.approx(math.log(4) + 3)


@given(distance=st.floats(0, 2), margin=st.floats(0.01, 0.5))
@settings(max_examples=80, deadline=None)
def test_paper_prediction_is_finite_and_exact_inside(distance, margin):
    found = loss_at(distance, margin).item()
    assert math.isfinite(found)
    if distance <= 1 - margin:
        assert found == pytest.approx(-math.log(1 - distance), abs=1e-12)
    else:
        assert found > -math.log(margin) - 1e-12


@given(distance=st.floats(0, 1.9), step=st.floats(1e-4, 0.1))
@settings(max_examples=60, deadline=None)
def test_paper_prediction_grows_and_is_convex(distance, step):
    left, middle, right = (loss_at(distance + k * step).item() for k in (0, 0.5, 1))
    assert left < right and middle <= (left + right) / 2 + 1e-12


def test_the_worst_prediction_keeps_a_gradient():
    logits = torch.tensor([-0.9], requires_grad=True)
    vcl_losses.paper_prediction(torch.tensor([1.0]), logits, 0.05).backward()
    assert logits.grad.item() == pytest.approx(-20)


def test_paper_regularisation_by_hand():
    z = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [3.0, 3.0]])
    # Pairs: 0, -1, cos 45, 0, cos 45, -cos 45; absolute values.
    assert vcl_losses.paper_regularisation(z).item() == pytest.approx((1 + 3 * math.sqrt(0.5)) / 6)
    assert vcl_losses.paper_regularisation(torch.ones(4, 3)).item() == pytest.approx(1)
    assert vcl_losses.paper_regularisation(torch.eye(4)).item() == pytest.approx(0)


def test_paper_form_equals_the_reference(reference):
    labels, logits = reference["in/uscl_labels"], reference["in/uscl_logits"]
    found = vcl_losses.paper_prediction(labels, logits, 1e-6)
    torch.testing.assert_close(found, reference["ref64/paper_uscl.L_pred_per_crop"], **CLOSE)
    bases = reference["in/bases"][:4]
    found = vcl_losses.paper_regularisation(bases)[None]
    torch.testing.assert_close(found, reference["ref64/paper_uscl.L_reg"], **CLOSE)
    pairs = vcl_losses.cosine(bases, bases)[tuple(torch.triu_indices(4, 4, 1))]
    torch.testing.assert_close(pairs, reference["ref64/paper_uscl.s_ij_upper"], **CLOSE)


# --------------------------------------------------------------------------------------------- code form
def test_code_form_equals_the_reference(reference):
    logits = reference["in/usable_logits"].clone().requires_grad_()
    loss = vcl_losses.code_prediction(reference["in/labels_5"], logits)
    loss.backward()
    torch.testing.assert_close(
        loss[None], reference["ref64/ce_loss.pos"] + reference["ref64/ce_loss.neg"], **CLOSE
    )
    torch.testing.assert_close(logits.grad, reference["ref64/ce_loss.grad_logits"], **CLOSE)
    bases = reference["in/bases"].clone().requires_grad_()
    loss = vcl_losses.code_regularisation(bases)
    loss.backward()
    torch.testing.assert_close(loss[None], reference["ref64/regularization_loss"], **CLOSE)
    torch.testing.assert_close(bases.grad, reference["ref64/regularization_loss.grad_bases"], **CLOSE)


def reference_network(reference, state):
    """The reference's stand-in backbone (one linear layer) under our head."""
    head = VclHead("mlp", 20, 24, 16, 8, torch.Generator().manual_seed(0))
    network = nn.Sequential(nn.Linear(10, 20), head).double()
    names = dict(zip(("layer1.0", "layer2.0", "layer3.0"), (0, 3, 6), strict=True))
    tensors = {}
    for name, value in reference.items():
        if name.startswith(state):
            name = name.removeprefix(state)
            for theirs, ours in names.items():
                name = name.replace(theirs, f"layers.{ours}")
            tensors[name] = value
    network.load_state_dict(tensors, strict=True)
    return network


def test_one_full_step_of_the_code_form_equals_the_reference(reference):
    student = reference_network(reference, "state/student.")
    teacher = reference_network(reference, "ref64/forward.teacher_after_ema.")
    crops = torch.cat([reference["in/imgs"], reference["in/crops"]])

    def embed(network):
        embedded = network(crops)
        return Embeddings(embedded[:6].unflatten(0, (2, 3)), embedded[6:].unflatten(0, (2, 16)))

    terms = vcl_losses.vcl_terms("code", embed(student), embed(teacher), reference["in/labels"], 0.05)
    predicted = reference["ref64/forward.pos"] + reference["ref64/forward.neg"]
    torch.testing.assert_close(terms.prediction[None], predicted, **CLOSE)
    torch.testing.assert_close(terms.regularisation[None], reference["ref64/forward.base"], **CLOSE)
    terms.total.backward()
    expected = reference_network(reference, "ref64/forward.grad_student.").state_dict()
    for name, value in student.named_parameters():
        torch.testing.assert_close(value.grad, expected[name], rtol=1e-6, atol=1e-9)
    assert all(value.grad is None for value in teacher.parameters())


# --------------------------------------------------------------------------------------------- both forms
@pytest.mark.parametrize("form", ["paper", "code"])
def test_volumes_of_a_batch_are_averaged(form):
    generator = torch.Generator().manual_seed(0)
    student, teacher = (
        Embeddings(torch.randn(2, 3, 8, generator=generator), torch.randn(2, 4, 8, generator=generator))
        for _ in range(2)
    )
    labels = torch.rand(2, 3, 4, generator=generator)

    def alone(k):
        pick = [Embeddings(e.random[k : k + 1], e.base[k : k + 1]) for e in (student, teacher)]
        return vcl_losses.vcl_terms(form, *pick, labels[k : k + 1], 0.05).total

    both = vcl_losses.vcl_terms(form, student, teacher, labels, 0.05)
    torch.testing.assert_close(both.total, (alone(0) + alone(1)) / 2)
    torch.testing.assert_close(both.total, both.prediction + both.regularisation)


@pytest.mark.parametrize("form", ["paper", "code"])
def test_best_constant_is_not_beaten_by_other_constants(form):
    labels = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0)).softmax(-1)
    best = vcl_losses.constant_prediction_loss(form, labels, 0.05)
    for guess in torch.linspace(0, 1, 7):
        logits = guess.expand(labels.shape)
        if form == "paper":
            loss = vcl_losses.paper_prediction(labels, logits, 0.05).mean()
        else:
            loss = vcl_losses.code_prediction(labels, logits).mean()
        assert best <= loss.item() + 1e-4


# --------------------------------------------------------------------------------------------- head
def test_head_start_comes_from_its_generator():
    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    first, second = (VclHead("mlp", 6, 5, 4, 3, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_linear_head_is_linear_and_starts_from_whitened_components():
    head = VclHead("linear", 6, 5, 4, 3, torch.Generator().manual_seed(3))
    assert sum(value.numel() for value in head.parameters()) == 3 * 4 + 4
    features = (
        torch.randn(50, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([9, 5, 3, 1, 1, 1.0])
        + 7
    )
    head.whiten(features)
    inside = (features - head.mean) @ head.basis
    torch.testing.assert_close(inside.T @ inside / 50, torch.eye(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(inside.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    a, b = torch.randn(2, 3, 6)
    torch.testing.assert_close(head(a) + head(b), head(a + b) + head(torch.zeros(3, 6)))


def test_whitening_of_few_crops_is_finite():
    head = VclHead("linear", 6, 5, 4, 5, torch.Generator().manual_seed(3))
    head.whiten(torch.randn(3, 6, generator=torch.Generator().manual_seed(0)))
    assert torch.isfinite(head(torch.randn(4, 6))).all() and head.basis.abs().max() < 1e3


def test_mlp_head_is_left_as_drawn():
    head = VclHead("mlp", 6, 5, 4, 3, torch.Generator().manual_seed(3))
    before = head.layers[0].weight.clone()
    head.whiten(torch.randn(20, 6))
    assert torch.equal(head.layers[0].weight, before)
