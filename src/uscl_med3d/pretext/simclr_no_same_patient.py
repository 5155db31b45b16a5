"""SimCLR whose negatives come from other patients only."""

from __future__ import annotations

from typing import ClassVar

from uscl_med3d.selfsupervised.contrast import Contrast


class SimClrNoSamePatient(Contrast):
    """As `simclr`, but other images of the same patient are masked out of the denominator."""

    leave_out_same_patient: ClassVar[bool] = True


PRETEXT = SimClrNoSamePatient
