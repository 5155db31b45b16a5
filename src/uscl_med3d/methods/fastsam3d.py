"""FastSAM3D: SAM-Med3D's prompt encoder and decoder behind a small distilled image encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import Card, torch_device
from uscl_med3d.methods.sam_med3d import SamMed3DMethod
from uscl_med3d.nets.fastsam3d import load_fastsam3d


class FastSam3DOptions(Section):
    """FastSAM3D has no options; what it is stands in `foundation.fastsam3d` and in its weights file."""


class FastSam3DMethod(SamMed3DMethod):
    """Encoding differs from SAM-Med3D's, clicks do not: the student was made to give the same embedding.

    Intensities are normalised once, as in the public validation script. (The public training script
    normalises images that were normalised before they were stored.)
    """

    card: ClassVar[Card] = Card(
        paper="Shen et al., FastSAM3D, 2024 (arXiv 2403.09827)",
        code="arcadelab/FastSAM3D@226dfb5cdc80",
        licence="Apache-2.0",
        normalisation="z-score over voxels > 0 of the crop",
    )
    Options: ClassVar[type[Section]] = FastSam3DOptions

    @classmethod
    def load(
        cls, job: Any, base_weights: Path | None, checkpoint: Path | None, vcl_weights: Path | None
    ) -> FastSam3DMethod:
        """See `Method.load`; `base_weights` is the file of `foundation.fastsam3d`, architecture included."""
        if base_weights is None or checkpoint is not None or vcl_weights is not None:
            raise ValueError("FastSAM3D takes its base weights and no other checkpoint")
        cls.read_options(job)
        return cls(load_fastsam3d(base_weights), job.prompts, torch_device(job.device))


METHOD = FastSam3DMethod
