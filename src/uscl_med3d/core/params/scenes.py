"""Parameters of the synthetic scenes, which several base models are trained on."""

from __future__ import annotations

from pydantic import Field

from uscl_med3d.core.params.base import Section


class SceneSettings(Section):
    """How the synthetic scenes vary (uscl_med3d.foundation.scenes); lengths in half image sides, time 0..1."""

    objects: int = Field(ge=1)
    pace: tuple[float, float]
    radius: tuple[float, float]
    irregularity: float
    lifetime: tuple[float, float]
    edge_width: tuple[float, float]
    object_motion: float
    object_turn: float
    camera_motion: float
    warp: float
    warp_motion: float
    texture: float
    grain: float
    light: float
    shadow_fraction: float = Field(ge=0, le=1)
    opening_fraction: float = Field(ge=0, le=1)
    colour_fraction: float = Field(ge=0, le=1)
    area: tuple[float, float]
