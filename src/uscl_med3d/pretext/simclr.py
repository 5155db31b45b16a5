"""SimCLR: two views of an image attract each other, all other images of the batch repel."""

from __future__ import annotations

from typing import ClassVar

from uscl_med3d.selfsupervised.contrast import Contrast


class SimClr(Contrast):
    """Chen et al. 2020. Images of the same patient are negatives, as in the original."""

    leave_out_same_patient: ClassVar[bool] = False


PRETEXT = SimClr
