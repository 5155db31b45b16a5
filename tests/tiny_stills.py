"""A tiny image set, a base SAM with random weights, and the parameters of a comparison on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tiny_sam import TWO_BLOCKS

from uscl_med3d.core.params import job_model, slice_job, validate
from uscl_med3d.core.params.files import overlay, read_defaults
from uscl_med3d.nets.sam import build_sam
from uscl_med3d.nets.sam.checkpoint import save_weights

ROOT = Path(__file__).resolve().parents[1]
SIZE = (52, 60)


def make_stills(root: Path, count: int) -> Path:
    """Bright disc (label 1) and dark disc (label 2) on grey noise; a usgra-seg folder."""
    rng = np.random.RandomState(0)
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for index in range(count):
        image = rng.randint(80, 140, SIZE)
        mask = np.zeros(SIZE, np.uint8)
        for label, value, left in ((1, 230, 6), (2, 20, 34)):
            centre = rng.randint(12, SIZE[0] - 12), rng.randint(left + 6, left + 18)
            disc = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < 49
            image[disc], mask[disc] = value + rng.randint(-15, 15, SIZE)[disc], label
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(root / "images" / f"{index:04d}.png")
        Image.fromarray(mask).save(root / "masks" / f"{index:04d}.png")
    return root


def make_base(file: Path) -> Path:
    torch.manual_seed(0)
    save_weights(file, "sam", TWO_BLOCKS, build_sam(TWO_BLOCKS))
    return file


def tiny_job(**changes: Any) -> Any:
    """The job of `stills`, small; `changes` overlay the section."""
    values = read_defaults(ROOT)
    sizes = {name: {"image_size": 32} for name in values["stills"]["methods"]}
    sizes["unet"]["options"] = {"features": [4, 8, 8]}
    sizes["samus"]["options"] = {"cnn_widths": [4, 4], "window_size": 4}
    small = {
        "folds": 2,
        "n_boot": 50,
        "methods": sizes,
        "training": {"steps": 3, "batch_size": 2, "warmup_steps": 1, "evaluate_every": 2, "resume_every": 1},
    }
    changed = overlay(overlay(values, {"stills": small}), {"stills": changes})
    return job_model("stills").model_validate(slice_job(validate(changed, "params.yaml"), "stills"))
