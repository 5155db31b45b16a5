"""A SegGPT with random weights, and the rules of prompting."""

from __future__ import annotations

import pytest
import torch

from uscl_med3d.core.params.base import Section
from uscl_med3d.nets.seggpt import build_seggpt

TINY = {
    "image_size": [32, 16],
    "pretrain_image_size": 16,
    "patch_size": 8,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "mlp_dim": 32,
    "merge_index": 0,
    "intermediate_hidden_state_indices": [0, 1],
    "decoder_hidden_size": 4,
    "initializer_range": 0.2,
    "drop_path_rate": 0.0,
}


class Rules(Section):
    """What `propose_scores` reads."""

    prompts: int = 2
    prompt_weights: str = "inverse_distance"
    batch_frames: int = 4


@pytest.fixture
def settings() -> Rules:
    return Rules()


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_seggpt(TINY).eval()
