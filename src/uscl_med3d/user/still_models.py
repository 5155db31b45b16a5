"""Models for single pictures that come with the package: weights in its folder `shipped_stills`, each with a card beside it.

They are no base models of the pipeline and take no clicks in a volume, so they lie apart from `shipped`, which the stage
`foundation` watches. A card says whose images a model learned from, and how little or much of its Dice is owed to the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json, sha256, write_json
from uscl_med3d.core.shipped import hash_recipe
from uscl_med3d.user import card_files
from uscl_med3d.user.official import OfficialChoice

FOLDER = Path(__file__).resolve().parents[1] / "shipped_stills"
"""Where they are: in the checkout, or where the package is installed."""
HARDLY = 7.5
"""Dice points: half of what a base model should owe to the image after one click (`foundation.ship.AIM`)."""
CONTROL = "disc"
"""Module of the method that puts a disc at the click and does not look at the image."""
SCORES = ("dice", "ci_low", "ci_high", "own_minus_other", "own_low", "own_high")
TRAIN = "run the scale first (docs/samus.md)"


class Words(NamedTuple):
    """What is said of a model beside what its files say.

    Attributes:
        domain: what it is for, as a reader would say it.
        attribution, data_licence: of the images that it learned from, as their authors ask.
        limits: what its scores do not show.
    """

    domain: str
    attribution: str
    data_licence: str
    limits: str


def read_cards() -> dict[str, dict[str, Any]]:
    """See `card_files.read_cards`."""
    return card_files.read_cards(FOLDER)


def refuse_in_volumes(name: str) -> None:
    """Raise `InputError` for the name of a model for single pictures, where one for volumes is wanted."""
    card = read_cards().get(name)
    if card is not None:
        raise InputError(
            file=name,
            found=f"a model for single pictures ({card['domain']})",
            expected="a model that takes clicks in a volume",
            remedy=f"uscl-med3d segment still.png --model {name} --point x,y; for volumes see uscl-med3d models",
        )


def check(weights: Path) -> dict[str, Any]:
    """The card of shipped weights, which are the right ones. Raises `InputError` for others."""
    card: dict[str, Any] = read_json(weights.with_suffix(".json"))
    found = sha256(weights)
    if found != card["sha256"]:
        raise InputError(
            file=weights,
            found=f"SHA-256 {found}",
            expected=f"SHA-256 {card['sha256']} ({weights.stem}.json)",
            remedy="install the program again",
        )
    return card


def with_notes(weights: Path, choice: OfficialChoice) -> OfficialChoice:
    """A choice that says what a shipped model is for, and what its Dice is worth; others as they are."""
    if weights.parent != FOLDER:
        return choice
    return replace(choice, assumed=(*choice.assumed, *describe(check(weights))))


def describe(card: Mapping[str, Any]) -> list[str]:
    """What a user has to know of a shipped model, in sentences."""
    own, control, uses = card["scores"]["all"], card["control"], card["image_use"]
    looks = "it hardly looks at the image" if uses["ci_high"] < HARDLY else "what it owes to the image"
    data = card["data"]
    return [
        f"for {card['domain']}; learned from {card['learned_from']} ({data['attribution']}; {data['licence']})",
        f"{looks}: of its Dice of {own['dice']:.1f} after one click, {uses['difference']:.1f} points "
        f"[{uses['ci_low']:.1f}, {uses['ci_high']:.1f}] are lost with another image; {control['label']} has "
        f"{control['dice']:.1f}",
        f"limits: {card['limits']}",
    ]


def ship(scale: str, name: str, words: Words, folder: Path) -> list[Path]:
    """Copy a model that a scale trained on all its pictures, in half precision, with a card.

    Args:
        scale: a finished one of target `usgra`; its table gives the scores.
        name: key of `stills.methods` that is `kept`, and what `--model` takes.
        words: what no file of the scale says.
        folder: of shipped models; `FOLDER` for everybody.

    Raises:
        InputError: where a file of the scale is missing, or the weights are not those of their card.
    """
    from uscl_med3d.foundation.ship import halve

    results = Path("results", scale)
    trained = results / f"checkpoints/stills/{name}.safetensors"
    table, params = results / "tables/stills.csv", results / "params/stills.json"
    for file in (trained, trained.with_suffix(".json"), table, params):
        if not file.is_file():
            raise InputError(
                file=file, found="no such file", expected="a finished scale of stills", remedy=TRAIN
            )
    facts, job = check(trained), read_json(params)
    label = job["stills"]["methods"][name]["label"]
    scores = read_scores(table, label)
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{name}.safetensors"
    halve(trained, made)
    write_json(
        made.with_suffix(".json"),
        facts
        | {
            "title": label,
            "domain": words.domain,
            "licence": card_files.LICENCE,
            "data": {"attribution": words.attribution, "licence": words.data_licence},
            "limits": words.limits,
            "source": _source(facts["model"]),
            "made_by": f"all images of results/{scale}; scores: cross-validation of the same recipe",
            "recipe": hash_recipe(job),
            "trained_sha256": facts["sha256"],
            "sha256": sha256(made),
            "scores": scores,
            "control": _read_control(table, job["stills"]["methods"]),
            "image_use": {
                "clicks": 1,
                "difference": scores["all"]["own_minus_other"],
                "ci_low": scores["all"]["own_low"],
                "ci_high": scores["all"]["own_high"],
            },
        },
    )
    return [made, made.with_suffix(".json")]


def read_scores(table: Path, label: str) -> dict[str, dict[str, float]]:
    """Cross-validated Dice after one click, and Dice lost with another image, by class; `all` is their mean.

    Raises:
        InputError: where the table has no such row.
    """
    import pandas as pd

    rows = pd.read_csv(table)
    rows = rows[(rows["method"] == label) & (rows["points"] == 1)].set_index("class")
    if "all" not in rows.index:
        raise InputError(
            file=table, found=f"no row of {label} after one click", expected="its scores", remedy=TRAIN
        )
    return {str(one): {key: float(row[key]) for key in SCORES} for one, row in rows.iterrows()}


def _read_control(table: Path, methods: Mapping[str, Any]) -> dict[str, Any]:
    """The control that does not look at the image."""
    label = next((one["label"] for one in methods.values() if one["module"] == CONTROL), CONTROL)
    return {"label": label, **read_scores(table, label)["all"]}


def _source(module: str) -> dict[str, str]:
    from uscl_med3d.methods.stills import find_still_method

    card = find_still_method(module).card
    return {"paper": card.paper, "code": card.code, "licence": card.licence}
