"""Full tuning: every weight of SAM-Med3D is trained."""

from __future__ import annotations

from uscl_med3d.methods.sam_med3d import SamMed3DMethod


class FullTuningMethod(SamMed3DMethod):
    """SAM-Med3D with the tuning that its key names (`tuning.full`)."""


METHOD = FullTuningMethod
