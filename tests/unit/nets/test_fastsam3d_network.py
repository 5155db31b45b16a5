"""FastSAM3D's encoder: official names, official numbers, and what its named choices do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from uscl_med3d.core.errors import InputError
from uscl_med3d.nets.fastsam3d import (
    OFFICIAL_STUDENT,
    FastSam3DConfig,
    FastSam3DEncoder,
    build_fastsam3d,
    load_fastsam3d,
    save_fastsam3d,
)
from uscl_med3d.nets.sam_med3d import PRESETS, build_sam_med3d, load_checkpoint

STUDENT = replace(
    OFFICIAL_STUDENT, image_size=32, patch_size=8, embed_dim=48, depth=4, num_heads=3, prompt_dim=48
)
TEACHER = replace(
    STUDENT, depth=3, blocks_without_attention=0, window_size=14, global_blocks=(1,), output_every=2
)
# The public class with sparse attention lists no tokens between the first and the embedding.
SPARSE = replace(
    STUDENT,
    patch_size=4,
    embed_dim=24,
    depth=3,
    num_heads=2,
    prompt_dim=24,
    window_size=14,
    output_every=4,
    sparse_attention="segments",
)
CONFIGS = {"student": STUDENT, "teacher": TEACHER, "dilated": SPARSE}
PRECISIONS = {"ref32": (torch.float32, 1e-5), "ref64": (torch.float64, 1e-9)}


@pytest.fixture(scope="module")
def official(shared: Path) -> dict[str, Tensor]:
    return load_file(shared / "reference" / "fastsam3d.tiny.safetensors")


def load(official: dict[str, Tensor], name: str, config: FastSam3DConfig) -> FastSam3DEncoder:
    encoder, prefix = FastSam3DEncoder(config), f"state/{name}."
    state = {key.removeprefix(prefix): x for key, x in official.items() if key.startswith(prefix)}
    encoder.load_state_dict(state, strict=True)
    return encoder.eval()


def check(official: dict[str, Tensor], kind: str, name: str, found: Tensor) -> None:
    expected = official.get(f"{kind}/{name}")
    if expected is None:
        assert f"ref32/{name}" in official
        return
    assert found.shape == expected.shape
    error = (found - expected).abs().max() / expected.abs().max()
    assert error <= PRECISIONS[kind][1], f"{name} is off by {error:.1e}"


def test_full_size_names_and_shapes_are_official(shared: Path) -> None:
    expected = json.loads((shared / "reference" / "fastsam3d.keys.json").read_text())["state_dict"]
    with torch.device("meta"):
        encoder = FastSam3DEncoder(OFFICIAL_STUDENT)
    found = {name: list(x.shape) for name, x in encoder.state_dict().items()}
    assert found == {name: tensor["shape"] for name, tensor in expected.items()}


@pytest.mark.parametrize("kind", list(PRECISIONS))
@pytest.mark.parametrize("name", list(CONFIGS))
@torch.no_grad()
def test_outputs_are_official(official: dict[str, Tensor], name: str, kind: str) -> None:
    dtype = PRECISIONS[kind][0]
    encoder = load(official, name, CONFIGS[name]).to(dtype)
    image = official["in/image_dilated" if name == "dilated" else "in/image"].to(dtype)
    outputs = encoder.list_outputs(image)
    listed = [key for key in official if key.startswith(f"ref32/{name}.list")]
    assert len(outputs) == len(listed)
    for index, output in enumerate(outputs):
        check(official, kind, f"{name}.list{index}", output)
    x = outputs[0]
    for index, block in enumerate(encoder.blocks):
        if name == "dilated" and index == encoder.config.blocks_without_attention:
            check(official, kind, "dilated.first_attn", block.attn(block.norm1(x)))
        x = block(x)
        check(official, kind, f"{name}.block{index}", x)
    assert torch.equal(encoder(image), outputs[-1])


@torch.no_grad()
def test_distillation_losses_are_official(official: dict[str, Tensor]) -> None:
    student, teacher = (
        load(official, name, CONFIGS[name]).list_outputs(official["in/image"])
        for name in ("student", "teacher")
    )
    for name, index in (("distill.mse_last", -1), ("distill.mse_index1", 1)):
        check(official, "ref32", name, torch.nn.functional.mse_loss(student[index], teacher[index])[None])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("student", {"residual": "plain"}),
        ("student", {"relative_position": "decomposed"}),
        ("student", {"sparse_attention": "segments"}),
        ("dilated", {"token_order": "restored"}),
        ("dilated", {"segments": 32}),
        ("dilated", {"sparse_attention": "none"}),
    ],
)
@torch.no_grad()
def test_every_choice_matters(official: dict[str, Tensor], name: str, change: dict) -> None:
    encoder = FastSam3DEncoder(replace(CONFIGS[name], **change))
    exact = load(official, name, CONFIGS[name])
    encoder.load_state_dict(exact.state_dict(), strict=False)
    image = official["in/image_dilated" if name == "dilated" else "in/image"]
    difference = (encoder(image) - exact(image)).abs().max() / exact(image).abs().max()
    assert difference > 0.01


@torch.no_grad()
def test_restored_segments_are_attention_with_a_mask(randomise) -> None:
    encoder = randomise(FastSam3DEncoder(replace(SPARSE, token_order="restored", segments=32)))
    attention = encoder.blocks[-1].attn
    x = torch.randn(2, 8, 8, 8, 24, generator=torch.Generator().manual_seed(1))
    q, k, v = attention.qkv(x).reshape(2, 512, 3, 2, 12).permute(2, 0, 3, 1, 4)
    segment = torch.arange(512) % 32
    logits = (q @ k.transpose(-1, -2)) * 12**-0.5
    weights = logits.masked_fill(segment[:, None] != segment[None], -torch.inf).softmax(-1)
    expected = attention.proj((weights @ v).transpose(1, 2).reshape(x.shape))
    assert torch.allclose(attention(x), expected, atol=1e-5)


def test_plain_residual_without_quirks_is_sam_med3d(randomise) -> None:
    config = PRESETS["smoke"]
    base = randomise(build_sam_med3d(config)).image_encoder
    same = FastSam3DConfig(
        **{
            name: getattr(config, name)
            for name in (
                "image_size",
                "patch_size",
                "embed_dim",
                "depth",
                "num_heads",
                "mlp_ratio",
                "prompt_dim",
                "window_size",
                "global_blocks",
                "relative_position",
            )
        },
        blocks_without_attention=0,
        output_every=1,
        residual="plain",
        sparse_attention="none",
        segments=1,
        token_order="restored",
    )
    encoder = FastSam3DEncoder(same)
    encoder.load_state_dict(base.state_dict(), strict=True)
    image = torch.randn(1, 1, *[config.image_size] * 3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(encoder(image), base(image))
    encoder.activation_checkpointing = True
    assert torch.equal(encoder(image), base(image))


def test_file_carries_its_architecture(randomise, tmp_path: Path) -> None:
    config = PRESETS["smoke"]
    student = replace(
        STUDENT,
        image_size=config.image_size,
        embed_dim=24,
        num_heads=2,
        depth=2,
        prompt_dim=config.prompt_dim,
    )
    network = randomise(build_fastsam3d(student, config))
    save_fastsam3d(tmp_path / "a.safetensors", network)
    loaded = load_fastsam3d(tmp_path / "a.safetensors")
    assert loaded.config == config and loaded.image_encoder.config == student
    assert all(torch.equal(x, loaded.state_dict()[name]) for name, x in network.state_dict().items())
    save_file({"x": torch.zeros(1)}, tmp_path / "b.safetensors")
    with pytest.raises(InputError, match="an unnamed model"):
        load_fastsam3d(tmp_path / "b.safetensors")


def test_student_file_is_loaded_strictly(official: dict[str, Tensor], tmp_path: Path) -> None:
    encoder = load(official, "student", STUDENT)
    torch.save({"model_state_dict": encoder.state_dict()}, tmp_path / "student.pth")
    load_checkpoint(FastSam3DEncoder(STUDENT), tmp_path / "student.pth")
    with pytest.raises(InputError, match=r"blocks\.1\.attn\.qkv\.weight: missing"):
        load_checkpoint(
            FastSam3DEncoder(replace(STUDENT, blocks_without_attention=1)), tmp_path / "student.pth"
        )


@pytest.mark.parametrize(
    "change",
    [
        {"sparse_attention": "segments", "segments": 3},
        {"blocks_without_attention": 5},
        {"num_heads": 5},
        {"residual": "none"},
    ],
)
def test_numbers_that_do_not_fit_are_refused(change: dict) -> None:
    with pytest.raises(
        ValueError, match=next(reversed(change)) if "num_heads" not in change else "embed_dim"
    ):
        replace(STUDENT, **change)


def test_student_and_decoder_must_fit() -> None:
    with pytest.raises(ValueError, match="image_size is 32"):
        build_fastsam3d(STUDENT, PRESETS["smoke"])
