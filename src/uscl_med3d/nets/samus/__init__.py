"""SAMUS and AutoSAMUS: SAM for ultrasound under official tensor names."""

from uscl_med3d.nets.samus.config import COMPONENTS, SAMUS, SamusConfig
from uscl_med3d.nets.samus.model import Samus, build_samus, start_samus, trained_names

__all__ = ["COMPONENTS", "SAMUS", "Samus", "SamusConfig", "build_samus", "start_samus", "trained_names"]
