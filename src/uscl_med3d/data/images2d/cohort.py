"""Annotated key frames of an ingested cohort as single images, so that methods for images train on a user's own frames.

The folder is `results/<scale>/volumes`; class names come from `params/ingest.json` beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json
from uscl_med3d.data.images2d.base import ImageSet, Item, Split
from uscl_med3d.data.published import need

EXPECTED = "folders with sidecar.json, image.nii.gz and key_frames.nii.gz, as `ingest` writes them"


def list_images(folder: Path) -> ImageSet:
    """Every annotated frame of every sweep; groups are patients; split as the cohort is; labels count from 1.

    Raises:
        InputError: for a folder without sweeps, or a sweep whose files are not there.
    """
    need(folder, EXPECTED)
    values = _read_classes(folder)
    classes = {name: number for number, name in enumerate(sorted(values, key=lambda name: values[name]), 1)}
    labels = {values[name]: number for name, number in classes.items()}
    items = []
    for sidecar in sorted(folder.glob("*/sidecar.json")):
        facts = read_json(sidecar)
        image = need(sidecar.with_name("image.nii.gz"), EXPECTED)
        mask = need(sidecar.with_name("key_frames.nii.gz"), EXPECTED)
        split = cast(Split, facts["split"] if facts["split"] in ("train", "val", "test") else "")
        items += [
            Item(
                f"{facts['sweep']}_{entry['index']:04d}",
                facts["patient"],
                split,
                image,
                (mask,),
                labels,
                entry["index"],
                entry["index"],
            )
            for entry in facts["key_frames"]
        ]
    if not items:
        raise InputError(
            file=folder,
            found="no annotated frame",
            expected=EXPECTED,
            remedy="annotate key frames, or name the volumes of another scale",
        )
    return ImageSet("cohort", tuple(items), classes, "patient")


def _read_classes(folder: Path) -> dict[str, int]:
    """Class names and values that the cohort was ingested with."""
    file = need(folder.parent / "params" / "ingest.json", "the parameters that the volumes were made with")
    return {str(name): int(value) for name, value in read_json(file)["classes"].items()}
