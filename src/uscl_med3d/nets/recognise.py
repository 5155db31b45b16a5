"""What a checkpoint is, and the shape of its network, by the names and shapes of its tensors alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from torch import Tensor

from uscl_med3d.nets.fastsam3d.config import OFFICIAL_STUDENT, FastSam3DConfig
from uscl_med3d.nets.sam_med3d.config import PRESETS, SamMed3DConfig

Kind = Literal[
    "sam_med3d",
    "fastsam3d",
    "fastsam3d_encoder",
    "sam",
    "sam_med2d",
    "tiny_vit",
    "samus",
    "autosamus",
    "msa",
    "samed",
    "litemedsam",
]
State = Mapping[str, Tensor]

DECODER_HEADS = PRESETS["vit_b_ori"].decoder_heads
"""The one number of SAM and its relatives that no tensor tells."""


def recognise(state: State) -> Kind | None:
    """Which network the tensors belong to; None for another one.

    `fastsam3d_encoder` is the released student, an image encoder without prefix; `tiny_vit` is MobileSAM or TinySAM,
    whose files have the same tensors.
    """
    if "image_encoder.cnn_embed.inc.conv.0.weight" in state:
        return "autosamus" if "prompt_generator.object_token" in state else "samus"
    if "image_encoder.blocks.0.Space_Adapter.D_fc1.weight" in state:
        return "msa"
    if "sam.image_encoder.patch_embed.proj.weight" in state:
        return "samed"
    patch = state.get("image_encoder.patch_embed.proj.weight")
    if patch is not None and patch.dim() == 5:
        first = "image_encoder.blocks.0.attn.qkv.weight"
        return "sam_med3d" if first in state else "fastsam3d"
    if patch is not None and patch.dim() == 4:
        adapted = any(".Adapter." in name or ".adapter." in name.lower() for name in state)
        return "sam_med2d" if adapted else "sam"
    alone = state.get("patch_embed.proj.weight")
    if alone is not None and alone.dim() == 5:
        return "fastsam3d_encoder"
    stem = state.get("image_encoder.patch_embed.seq.0.c.weight")
    if stem is None:
        return None
    return "litemedsam" if stem.shape[-1] == 1 else "tiny_vit"


def describe_state(state: State) -> str:
    """What a message says of tensors that nobody knows."""
    groups = sorted({name.partition(".")[0] for name in state})
    listed = ", ".join(groups[:6]) + (", ..." if len(groups) > 6 else "")
    return f"{len(state)} tensors under {listed}" if state else "no tensors"


def sam_med3d_config(state: State) -> SamMed3DConfig:
    """The shape of a SAM-Med3D, or of a FastSAM3D's prompt encoder and decoder.

    Raises:
        ValueError: where tensors are missing or do not fit together; the message names them.
    """
    encoder = _encoder(state, "image_encoder.")
    size, grid = encoder["image_size"], encoder["image_size"] // encoder["patch_size"]
    rows = _attention_rows(state, "image_encoder.")
    windowed = {count for count in rows.values() if count != 2 * grid - 1}
    if len(windowed) > 1:
        raise ValueError(
            f"relative positions of {sorted(windowed)} rows, which belong to windows of several sizes"
        )
    decomposed = "image_encoder.decomposed_relative_position" in state
    return SamMed3DConfig(
        image_size=size,
        **{name: encoder[name] for name in ("patch_size", "embed_dim", "depth", "mlp_ratio", "prompt_dim")},
        num_heads=encoder["num_heads"] or 1,
        global_blocks=tuple(sorted(block for block, count in rows.items() if count == 2 * grid - 1)),
        window_size=(windowed.pop() + 1) // 2 if windowed else grid,
        relative_position="decomposed" if decomposed else "upstream",
        **decoder_shape(state),
    )


def student_config(state: State, prefix: str) -> FastSam3DConfig:
    """The shape of a FastSAM3D encoder under `prefix`; what no tensor tells is the released student's. Raises as above."""
    encoder = _encoder(state, prefix)
    grid = encoder["image_size"] // encoder["patch_size"]
    rows = _attention_rows(state, prefix)
    if any(count != 2 * grid - 1 for count in rows.values()):
        raise ValueError("attention windows, which the released student does not have")
    return replace(
        OFFICIAL_STUDENT,
        **{name: value for name, value in encoder.items() if name != "num_heads"},
        num_heads=encoder["num_heads"] or OFFICIAL_STUDENT.num_heads,
        blocks_without_attention=min(rows, default=encoder["depth"]),
    )


def sam_architecture(state: State) -> dict[str, Any]:
    """The flat description of a SAM or SAM-Med2D that `nets.sam.build_sam` takes. Raises as above."""
    encoder = _encoder(state, "image_encoder.")
    grid = encoder["image_size"] // encoder["patch_size"]
    rows = _attention_rows(state, "image_encoder.")
    windowed = sorted({count for count in rows.values() if count != 2 * grid - 1})
    gate = next((x for name, x in state.items() if re.search(r"[Aa]dapter\.channel\.0\.weight$", name)), None)
    return {
        **{
            name: encoder[name]
            for name in ("image_size", "patch_size", "embed_dim", "depth", "mlp_ratio", "prompt_dim")
        },
        "num_heads": encoder["num_heads"] or 1,
        "global_blocks": tuple(sorted(block for block, count in rows.items() if count == 2 * grid - 1)),
        "window_size": (windowed[0] + 1) // 2 if windowed else grid,
        "adapter_ratio": None if gate is None else gate.shape[0] / gate.shape[1],
        **decoder_shape(state),
    }


def samus_architecture(state: State) -> dict[str, Any]:
    """The flat description of a SAMUS that `nets.samus.build_samus` takes; its image is as large as its grid says.

    Raises:
        ValueError: where tensors are missing or do not fit together.
    """
    from uscl_med3d.nets.samus import SAMUS

    found = {
        name: value
        for name, value in sam_architecture(state).items()
        if name not in ("image_size", "patch_size")
    }
    downs = _numbers(state, r"image_encoder\.cnn_embed\.downs\.(\d+)\.")
    widths = [_shape(state, "image_encoder.cnn_embed.inc.conv.0.weight")[0]]
    widths += [
        _shape(state, f"image_encoder.cnn_embed.downs.{index}.maxpool_conv.1.weight")[0]
        for index in sorted(downs)
    ][:-1]
    side = _shape(state, "image_encoder.pos_embed")[1]
    grid = side >> len(_numbers(state, r"image_encoder\.post_pos_embed\.downs\.(\d+)\."))
    rows = _attention_rows(state, "image_encoder.")
    windowed = sorted({count for count in rows.values() if count != 2 * grid - 1})
    narrow = _shape(state, "image_encoder.input_Adapter.D_fc1.weight")
    return (
        SAMUS
        | found
        | {
            "patch_kernel": _shape(state, "image_encoder.patch_embed.proj.weight")[-1],
            "patch_size": 2 ** len(widths),
            "image_size": grid * 2 ** len(widths),
            "position_grid": side,
            "cnn_widths": tuple(widths),
            "feature_adapter_ratio": narrow[0] / narrow[1],
            "adapter_ratio": None,
            "global_blocks": tuple(sorted(block for block, count in rows.items() if count == 2 * grid - 1)),
            "window_size": (windowed[0] + 1) // 2 if windowed else grid,
        }
    )


def decoder_shape(state: State) -> dict[str, Any]:
    """Prompt encoder and mask decoder of SAM or SAM-Med3D: the fields that `SamConfig` and `SamMed3DConfig` share."""
    layers = _numbers(state, r"mask_decoder\.transformer\.layers\.(\d+)\.")
    quality = _numbers(state, r"mask_decoder\.iou_prediction_head\.layers\.(\d+)\.")
    return {
        "mask_channels": _shape(state, "prompt_encoder.mask_downscaling.3.weight")[0],
        "decoder_mlp_dim": _shape(state, "mask_decoder.transformer.layers.0.mlp.lin1.weight")[0],
        "decoder_heads": DECODER_HEADS,
        "decoder_depth": len(layers),
        "iou_head_depth": len(quality),
        "iou_head_dim": _shape(state, "mask_decoder.iou_prediction_head.layers.0.weight")[0],
        "num_multimask_outputs": _shape(state, "mask_decoder.mask_tokens.weight")[0] - 1,
    }


def _encoder(state: State, prefix: str) -> dict[str, Any]:
    """Image size, patch, width, depth, MLP ratio, channels and heads (None without any attention) of a ViT."""
    patch = _shape(state, f"{prefix}patch_embed.proj.weight")
    width, side = patch[0], patch[-1]
    positions = _shape(state, f"{prefix}pos_embed")
    depth = len(_numbers(state, re.escape(prefix) + r"blocks\.(\d+)\."))
    table = next(
        (x for name, x in state.items() if re.match(re.escape(prefix) + r"blocks\.\d+\.attn\.rel_pos", name)),
        None,
    )
    return {
        "image_size": positions[1] * side,
        "patch_size": side,
        "embed_dim": width,
        "depth": depth,
        "mlp_ratio": _shape(state, f"{prefix}blocks.0.mlp.lin1.weight")[0] / width,
        "prompt_dim": _shape(state, f"{prefix}neck.0.weight")[0],
        "num_heads": None if table is None else width // table.shape[1],
    }


def _attention_rows(state: State, prefix: str) -> dict[int, int]:
    """Rows of the relative positions of every block with attention: twice the window's side, less one."""
    rows = {}
    for name, value in state.items():
        found = re.fullmatch(re.escape(prefix) + r"blocks\.(\d+)\.attn\.rel_pos_h", name)
        if found:
            rows[int(found[1])] = value.shape[0]
    return rows


def _numbers(state: State, pattern: str) -> set[int]:
    return {int(found[1]) for name in state if (found := re.match(pattern, name))}


def _shape(state: State, name: str) -> tuple[int, ...]:
    if name not in state:
        raise ValueError(f"no tensor {name}")
    return tuple(state[name].shape)
