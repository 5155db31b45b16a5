"""FastSAM3D: SAM-Med3D with a small distilled image encoder; loads the official student. See docs/methods.md."""

from uscl_med3d.nets.fastsam3d.config import OFFICIAL_STUDENT, FastSam3DConfig
from uscl_med3d.nets.fastsam3d.image_encoder import FastSam3DEncoder
from uscl_med3d.nets.fastsam3d.model import build_fastsam3d, load_fastsam3d, save_fastsam3d

__all__ = [
    "OFFICIAL_STUDENT",
    "FastSam3DConfig",
    "FastSam3DEncoder",
    "build_fastsam3d",
    "load_fastsam3d",
    "save_fastsam3d",
]
