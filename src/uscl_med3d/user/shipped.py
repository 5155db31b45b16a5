"""Models that come with the package: weights in its folder `shipped`, each with a card (JSON of the same name) beside it.

A card with `job` and `ingest` can segment; one without belongs to a base model of the pipeline that takes no clicks in a
volume. `base` names the shipped base model of an adapter.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic, read_json, sha256, write_json
from uscl_med3d.core.params import job_model
from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.user import card_files
from uscl_med3d.user.cards import is_simulated
from uscl_med3d.user.models import HOW_TO_GET_ONE, Choice

FOLDER = Path(__file__).resolve().parents[1] / "shipped"
"""Where they are: in the checkout, or where the package is installed."""
LEARNED_FROM = "simulated sweeps; says nothing about accuracy on patients"
OWN_SWEEPS = "your own sweeps"


def read_cards() -> dict[str, dict[str, Any]]:
    """See `card_files.read_cards`."""
    return card_files.read_cards(FOLDER)


def can_segment(card: dict[str, Any]) -> bool:
    """Whether a model takes clicks in a volume."""
    return bool(card.get("job")) and bool(card.get("ingest"))


def choose_shipped(name: str | None) -> Choice:
    """A shipped model by its name; None: the one with the best validation Dice on ultrasound.

    Raises:
        InputError: where there is none of this name that takes clicks, or its base model is not there.
    """
    cards = {each: card for each, card in read_cards().items() if can_segment(card)}
    if name is None:
        name = max(cards, key=lambda each: cards[each].get("validation_dice") or 0.0, default=None)
    if name not in cards:
        raise InputError(
            file=FOLDER,
            found=f"no model {name!r}" if name else "no model",
            expected=f"one of {', '.join(cards)}" if cards else "models that come with the package",
            remedy="see what is there: uscl-med3d models" if cards else HOW_TO_GET_ONE,
        )
    card, weights = cards[name], FOLDER / f"{name}.safetensors"
    job = job_model("evaluate").model_validate(card["job"])
    base = weights if card.get("base") is None else FOLDER / f"{card['base']}.safetensors"
    if not base.is_file():
        raise InputError(
            file=base,
            found="no such file",
            expected=f"the base model of {name}",
            remedy="install the package again",
        )
    checkpoint = None if base == weights else weights
    ingest = Ingest.model_validate(card["ingest"])
    return Choice(name, job, ingest, base, checkpoint, None, card.get("validation_dice"), None)


def ship(choice: Choice, name: str, domain: str, folder: Path) -> list[Path]:
    """Copy the weights of a run, or of its base model, into a folder of shipped models, with a card.

    Args:
        choice: a run with its files. An adapter needs its base model shipped before it.
        name: file name without suffix, and what `--weights` takes.
        domain: what it is for, as a reader would say it.
        folder: of shipped models; `FOLDER` for everybody.

    Raises:
        InputError: where the base model of an adapter is not shipped, or an adapter needs a third file.
    """
    weights, base = choice.base, None
    if choice.checkpoint is not None:
        weights, same = choice.checkpoint, sha256(choice.base)
        base = next(
            (file.stem for file in sorted(folder.glob("*.safetensors")) if sha256(file) == same), None
        )
        if base is None:
            raise InputError(
                file=choice.base,
                found="a base model that is not shipped",
                expected=f"a copy of it in {folder}",
                remedy="ship the base model first: uscl-med3d ship NAME --weights sam_med3d",
            )
        if choice.job.run.pretraining is not None and choice.job.run.modules == "decoder":
            raise InputError(
                file=weights,
                found="adapters of the decoder alone, on top of a pretrained encoder",
                expected="a model in one file beside its base",
                remedy="ship a run of both modules",
            )
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{name}.safetensors"
    with atomic(made) as temporary:
        shutil.copyfile(weights, temporary)
    write_json(
        made.with_suffix(".json"),
        {
            "model": name,
            "method": choice.job.run.method,
            "domain": domain,
            "learned_from": name_source(choice.scale),
            "licence": card_files.LICENCE,
            "made_by": f"run {choice.name} of results/{choice.scale}",
            "sha256": sha256(made),
            "base": base,
            "validation_dice": choice.validation_dice,
            "image_use": read_image_use(choice),
            "ingest": choice.ingest.model_dump(mode="json"),
            "job": choice.job.model_dump(mode="json"),
        },
    )
    return [made, made.with_suffix(".json")]


def name_source(scale: str | None) -> str:
    """What the runs of a scale learned from, by its parameters."""
    simulated = None if scale is None else is_simulated(Path("results", scale))
    return {True: LEARNED_FROM, False: OWN_SWEEPS, None: "not stated"}[simulated]


def read_image_use(choice: Choice) -> dict[str, Any] | None:
    """Dice with the own image minus Dice with another patient's image, at the most clicks measured; None if unknown."""
    import pandas as pd

    file = Path("results", choice.scale or "", "image_use.csv")
    if choice.scale is None or not file.is_file():
        return None
    label = read_json(file.parent / "params/report.json")["methods"][choice.job.run.method]["label"]
    rows = pd.read_csv(file)
    rows = rows[(rows["method"] == label) & (rows["dataset"] == "ultrasound")]
    if rows.empty:
        return None
    row = rows.loc[rows["points"].idxmax()]
    return {
        "clicks": int(row["points"]),
        **{key: float(row[key]) for key in ("difference", "ci_low", "ci_high")},
    }
