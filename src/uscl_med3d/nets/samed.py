"""SAMed: SAM without prompts, one mask per class, adapted by LoRA; SAMed_s adapts the decoder the same way.

Source: hitachinsk/SAMed@e351840481f5: sam_lora_image_encoder.py, sam_lora_image_encoder_mask_decoder.py and
segment_anything/ (behaviour only).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.nets.sam.config import PRESETS, SamConfig, split_architecture
from uscl_med3d.nets.sam.image_encoder import ImageEncoder
from uscl_med3d.nets.sam.mask_decoder import MaskDecoder
from uscl_med3d.nets.sam.model import Sam
from uscl_med3d.nets.sam.start import start_from_sam
from uscl_med3d.nets.sam_med3d.transformer import ProjectedAttention

SAMED: dict[str, Any] = PRESETS["sam_vit_b"] | {
    "image_size": 512,
    "num_multimask_outputs": 8,
    "rank": 4,
    "adapts_decoder": False,
}
"""The official SAMed for eight classes; masks 0 to 8, mask 0 is the background."""


class LoraQkv(nn.Module):
    """Low-rank terms for query and value of a fused projection; no factor alpha / r."""

    def __init__(self, qkv: nn.Linear, rank: int) -> None:
        super().__init__()
        dim = qkv.in_features
        self.qkv = qkv
        self.linear_a_q, self.linear_b_q = _pair(dim, rank, dim)
        self.linear_a_v, self.linear_b_v = _pair(dim, rank, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., 3 dim)."""
        q, k, v = self.qkv(x).chunk(3, -1)
        q = q + self.linear_b_q(self.linear_a_q(x))
        return torch.cat([q, k, v + self.linear_b_v(self.linear_a_v(x))], -1)


class LoraLinear(nn.Module):
    """A projection with a low-rank term beside it."""

    def __init__(self, proj: nn.Linear, rank: int) -> None:
        super().__init__()
        self.proj = proj
        self.w_a, self.w_b = _pair(proj.in_features, rank, proj.out_features)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x) + self.w_b(self.w_a(x))


def _pair(dim: int, rank: int, out: int) -> tuple[nn.Linear, nn.Linear]:
    """Kaiming-uniform (root 5) down, zero up, so that a fresh adapter adds nothing."""
    down, up = nn.Linear(dim, rank, bias=False), nn.Linear(rank, out, bias=False)
    nn.init.kaiming_uniform_(down.weight, a=math.sqrt(5))
    nn.init.zeros_(up.weight)
    return down, up


class ClassDecoder(MaskDecoder):
    """SAM's decoder with one mask per class and one for the background; all are returned."""

    def chosen(self, multimask_output: bool) -> range:
        return range(self.num_mask_tokens)


class Samed(nn.Module):
    """SAM with adapters, under the names of the official checkpoints (`sam.` in front).

    Args:
        config: of prompt encoder and decoder; `num_multimask_outputs` is the number of classes.
        encoder: SAM's ViT. rank: of the adapters. adapts_decoder: SAMed_s.
    """

    def __init__(self, config: SamConfig, encoder: ImageEncoder, rank: int, adapts_decoder: bool) -> None:
        super().__init__()
        self.config, self.adapts_decoder = config, adapts_decoder
        sam = Sam(config, encoder)
        sam.mask_decoder = ClassDecoder(config)
        for block in cast(Any, encoder.blocks):
            block.attn.qkv = LoraQkv(block.attn.qkv, rank)
        transformer = sam.mask_decoder.transformer
        if adapts_decoder:
            for attention in transformer.modules():
                if isinstance(attention, ProjectedAttention):
                    attention.q_proj = LoraLinear(attention.q_proj, rank)  # type: ignore[assignment]
                    attention.v_proj = LoraLinear(attention.v_proj, rank)  # type: ignore[assignment]
            # The official files list these four twice, first under names of their own.
            final = cast(Any, transformer.final_attn_token_to_image)
            self.fa_ti_q_proj_A, self.fa_ti_q_proj_B = final.q_proj.w_a, final.q_proj.w_b
            self.fa_ti_v_proj_A, self.fa_ti_v_proj_B = final.v_proj.w_a, final.v_proj.w_b
        self.sam = sam

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images (b, 3, s, s) in 0..1 -> logits (b, classes + 1, 4g, 4g), (b, classes + 1, s, s), and IoU."""
        sam = self.sam
        embedding = sam.image_encoder(images)
        batch = embedding.shape[0]
        _, dense = sam.prompt_encoder()
        low, iou = sam.mask_decoder(
            image_embeddings=embedding,
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=dense.new_empty(batch, 0, dense.shape[1]),
            dense_prompt_embeddings=dense.expand(batch, -1, -1, -1),
        )
        side = self.config.image_size
        return low, F.interpolate(low, size=(side, side), mode="bilinear", align_corners=False), iou

    def trained_names(self) -> list[str]:
        """Adapters, prompt encoder and mask decoder; in SAMed_s the decoder's transformer trains its adapters only.

        Most of the prompt encoder gets no gradient: of it, only the no-mask vector is used.
        """
        names = []
        for name, _ in self.named_parameters():
            lora = (
                any(part in name for part in (".linear_a_", ".linear_b_", ".w_a.", ".w_b."))
                or "fa_ti" in name
            )
            frozen = self.adapts_decoder and "mask_decoder.transformer" in name
            if lora or ("image_encoder" not in name and not frozen):
                names.append(name)
        return names


def build_samed(architecture: Mapping[str, Any]) -> Samed:
    """A SAMed with fresh weights from a flat description, see `SAMED`."""
    values = dict(architecture)
    rank, adapts_decoder = values.pop("rank"), values.pop("adapts_decoder")
    sam, vit = split_architecture(values)
    return Samed(sam, ImageEncoder(vit), rank, adapts_decoder)


def start_samed(network: Samed, state: Mapping[str, Tensor]) -> list[str]:
    """Take over SAM's tensors; return the names of those that keep their random start.

    Mask tokens, hyper-networks and IoU head stay random, all of them, because they are one per class here.
    """
    fresh = tuple(
        f"mask_decoder.{part}."
        for part in ("mask_tokens", "output_hypernetworks_mlps", "iou_prediction_head")
    )

    def rename(name: str) -> str | None:
        if name.startswith(fresh):
            return None
        if name.endswith((".attn.qkv.weight", ".attn.qkv.bias")):
            name = name.replace(".attn.qkv.", ".attn.qkv.qkv.")
        if network.adapts_decoder and ".transformer." in name:
            for part in ("q_proj", "v_proj"):
                name = name.replace(f".{part}.", f".{part}.proj.")
        return f"sam.{name}"

    return start_from_sam(network, state, rename, left_random=())


def export_lora(network: Samed) -> dict[str, Tensor]:
    """The official file of adapters: `w_a_000` ... and the trained parts of prompt encoder and decoder."""
    tensors = {name: module.weight for name, module in _numbered(network).items()}
    return {name: value.detach() for name, value in (tensors | _beside(network)).items()}


def import_lora(network: Samed, tensors: Mapping[str, Tensor]) -> None:
    """Load what `export_lora` or the official trainer wrote, strictly and in place.

    Raises:
        ValueError: for missing, unknown or differently shaped tensors; all are named.
    """
    own = export_lora(network)
    wrong = [f"{name}: missing" for name in own.keys() - tensors.keys()]
    wrong += [f"{name}: unknown" for name in tensors.keys() - own.keys()]
    wrong += [
        f"{name}: {tuple(tensors[name].shape)}, expected {tuple(own[name].shape)}"
        for name in own.keys() & tensors.keys()
        if own[name].shape != tensors[name].shape
    ]
    if wrong:
        raise ValueError("these tensors do not fit SAMed: " + "; ".join(sorted(wrong)))
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(tensors[name])


def _numbered(network: Samed) -> dict[str, nn.Linear]:
    """Adapters under the names of the official file; even numbers are queries, odd ones values."""
    blocks = cast(ImageEncoder, network.sam.image_encoder).blocks
    layers: dict[str, nn.Linear] = {}
    for index, block in enumerate(blocks):
        lora = cast(Any, block).attn.qkv
        for number, part in ((2 * index, "q"), (2 * index + 1, "v")):
            layers[f"w_a_{number:03d}"] = getattr(lora, f"linear_a_{part}")
            layers[f"w_b_{number:03d}"] = getattr(lora, f"linear_b_{part}")
    if not network.adapts_decoder:
        return layers
    transformer = network.sam.mask_decoder.transformer
    for index, layer in enumerate(transformer.layers):
        for short, name in (
            ("sa", "self_attn"),
            ("cti", "cross_attn_token_to_image"),
            ("cit", "cross_attn_image_to_token"),
        ):
            attention = getattr(layer, name)
            for number, part in ((2 * index, attention.q_proj), (2 * index + 1, attention.v_proj)):
                layers[f"{short}_a_{number:03d}"] = part.w_a
                layers[f"{short}_b_{number:03d}"] = part.w_b
    final = cast(Any, transformer.final_attn_token_to_image)
    layers |= {"fati_qa": final.q_proj.w_a, "fati_qb": final.q_proj.w_b}
    return layers | {"fati_va": final.v_proj.w_a, "fati_vb": final.v_proj.w_b}


def _beside(network: Samed) -> dict[str, Tensor]:
    """Prompt encoder and decoder, without the decoder's transformer where that is frozen."""
    return {
        name: value
        for name, value in network.sam.state_dict().items()
        if name.startswith(("prompt_encoder.", "mask_decoder."))
        and not (network.adapts_decoder and "mask_decoder.transformer" in name)
    }
