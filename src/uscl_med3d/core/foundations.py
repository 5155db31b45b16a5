"""Which base models the methods of a run need."""

from __future__ import annotations

from collections.abc import Mapping

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.foundation import BASE_MODELS
from uscl_med3d.core.params.methods import MethodEntry
from uscl_med3d.core.shipped import SHIPPED, TRAIN

PSEUDOLABELLER = "seggpt"
PRETRAINED = "sam_med3d"


def list_needed(methods: Mapping[str, MethodEntry], weights: Mapping[str, str]) -> list[str]:
    """Base models that a run with these methods needs, sorted.

    Args:
        methods: the registry.
        weights: per base model, where it comes from (`foundation.<model>.weights`).
    """
    waiting = {PSEUDOLABELLER, PRETRAINED, *(entry.base for entry in methods.values() if entry.base)}
    needed: set[str] = set()
    while waiting:
        name = waiting.pop()
        needed.add(name)
        teacher = needs_teacher(name, weights[name])
        if teacher is not None and teacher not in needed:
            waiting.add(teacher)
    return sorted(needed)


def needs_teacher(name: str, weights: str) -> str | None:
    """The base model that another one cannot be made without, given where it comes from."""
    model = BASE_MODELS[name]
    here = weights == TRAIN or (model.official_is_encoder and weights != SHIPPED)
    return model.teacher if here else None


def check_sets(weights: Mapping[str, str], general: Mapping[str, str], file: str) -> None:
    """Raise `InputError` where a base model is to be trained on general-domain sets that are all left out.

    Args:
        weights: needed base model -> where it comes from. general: set -> its place. file: of the parameters.
    """
    hungry = [name for name, source in weights.items() if BASE_MODELS[name].general and source == TRAIN]
    if hungry and not general:
        raise InputError(
            file=file,
            found=f"foundation.{hungry[0]}.weights: train, but no set in `general`",
            expected="sets to train it on",
            remedy="set general.amos and the others to `simulate`, or to folders (docs/general_sets.md)",
        )
