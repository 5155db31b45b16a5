"""FastSAM3D: SAM-Med3D's prompt encoder and decoder behind a small distilled image encoder."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import Card, Weights, need_base, torch_device
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
    official_clicks: ClassVar[Literal["all", "newest"]] = "newest"

    @classmethod
    def load(cls, job: Any, weights: Weights) -> Self:
        """See `Method.load`; the base weights are the file of `foundation.fastsam3d`, architecture included."""
        cls.read_options(job)
        method = cls(load_fastsam3d(need_base(weights.base)), job.prompts, torch_device(job.device))
        method.tune(job, weights)
        return method


METHOD = FastSam3DMethod
