"""The base SegGPT: trained on synthetic scenes, or an official checkpoint."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.base_model import BaseModel, Weights
from uscl_med3d.core.params.scenes import SceneSettings
from uscl_med3d.core.params.schedule import Schedule


class SegGptArchitecture(Section):
    """Size of the small SegGPT (fields of `transformers.SegGptConfig`); an official checkpoint brings its own."""

    image_height: int = Field(ge=8)
    image_width: int = Field(ge=8)
    patch_size: int = Field(ge=2)
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    mlp_dim: int
    merge_index: int = Field(ge=0)
    intermediate_hidden_state_indices: tuple[int, ...] = Field(min_length=1)
    decoder_hidden_size: int
    initializer_range: float = Field(gt=0)


class PlainScenes(Section):
    """What the scenes of the first steps have instead: fast and clean, so that only looking helps."""

    pace: tuple[float, float]
    texture: float
    grain: float
    shadow_fraction: float = Field(ge=0, le=1)
    opening_fraction: float = Field(ge=0, le=1)


class SegGptTraining(Schedule):
    """Optimisation of the small SegGPT."""

    learning_rate: float = Field(gt=0)
    loss_beta: float = Field(gt=0)
    similarity_scale: float = Field(gt=0)
    prompt_loss: float = Field(ge=0)
    plain_steps: int = Field(ge=0)
    two_prompts: float = Field(ge=0, le=1)
    extrapolation: float = Field(ge=0, le=1)
    held_out_scenes: int = Field(ge=1)


class SegGptFoundation(Weights):
    """Training of the small SegGPT on synthetic natural-looking scenes."""

    embedding_type: Literal["instance", "semantic"]
    architecture: SegGptArchitecture
    training: SegGptTraining
    plain_scenes: PlainScenes
    scenes: SceneSettings


BASE_MODEL = BaseModel(
    settings=SegGptFoundation,
    title="SegGPT",
    job=("seed", "threads", "device"),
    official="folder seggpt-vit-large: config.json and model.safetensors",
)
