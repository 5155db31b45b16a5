"""One method on the simulated sets: trained on what the seen scanner shows, scored on both scanners.

Task-specific methods are trained for each part of the body by itself, foundation models once on all parts. Every test
image of every set is scored, so that the tables only choose rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import torch

from uscl_med3d.clicks.simulators import draw_first_click
from uscl_med3d.core.io import write_csv
from uscl_med3d.core.scores import write_scores
from uscl_med3d.core.seeds import rng
from uscl_med3d.data.images2d import ImageSet, Item, open_set, read_item
from uscl_med3d.data.images2d.scans import set_of
from uscl_med3d.methods.stills.base import ClickedMethod, StillMethod
from uscl_med3d.stills.fold import train
from uscl_med3d.stills.score import answer, as_tensor, dice, find_other, score_item

ALL = "all"
SCHEMA = pa.schema(
    [
        ("method", pa.string()),
        ("trained_on", pa.string()),
        ("set", pa.string()),
        ("image", pa.string()),
        ("group", pa.string()),
        ("class", pa.string()),
        ("points", pa.int32()),
        ("place", pa.int32()),
        ("dice", pa.float64()),
        ("hd95_px", pa.float64()),
        ("dice_other", pa.float64()),
    ]
)
"""`place`: -1 for clicks in a row, else the number of a first click that was drawn anew."""
COLUMNS = SCHEMA.names
IN_A_ROW = -1


def run_sets(job: Any, name: str, folder: Path, base: Path | None, scores_out: Path, curve_csv: Path) -> None:
    """Train method `name` and score it on the test images of all sets.

    Clicks are the same for all methods. An interrupted training goes on from
    `<method>.<part>.resume` beside the scores.

    Raises:
        InputError: for a folder that is another set.
    """
    settings = job.samus.with_variants()
    images = open_set("scans", folder)
    rows: list[tuple[Any, ...]] = []
    curves, resumes = [], []
    for part in list_parts(settings, name):
        learned = [item for item in images.items if item.split == "train" and fits(item, part)]
        output = scores_out.with_suffix(f".{part}")
        method, curve, resume = train(job, settings, name, part, images, learned, base, output)
        curves.append(curve.assign(trained_on=part))
        resumes.append(resume)
        for label in list_sets(images, part):
            inside = [item for item in images.items if item.split == "test" and set_of(item) == label]
            rows += [(name, part, *row) for row in score_set(job, settings, name, method, images, inside)]
    write_csv(curve_csv, pd.concat(curves, ignore_index=True))
    write_scores(scores_out, pd.DataFrame(rows, columns=COLUMNS), SCHEMA)
    for resume in resumes:
        resume.remove()


def list_parts(settings: Any, name: str) -> list[str]:
    """What a method is trained on, one training each: every part of the body, or all of them together."""
    return list(settings.scans.parts) if settings.methods[name].role == "task" else [ALL]


def fits(item: Item, part: str) -> bool:
    """Whether an item shows a part of the body; `all` is every part."""
    return part == ALL or set_of(item).rsplit("_", 1)[0] == part


def list_sets(images: ImageSet, part: str) -> list[str]:
    """Names of the sets of a part of the body, sorted."""
    return sorted({set_of(item) for item in images.items if fits(item, part)})


def score_set(
    job: Any, settings: Any, name: str, method: StillMethod, images: ImageSet, inside: Sequence[Item]
) -> Iterator[tuple[Any, ...]]:
    """Rows of `COLUMNS` without the first two, of the test images of one set.

    Variants of SAMUS are scored after the first click alone, and without other places: their tables show no more.
    """
    whole = name in job.samus.methods
    clicking = settings if whole else settings.model_copy(update={"points": (1,)})
    for item in inside:
        about = (set_of(item), item.name, item.group)
        for label, one in score_item(method, item, find_other(item, inside), images, clicking, job.seed):
            yield (*about, label, one.points, IN_A_ROW, one.dice, one.hd95_px, one.dice_other)
        if whole and isinstance(method, ClickedMethod):
            for label, place, value in score_places(method, item, images, settings.places, job.seed):
                yield (*about, label, 1, place, value, float("nan"), float("nan"))


def score_places(
    method: ClickedMethod, item: Item, images: ImageSet, places: int, seed: int
) -> Iterator[tuple[str, int, float]]:
    """(class, place, Dice) of `places` first clicks, drawn uniformly over each structure of an image."""
    grey, labels = read_item(item)
    with torch.inference_mode():
        embedding = method.embed(as_tensor(grey))
    for name, label in images.classes.items():
        truth = labels == label
        if not truth.any():
            continue
        random = rng(seed, "stills", "places", item.name, name)
        for place in range(places):
            click = draw_first_click(truth[None], random)
            yield name, place, dice(answer(method, embedding, truth, [click[1:]]), truth)
