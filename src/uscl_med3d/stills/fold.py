"""One method on one fold: trained on the other folds' images, scored on its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from safetensors.torch import save_file

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic, sha256, write_csv, write_json
from uscl_med3d.core.seeds import Seeds, prepare_torch
from uscl_med3d.data.images2d import ImageSet, Item, folds, open_set, read_item
from uscl_med3d.methods.base import torch_device
from uscl_med3d.methods.stills import find_still_method
from uscl_med3d.methods.stills.base import Start, StillMethod
from uscl_med3d.stills.score import find_other, score_item
from uscl_med3d.stills.task import StillTask
from uscl_med3d.train import engine

ALL_IMAGES = -1  # in place of a fold
COLUMNS = ["method", "fold", "image", "group", "class", "points", "dice", "hd95_px", "dice_other"]


def run_fold(
    job: Any, name: str, fold: int, folder: Path, base: Path | None, scores_csv: Path, curve_csv: Path
) -> None:
    """Train method `name` without the images of `fold`, and score it on them.

    Fold and first clicks are the same for all methods. An interrupted training goes on from `<scores_csv>.resume`.

    Raises:
        InputError: for a folder that is another set, or a set without enough groups.
    """
    images = open_set(job.stills.layout, folder)
    inside, outside = divide(images, job.stills.folds, fold, job.seed, folder)
    method, curve, resume = train(job, job.stills, name, fold, images, outside, base, scores_csv)
    rows = [
        (
            name,
            fold,
            item.name,
            item.group,
            label_name,
            score.points,
            score.dice,
            score.hd95_px,
            score.dice_other,
        )
        for item in inside
        for label_name, score in score_item(
            method, item, find_other(item, inside), images, job.stills, job.seed
        )
    ]
    write_csv(curve_csv, curve)
    write_csv(scores_csv, pd.DataFrame(rows, columns=COLUMNS))
    resume.remove()


def run_all(job: Any, name: str, folder: Path, base: Path | None, weights_out: Path, curve_csv: Path) -> None:
    """Train method `name` on every image; write its weights under official names, with a card (.json) beside them.

    Nothing is scored: no image is left for it.
    """
    images = open_set(job.stills.layout, folder)
    method, curve, resume = train(
        job, job.stills, name, ALL_IMAGES, images, list(images.items), base, weights_out
    )
    with atomic(weights_out) as temporary:
        save_file(
            {key: value.contiguous() for key, value in sorted(method.network.state_dict().items())}, temporary
        )
    write_json(
        weights_out.with_suffix(".json"),
        {
            "model": job.stills.methods[name].module,
            "preprocessing": "official",
            "architecture": method.architecture,
            "learned_from": f"{len(images.items)} images of {images.name}",
            "classes": list(images.classes),
            "sha256": sha256(weights_out),
        },
    )
    write_csv(curve_csv, curve)
    resume.remove()


def train(
    job: Any,
    settings: Any,
    name: str,
    part: int | str,
    images: ImageSet,
    items: list[Item],
    base: Path | None,
    output: Path,
) -> tuple[StillMethod, pd.DataFrame, engine.ResumeFile]:
    """A method trained on some images of a set, its learning curve, and the resume file to remove in the end.

    Args:
        settings: with `methods` and `training`. part: the fold that is left out, or `ALL_IMAGES`, or a name of what is
            trained on. output: what is written in the end.
    """
    entry, training = settings.methods[name], settings.training
    torch_device(job.device)
    seeds: Seeds = (job.seed, "stills", name, part)
    prepare_torch(job.seed, job.threads, *seeds[1:])
    start = Start(entry.image_size, tuple(images.classes), entry.options, base if entry.base else None)
    method = find_still_method(entry.module).build(start)
    pictures = [read_item(item) for item in items]
    method.look_at(pictures)
    resume = engine.ResumeFile(
        output, engine.fingerprint(job, name, part, [item.name for item in images.items])
    )
    rows: list[dict[str, float]] = []
    if entry.learning_rate is not None:
        task = StillTask(
            method, pictures, entry.image_size, len(images.classes), training, entry.learning_rate, seeds
        )
        title = (
            f"{name}, all images"
            if part == ALL_IMAGES
            else f"{name}, {'' if isinstance(part, str) else 'fold '}{part}"
        )
        rows = engine.run(
            task, training, seeds=seeds, resume=resume, precision=job.precision, title=title
        ).curve
    method.network.eval()
    columns = sorted({key for row in rows for key in row}) or ["step"]
    return method, pd.DataFrame(rows, columns=columns), resume


def divide(images: ImageSet, count: int, fold: int, seed: int, folder: Path) -> tuple[list[Item], list[Item]]:
    """Images of a fold, and the others; groups stay together.

    Raises:
        InputError: for fewer groups than folds.
    """
    groups = len({item.group for item in images.items})
    if groups < count:
        raise InputError(
            file=folder,
            found=f"{groups} groups ({images.groups})",
            expected=f"at least {count}, one per fold",
            remedy="lower stills.folds, or give the whole set",
        )
    of_item = folds(images.items, count, seed)
    inside = [item for item in images.items if of_item[item.name] == fold]
    return inside, [item for item in images.items if of_item[item.name] != fold]
