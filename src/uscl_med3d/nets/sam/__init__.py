"""SAM and its relatives: official tensor names, official numbers. The encoder is exchangeable."""

from uscl_med3d.nets.sam.config import (
    OFFICIAL_DECODER,
    PRESETS,
    SamConfig,
    VitConfig,
    join_architecture,
    split_architecture,
)
from uscl_med3d.nets.sam.model import Sam, build_sam

__all__ = [
    "OFFICIAL_DECODER",
    "PRESETS",
    "Sam",
    "SamConfig",
    "VitConfig",
    "build_sam",
    "join_architecture",
    "split_architecture",
]
