"""The architecture of SAM-Med3D, one field per field of `uscl_med3d.nets.sam_med3d.SamMed3DConfig`."""

from __future__ import annotations

from typing import Literal

from uscl_med3d.core.params.sam_shape import SamShape


class Model(SamShape):
    """See params.yaml, section `model`."""

    relative_position: Literal["upstream", "decomposed"]
