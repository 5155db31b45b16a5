"""Student and teacher."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from uscl_med3d.nets import lora
from uscl_med3d.nets.sam_med3d import PRESETS, build_sam_med3d
from uscl_med3d.pretext.vcl import net as vcl
from uscl_med3d.pretext.vcl.head import VclHead


@pytest.fixture
def student():
    torch.manual_seed(0)
    config = PRESETS["smoke"]
    model = build_sam_med3d(config)
    lora.add_lora(model, "encoder", rank=2, alpha=2.0, dropout=0.0, seed=1)
    lora.freeze_all_but_lora(model, "encoder")
    head = VclHead("linear", config.prompt_dim, 8, 8, 48, torch.Generator().manual_seed(0))
    return vcl.VclNet(model.image_encoder, head)


def draw_batch(side=PRESETS["smoke"].image_size):
    generator = torch.Generator().manual_seed(2)
    random, base = (torch.randn(1, n, 1, side, side, side, generator=generator) for n in (2, 4))
    return vcl.Batch(random, base, torch.tensor([[[0.5, 0.5, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]]]))


def change(student, by):
    with torch.no_grad():
        for value in student.parameters():
            if value.requires_grad:
                value.add_(by)


def test_teacher_starts_as_a_copy_and_follows_by_m(student):
    teacher = vcl.Teacher(student, 0.9)
    names = {name for name, value in student.named_parameters() if value.requires_grad}
    assert set(teacher.tensors) == names and all("lora_" in name or "head" in name for name in names)
    start = {name: value.clone() for name, value in teacher.tensors.items()}
    change(student, 1.0)
    teacher.update()
    teacher.update()
    for name, value in teacher.tensors.items():
        torch.testing.assert_close(value, start[name] + 0.19)  # 1 - 0.9^2 of the way


def test_teacher_computes_with_its_own_adapters_and_the_frozen_base(student):
    crops = draw_batch().base[0]
    teacher = vcl.Teacher(student, 0.9)
    before = student(crops).detach()
    torch.testing.assert_close(teacher.embed(crops), before)
    change(student, 0.1)
    assert not torch.allclose(student(crops), before, atol=1e-3)
    torch.testing.assert_close(teacher.embed(crops), before)
    assert not teacher.embed(crops).requires_grad
    with torch.no_grad():
        student.encoder.patch_embed.proj.weight.mul_(2)
    assert not torch.allclose(teacher.embed(crops), before, atol=1e-3), "the base weights should be shared"


def test_teacher_is_updated_after_the_student_s_pass_and_before_its_own(student):
    events = []
    teacher = vcl.Teacher(student, 0.9)
    update, embed = teacher.update, teacher.embed
    teacher.update = lambda: (events.append("update"), update())
    teacher.embed = lambda crops: (events.append("teacher"), embed(crops))[1]
    hook = student.head.register_forward_hook(lambda *_: events.append("pass"))
    vcl.compute_terms(student, teacher, draw_batch(), "paper", 0.05, update=True)
    hook.remove()
    assert events == ["pass", "update", "teacher", "pass"]


def test_the_updated_teacher_makes_the_logits(student):
    batch, teacher = draw_batch(), vcl.Teacher(student, 0.0)
    change(student, 0.05)
    terms = vcl.compute_terms(student, teacher, batch, "paper", 0.05, update=True)
    # m = 0: the teacher is the student of this very step.
    with torch.no_grad():
        random, base = student(batch.random[0]), student(batch.base[0])
    expected = nn.functional.cosine_similarity(random[:, None], base[None], dim=-1)
    torch.testing.assert_close(terms.logits[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["paper", "code"])
def test_gradients_reach_adapters_and_head_only(student, form):
    terms = vcl.compute_terms(student, vcl.Teacher(student, 0.9), draw_batch(), form, 0.05, update=True)
    terms.total.backward()
    for name, value in student.named_parameters():
        assert (value.grad is not None) == ("lora_" in name or "head" in name), name
    assert student.head.layers[0].weight.grad.abs().sum() > 0


def test_measuring_leaves_the_teacher_alone(student):
    teacher = vcl.Teacher(student, 0.5)
    change(student, 1.0)
    before = {name: value.clone() for name, value in teacher.tensors.items()}
    vcl.compute_terms(student, teacher, draw_batch(), "paper", 0.05, update=False)
    assert all(torch.equal(before[name], value) for name, value in teacher.tensors.items())


@pytest.mark.parametrize("form", ["paper", "code"])
def test_losses_are_full_precision_under_mixed_precision(student, form):
    exact = vcl.compute_terms(student, vcl.Teacher(student, 0.9), draw_batch(), form, 0.05, update=False)
    with torch.autocast("cpu", torch.bfloat16):
        terms = vcl.compute_terms(student, vcl.Teacher(student, 0.9), draw_batch(), form, 0.05, update=False)
    assert {value.dtype for value in terms} == {torch.float32}
    torch.testing.assert_close(terms.total, exact.total, rtol=0.05, atol=0.01)
    terms.total.backward()
