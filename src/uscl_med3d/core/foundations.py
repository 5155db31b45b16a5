"""The base models: what the training of each needs, and which of them the methods of a run need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from uscl_med3d.core.params.methods import MethodEntry

PSEUDOLABELLER = "seggpt"
PRETRAINED = "sam_med3d"


@dataclass(frozen=True)
class Needs:
    """Inputs of a base model's training: the general-domain sets, and the base model that it learns from.

    `part_of_it`: an official checkpoint needs the teacher, too, because it holds only a part of the model.
    """

    general: bool
    teacher: str | None
    part_of_it: bool = False


FOUNDATIONS: dict[str, Needs] = {
    "sam_med3d": Needs(general=True, teacher=None),
    "seggpt": Needs(general=False, teacher=None),
    "sam": Needs(general=False, teacher=None),
    "mobile_sam": Needs(general=False, teacher="sam"),
    "tinysam": Needs(general=False, teacher="sam"),
    "sam_med2d": Needs(general=True, teacher="sam"),
    "fastsam3d": Needs(general=True, teacher="sam_med3d", part_of_it=True),
}
"""Key of `foundation` in params.yaml, and module in `uscl_med3d.foundation`: what it needs."""


def list_needed(methods: Mapping[str, MethodEntry], trained_here: Mapping[str, bool]) -> list[str]:
    """Base models that a run with these methods needs, in the order of `FOUNDATIONS`.

    Args:
        methods: the registry.
        trained_here: per base model, whether it is trained here (then its teacher is needed, too).
    """
    waiting = {PSEUDOLABELLER, PRETRAINED, *(entry.base for entry in methods.values() if entry.base)}
    needed: set[str] = set()
    while waiting:
        name = waiting.pop()
        needed.add(name)
        teacher, part_of_it = FOUNDATIONS[name].teacher, FOUNDATIONS[name].part_of_it
        if teacher and (part_of_it or trained_here[name]) and teacher not in needed:
            waiting.add(teacher)
    return [name for name in FOUNDATIONS if name in needed]
