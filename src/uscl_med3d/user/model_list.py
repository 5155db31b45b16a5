"""What models are there: shipped with the package, own runs of a scale, and official files in place."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from uscl_med3d.user import models, shipped, still_models

EXTERNAL = Path("data/external")
_OFFICIAL = {
    "sam_med3d_turbo.pth": "SAM-Med3D, official",
    "seggpt-vit-large/model.safetensors": "SegGPT, official",
    "mobile_sam.pt": "MobileSAM, official",
    "tinysam.pth": "TinySAM, official",
    "sam_vit_b_01ec64.pth": "SAM (ViT-B), official",
    "sam-med2d_b.pth": "SAM-Med2D, official",
    "6layers6heads_student": "FastSAM3D student encoder, official",
}
"""Files by the names of data/external/README.md."""
_CLICKED = ("sam_med3d_turbo.pth", "mobile_sam.pt", "tinysam.pth", "sam_vit_b_01ec64.pth", "sam-med2d_b.pth")
"""Of these, what `segment` takes by itself."""


_NOTES = (
    "",
    "val. Dice: over validation sweeps, at the last click. image use: Dice points lost with another patient's image.",
    "Shipped models of volumes learned from simulated data: their numbers say nothing about accuracy on patients.",
)


@dataclass(frozen=True)
class Model:
    """A model that is there.

    Attributes:
        name: what `--weights` takes, where `segments`; what `--model` takes, where `in_pictures`.
        segments: whether it takes clicks in a volume, so that `segment` and `view` can use it; official networks of single
            slices answer in the slices that are clicked.
        in_pictures: whether it takes clicks in single pictures, by `segment --model`.
        validation_dice: mean over validation cases of ultrasound at the last click, 0 to 100; None if unknown.
        image_use: Dice points lost with another patient's image (docs/image_use.md); None if unknown.
    """

    name: str
    kind: Literal["shipped", "run", "official"]
    segments: bool
    in_pictures: bool
    method: str
    domain: str
    learned_from: str
    validation_dice: float | None
    image_use: float | None
    licence: str
    file: str


def list_models(scale: str) -> list[Model]:
    """Shipped models (of volumes, of pictures), runs of results/<scale> that have weights, and official files."""
    return [*_list_shipped(), *_list_shipped_stills(), *_list_runs(scale), *_list_official()]


def describe(found: list[Model]) -> str:
    """A line per model; the one that is used without `--weights` is not marked, because that depends on the folder."""
    if not found:
        return "No model is here."
    lines = []
    for model in found:
        known = "–" if model.validation_dice is None else f"{model.validation_dice:.1f}"
        uses = "–" if model.image_use is None else f"{model.image_use:.1f}"
        lines.append(
            (
                model.name,
                model.kind,
                "yes" if model.segments else "in pictures" if model.in_pictures else "no",
                known,
                uses,
                model.licence,
                model.domain,
            )
        )
    head = ("model", "kind", "takes clicks", "val. Dice", "image use", "licence", "for")
    widths = [max(len(row[column]) for row in (head, *lines)) for column in range(len(head))]
    rows = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in (head, *lines)
    ]
    said = [
        line
        for model in found
        if model.in_pictures
        for line in (
            "",
            f"{model.name}, in pictures: uscl-med3d segment PICTURE --model {model.name} --point x,y",
            *still_models.describe(still_models.read_cards()[model.name]),
        )
    ]
    return "\n".join([*(row.rstrip() for row in rows), *_NOTES, *said])


def as_json(found: list[Model]) -> list[dict[str, Any]]:
    """The same for a script."""
    return [asdict(model) for model in found]


def _list_shipped() -> list[Model]:
    return [
        Model(
            name=name,
            kind="shipped",
            segments=shipped.can_segment(card),
            in_pictures=False,
            method=str(card.get("method", name)),
            domain=str(card.get("domain", "not stated")),
            learned_from=str(card.get("learned_from", shipped.LEARNED_FROM)),
            validation_dice=card.get("validation_dice"),
            image_use=(card.get("image_use") or {}).get("difference"),
            licence=str(card.get("licence", "not stated")),
            file=str(shipped.FOLDER / f"{name}.safetensors"),
        )
        for name, card in shipped.read_cards().items()
    ]


def _list_shipped_stills() -> list[Model]:
    return [
        Model(
            name=name,
            kind="shipped",
            segments=False,
            in_pictures=True,
            method=str(card["model"]),
            domain=str(card["domain"]),
            learned_from=f"{card['learned_from']} ({card['data']['attribution']})",
            validation_dice=None,
            image_use=card["image_use"]["difference"],
            licence=f"{card['licence']}; data {card['data']['licence']}",
            file=str(still_models.FOLDER / f"{name}.safetensors"),
        )
        for name, card in still_models.read_cards().items()
    ]


def _list_runs(scale: str) -> list[Model]:
    results, found = Path("results", scale), []
    for job_file in sorted((results / "params/evaluate").glob("*.json")):
        choice = models.choose_run(job_file.stem, scale, must_exist=False)
        if choice is None:
            continue
        uses = shipped.read_image_use(choice)
        found.append(
            Model(
                name=choice.name,
                kind="run",
                segments=True,
                in_pictures=False,
                method=choice.job.run.method,
                domain=f"ultrasound of results/{scale}",
                learned_from=shipped.name_source(scale),
                validation_dice=choice.validation_dice,
                image_use=uses["difference"] if uses else None,
                licence="yours",
                file=str(choice.checkpoint or choice.base),
            )
        )
    return found


def _list_official() -> list[Model]:
    return [
        Model(
            name=str(EXTERNAL / file),
            kind="official",
            segments=file in _CLICKED,
            in_pictures=False,
            method=label,
            domain="as its authors say",
            learned_from="as its authors say",
            validation_dice=None,
            image_use=None,
            licence="see its source (data/external/README.md)",
            file=str(EXTERNAL / file),
        )
        for file, label in _OFFICIAL.items()
        if (EXTERNAL / file).is_file()
    ]
