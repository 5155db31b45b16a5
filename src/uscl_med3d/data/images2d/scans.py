"""Simulated image sets of several parts of the body and scanners, as `simulate.scans` writes them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import cast

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json
from uscl_med3d.data.images2d.base import ImageSet, Item, Split, need

EXPECTED = (
    "classes.json, stills.csv and <set>/{images,masks}/<still>.png, as the target `samus` simulates them"
)
COLUMNS = ["still", "set", "patient", "split"]


def list_images(folder: Path) -> ImageSet:
    """Every still of every set; groups are patients; labels count from 1. `set_of` names an item's set.

    Raises:
        InputError: for a folder that is something else, a list that names missing files, a patient in two splits.
    """
    values = {
        str(name): int(value) for name, value in read_json(need(folder / "classes.json", EXPECTED)).items()
    }
    classes = {name: number for number, name in enumerate(sorted(values, key=lambda name: values[name]), 1)}
    labels = {values[name]: number for name, number in classes.items()}
    with need(folder / "stills.csv", EXPECTED).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or list(rows[0]) != COLUMNS:
        raise InputError(
            file=folder / "stills.csv",
            found="no lines, or other columns",
            expected=f"the columns {', '.join(COLUMNS)}",
            remedy="run the target `samus` again, which writes it",
        )
    splits: dict[str, str] = {}
    for row in rows:
        if splits.setdefault(row["patient"], row["split"]) != row["split"]:
            raise InputError(
                file=folder / "stills.csv",
                found=f"patient {row['patient']} in two splits",
                expected="every patient on one side",
                remedy="run the target `samus` again, which writes it",
            )
    items = [
        Item(
            row["still"],
            row["patient"],
            cast(Split, row["split"]),
            need(folder / row["set"] / "images" / f"{row['still']}.png", EXPECTED),
            (need(folder / row["set"] / "masks" / f"{row['still']}.png", EXPECTED),),
            labels,
        )
        for row in rows
    ]
    return ImageSet("scans", tuple(items), classes, "patient", ("Simulated: no patients.",))


def set_of(item: Item) -> str:
    """Name of the set that an item of this layout lies in, `<part>_<scanner>`."""
    return item.image.parent.parent.name
