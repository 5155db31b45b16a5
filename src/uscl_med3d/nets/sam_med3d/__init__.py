"""SAM-Med3D: loads official checkpoints, computes the same numbers, faster. See docs/encoder.md."""

from uscl_med3d.nets.sam_med3d.checkpoint import (
    export_state,
    load_checkpoint,
    read_state,
    save_checkpoint,
)
from uscl_med3d.nets.sam_med3d.config import PRESETS, SamMed3DConfig
from uscl_med3d.nets.sam_med3d.lora import Layers, lora_targets
from uscl_med3d.nets.sam_med3d.model import SamMed3D, build_sam_med3d

__all__ = [
    "PRESETS",
    "Layers",
    "SamMed3D",
    "SamMed3DConfig",
    "build_sam_med3d",
    "export_state",
    "load_checkpoint",
    "lora_targets",
    "read_state",
    "save_checkpoint",
]
