"""SegGPT alone: the pseudo-labeller as a method, its labels taken as they are (no gate, no training).

Prompt: annotated key frames of the sweep, one binary pass per class. The small model is trained on synthetic
natural-looking scenes and never sees a medical image; an official checkpoint comes through `foundation.seggpt`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.methods import Takes
from uscl_med3d.methods.base import Card, Weights, WholeMethod, need_base, torch_device
from uscl_med3d.nets.seggpt import load_seggpt
from uscl_med3d.propagation.key_frames import finish_labels, list_key_masks
from uscl_med3d.propagation.propose import combine_classes, propose_scores


class SegGptOptions(Section):
    """See params.yaml, `methods.seggpt.options`."""

    prompts: int = Field(ge=1)
    prompt_weights: Literal["equal", "inverse_distance"]
    score_threshold: float = Field(gt=0, lt=1)
    batch_frames: int = Field(ge=1)


class SegGptMethod(WholeMethod):
    """In-context segmentation of every frame by its nearest key frames."""

    card: ClassVar[Card] = Card(
        paper="Wang et al., SegGPT: Segmenting everything in context, 2023 (arXiv 2304.03284)",
        code="huggingface/transformers (models/seggpt), checkpoint BAAI/seggpt-vit-large",
        licence="Apache-2.0 (transformers); the checkpoint's own licence",
        normalisation="grey 0..255 as RGB 0..1, then ImageNet mean and standard deviation",
    )
    takes: ClassVar[Takes] = "key_frames"
    Options: ClassVar[type[Section]] = SegGptOptions

    def __init__(self, network: Any, embedding_type: str, options: SegGptOptions) -> None:
        self.network, self.embedding_type, self.options = network.eval(), embedding_type, options

    @classmethod
    def load(cls, job: Any, weights: Weights) -> Self:
        """See `Method.load`; the base weights are those of `foundation.seggpt`."""
        options = cls.read_options(job)
        network: Any
        network, embedding_type = load_seggpt(need_base(weights.base))
        method = cls(network.to(torch_device(job.device)), embedding_type, options)
        method.tune(job, weights)
        return method

    def segment(
        self,
        volume: np.ndarray,
        key_frames: np.ndarray | None,
        classes: Mapping[str, int],
        frames: Sequence[int] | None,
    ) -> np.ndarray:
        """See `WholeMethod.segment`; only the wanted frames are computed."""
        key_masks = list_key_masks(key_frames)
        scores = propose_scores(self.network, self.embedding_type, volume, key_masks, self.options, frames)
        labels = combine_classes(scores, self.options.score_threshold, volume.shape)
        return finish_labels(labels, volume, key_masks)


METHOD = SegGptMethod
