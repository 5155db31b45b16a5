"""Which base models the methods of a run need."""

from __future__ import annotations

from collections.abc import Mapping

from uscl_med3d.core.params.foundation import BASE_MODELS
from uscl_med3d.core.params.methods import MethodEntry

PSEUDOLABELLER = "seggpt"
PRETRAINED = "sam_med3d"


def list_needed(methods: Mapping[str, MethodEntry], trained_here: Mapping[str, bool]) -> list[str]:
    """Base models that a run with these methods needs, sorted.

    Args:
        methods: the registry.
        trained_here: per base model, whether it is trained here (then its teacher is needed, too).
    """
    waiting = {PSEUDOLABELLER, PRETRAINED, *(entry.base for entry in methods.values() if entry.base)}
    needed: set[str] = set()
    while waiting:
        name = waiting.pop()
        needed.add(name)
        model = BASE_MODELS[name]
        if model.teacher and (model.official_is_encoder or trained_here[name]):
            waiting |= {model.teacher} - needed
    return sorted(needed)
