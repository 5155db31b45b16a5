"""Official checkpoints for a user's files: which network a file holds, and its card.

A checkpoint whose card says `preprocessing: official` is fed as its own code feeds it, and in no other way. Without a
card, tensors under official names are taken as official weights, and that is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.nets import recognise
from uscl_med3d.nets.card import Preprocessing, read_card
from uscl_med3d.nets.fastsam3d import build_fastsam3d
from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d, read_state
from uscl_med3d.nets.tensors import load_named

KNOWN = "SAM-Med3D, FastSAM3D, SAM, SAM-Med2D, MobileSAM, TinySAM, SAMUS, MedSAM or MSA under their official tensor names"


@dataclass(frozen=True)
class OfficialChoice:
    """Official weights, ready to predict.

    Attributes:
        name: stem of the file.
        model: sam_med3d, fastsam3d, sam, sam_med2d, mobile_sam, tinysam, samus, medsam or msa.
        network: loaded, in evaluation mode, on the CPU.
        architecture: of a two-dimensional network, as its builder takes it; empty for SAM-Med3D and FastSAM3D.
        assumed: what the file does not say and was assumed, for the user to read.
    """

    name: str
    model: str
    network: nn.Module
    architecture: Mapping[str, Any]
    assumed: tuple[str, ...]
    scale: None = None
    validation_dice: None = None
    preprocessing: Preprocessing = "official"

    @property
    def in_slices(self) -> bool:
        """Whether the network sees single slices."""
        return self.model not in ("sam_med3d", "fastsam3d")


def load_official(weights: Path, base: Path | None, model: str | None = None) -> OfficialChoice:
    """The network of an official checkpoint: its shape from the card, else from the tensors.

    Args:
        weights: .safetensors or torch file, never unpickled beyond tensors and plain values.
        base: a SAM-Med3D file, whose prompt encoder and mask decoder the released FastSAM3D encoder needs.
        model: which network it is, where the tensors leave a choice (MedSAM has SAM's); None: as card and name say.

    Raises:
        InputError: for an unreadable file, another network (the message says what it seems to be), or a card that
            does not fit the tensors.
    """
    state, card = read_state(weights), read_card(weights)
    assumed = (
        ()
        if card.get("preprocessing")
        else (
            f"no card {weights.with_suffix('.json').name} beside the weights: taken as an official checkpoint",
        )
    )
    kind = recognise.recognise(state)
    if kind is None:
        raise InputError(
            file=weights,
            found=recognise.describe_state(state),
            expected=KNOWN,
            remedy="name the weights of one of these networks by --weights",
        )
    if model is not None:
        card = card | {"model": model}
    try:
        found, network, architecture = _build(kind, state, card, weights, base)
    except (ValueError, TypeError) as error:
        raise InputError(
            file=weights,
            found=f"looks like {kind}, but: {error}",
            expected=KNOWN,
            remedy="correct the card beside the file, or use the unmodified checkpoint",
        ) from None
    if model not in (None, found):
        raise InputError(
            file=weights,
            found=f"weights of {found}",
            expected=f"weights of {model}",
            remedy="correct --model or --weights",
        )
    return OfficialChoice(weights.stem, found, network.eval(), architecture, assumed)


def _build(
    kind: recognise.Kind,
    state: Mapping[str, Tensor],
    card: Mapping[str, Any],
    weights: Path,
    base: Path | None,
) -> tuple[str, nn.Module, Mapping[str, Any]]:
    """(model, network with its tensors, architecture of a two-dimensional one)."""
    if kind == "fastsam3d_encoder":
        return "fastsam3d", _join_student(state, weights, base), {}
    if kind in ("sam_med3d", "fastsam3d"):
        given = card.get("model")
        config = SamMed3DConfig(**given) if isinstance(given, dict) else recognise.sam_med3d_config(state)
        network: nn.Module = build_sam_med3d(config)
        if kind == "fastsam3d":
            network = build_fastsam3d(recognise.student_config(state, "image_encoder."), config)
        return kind, _fill(network, state, weights), {}
    model, architecture = _plane_architecture(kind, state, card, weights)
    return model, _fill(_build_plane(model, architecture), state, weights), architecture


def _fill(network: nn.Module, state: Mapping[str, Tensor], weights: Path) -> nn.Module:
    load_named(network, state, weights, "use the unmodified checkpoint, and a card of its own architecture")
    return network


def _join_student(state: Mapping[str, Tensor], weights: Path, base: Path | None) -> nn.Module:
    """The released encoder with prompt encoder and decoder of a SAM-Med3D."""
    if base is None:
        raise InputError(
            file=weights,
            found="FastSAM3D's image encoder alone",
            expected="a prompt encoder and a mask decoder, too",
            remedy="name the SAM-Med3D checkpoint they come from by --base sam_med3d_turbo.pth",
        )
    whole = read_state(base)
    if recognise.recognise(whole) != "sam_med3d":
        raise InputError(
            file=base,
            found=recognise.describe_state(whole),
            expected="a SAM-Med3D checkpoint",
            remedy="correct --base",
        )
    network = build_fastsam3d(recognise.student_config(state, ""), recognise.sam_med3d_config(whole))
    parts = {name: value for name, value in whole.items() if not name.startswith("image_encoder.")}
    return _fill(network, parts | {f"image_encoder.{name}": value for name, value in state.items()}, weights)


def _plane_architecture(
    kind: recognise.Kind, state: Mapping[str, Tensor], card: Mapping[str, Any], weights: Path
) -> tuple[str, Mapping[str, Any]]:
    """Name and architecture of a two-dimensional network; a card may state both."""
    given = card.get("architecture")
    if kind == "sam":
        is_medsam = "medsam" in (card.get("model"), weights.stem.lower()[:6])
        return ("medsam" if is_medsam else "sam"), given or recognise.sam_architecture(state)
    if kind == "samus":
        return "samus", given or recognise.samus_architecture(state)
    if kind == "msa":
        from uscl_med3d.nets.msa import MSA

        return "msa", given or MSA
    if kind in ("autosamus", "samed", "litemedsam"):
        raise ValueError("it takes no clicks, so it cannot segment from them")
    if kind == "sam_med2d":
        return "sam_med2d", {"small_slices": "pad"} | (given or recognise.sam_architecture(state))
    from uscl_med3d.nets.mobile_sam import OFFICIAL

    said = card.get("model")
    named = [
        name for name, sign in (("mobile_sam", "mobile"), ("tinysam", "tiny")) if sign in weights.stem.lower()
    ]
    model = said if said in ("mobile_sam", "tinysam") else named[0] if len(named) == 1 else None
    if model is None:
        raise InputError(
            file=weights,
            found="tensors that MobileSAM and TinySAM have in common",
            expected="which of the two it is",
            remedy=f'write {{"model": "mobile_sam", "preprocessing": "official"}} into {weights.stem}.json beside it '
            "(or tinysam), or give the file its official name",
        )
    return str(model), given or OFFICIAL


def _build_plane(model: str, architecture: Mapping[str, Any]) -> nn.Module:
    if model in ("mobile_sam", "tinysam"):
        from uscl_med3d.nets.mobile_sam import build_mobile_sam

        return build_mobile_sam(architecture)
    if model == "samus":
        from uscl_med3d.nets.samus import build_samus

        return build_samus(architecture)
    if model == "msa":
        from uscl_med3d.nets.msa import build_msa

        return build_msa(architecture)
    from uscl_med3d.nets.sam import build_sam

    return build_sam({name: value for name, value in architecture.items() if name != "small_slices"})
