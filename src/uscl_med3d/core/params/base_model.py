"""How a base model is declared: once, in one file of `core.params.foundation`, from which everything else derives."""

from __future__ import annotations

from dataclasses import dataclass

from uscl_med3d.core.params.base import Section


class Weights(Section):
    """What every base model's section begins with.

    Attributes:
        weights: `shipped`: the weights that come with the program; `train`: trained anew by this run; or the path of
            an official checkpoint.
        sha256: of the official checkpoint; null: not checked.
        source: where the official checkpoint is found, for messages.
    """

    weights: str
    sha256: str | None
    source: str


@dataclass(frozen=True)
class BaseModel:
    """A base model. Its key is the name of its file, as are those of its recipe (`params/foundation/<key>.yaml`) and its
    training (`uscl_med3d.foundation.<key>.train`).

    Attributes:
        settings: the typed section.
        title: as in tables.
        job: sections that its training may depend on, beside its own; see `core.params.SLICES`.
        official: name of the official checkpoint.
        general: whether its training reads the general-domain sets.
        teacher: key of the base model that its training learns from, or None.
        official_is_encoder: the official checkpoint holds the image encoder only, so that it needs the teacher, too.
    """

    settings: type[Weights]
    title: str
    job: tuple[str, ...]
    official: str
    general: bool = False
    teacher: str | None = None
    official_is_encoder: bool = False
