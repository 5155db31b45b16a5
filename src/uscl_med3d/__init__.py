"""USCL-Med3D: 3D ultrasound promptable segmentation, from raw sweep videos to benchmark tables."""

__version__ = "0.1.0"
