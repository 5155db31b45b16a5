"""Fixtures of the network tests: official reference tensors, and a way to randomise every weight."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from uscl_med3d.nets.sam_med3d import SamMed3D, SamMed3DConfig, build_sam_med3d

TINY = SamMed3DConfig(
    image_size=32,
    patch_size=8,
    embed_dim=48,
    depth=4,
    num_heads=3,
    global_blocks=(1, 3),
    window_size=14,
    mlp_ratio=4,
    prompt_dim=48,
    mask_channels=16,
    decoder_mlp_dim=2048,
    decoder_heads=8,
    decoder_depth=2,
    iou_head_depth=3,
    iou_head_dim=32,
    num_multimask_outputs=3,
    relative_position="upstream",
)


@pytest.fixture(scope="session")
def official(shared: Path) -> dict[str, Tensor]:
    """Tensors made by the official code: state/*, in/*, ref32/*, ref64/*."""
    return load_file(shared / "reference" / "sam_med3d.tiny.safetensors")


@pytest.fixture(scope="session")
def official_model(official: dict[str, Tensor]) -> Callable[[torch.dtype], SamMed3D]:
    def build(dtype: torch.dtype) -> SamMed3D:
        model = build_sam_med3d(TINY)
        state = {name.removeprefix("state/"): x for name, x in official.items() if name.startswith("state/")}
        model.load_state_dict(state, strict=True)
        return model.to(dtype).eval()

    return build


@pytest.fixture(scope="session")
def randomise() -> Callable[[nn.Module], nn.Module]:
    """Fill every parameter with noise: tables and biases start at zero, and zeros prove nothing."""

    def fill(module: nn.Module, seed: int = 0) -> nn.Module:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                noise = 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.copy_(1 + noise if "norm" in name and name.endswith("weight") else noise)
        return module.eval()

    return fill
