"""A first look in a minute: one simulated sweep, three clicks on each structure, a page with masks and scores.

The patient of the sweep is none that a run simulates, so no model has seen it. Clicks are placed by a program that knows
the true outlines: the first in the middle of the structure, each further one in the middle of the largest mistake.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from uscl_med3d.core.io import load_volume
from uscl_med3d.core.params.simulate import SimulateCohort
from uscl_med3d.user.defaults import read_params
from uscl_med3d.user.segmenter import Segmenter

CLICKS = 3
_ROW = {"patient": "demo", "sweep": "demo", "group": "abdomen", "view": "abdomen_right", "split": "test"}


@dataclass(frozen=True)
class Scored:
    """One structure: its clicks (column, row, frame, label) and the Dice (0..100) after each."""

    name: str
    value: int
    clicks: list[tuple[int, int, int, int]]
    dice: list[float]


@dataclass(frozen=True)
class Demo:
    """The clip, its frames (f, h, w) uint8, mask and truth (label maps alike), and scores, largest structure first."""

    clip: Path
    frames: np.ndarray
    mask: np.ndarray
    truth: np.ndarray
    scores: list[Scored]
    model: str


def run_demo(segmenter: Segmenter, folder: Path, params_file: Path, step: Callable[[str], None]) -> Demo:
    """Simulate a sweep into `folder`, segment it, and write its mask beside it.

    Args:
        segmenter: a loaded model.
        folder: gets videos/demo.mp4, key_frames/, truth/ and mask.nii.gz.
        params_file: whose simulator settings and seed are used.
        step: called with the name of each step when it is done.

    Raises:
        InputError: for an unreadable parameter file.
    """
    # A parameter file may have a cohort of its own; what it does not say is as in the default run.
    values = read_params(params_file.parent / "params" / "simulate.yaml", params_file)
    classes: dict[str, int] = values["classes"]
    clip, truth_file = _simulate(
        folder, SimulateCohort.model_validate(values["simulate"]["cohort"]), classes, values["seed"]
    )
    step("simulate one sweep")
    truth = np.asarray(load_volume(truth_file)[0])
    segmenter.encode(clip)
    step("read the clip")
    sizes = {name: int((truth == value).sum()) for name, value in classes.items()}
    present = [
        (name, classes[name]) for name in sorted(classes, key=lambda each: -sizes[each]) if sizes[name]
    ]
    scores = [_click(segmenter, name, value, truth == value) for name, value in present]
    segmenter.save(folder / "mask.nii.gz")
    step(f"segment {len(scores)} structures from {CLICKS} clicks each")
    return Demo(clip, segmenter.source.frames, segmenter.mask(), truth, scores, segmenter.choice.name)


def next_click(truth: np.ndarray, found: np.ndarray) -> tuple[int, int, int, int]:
    """Middle of the largest mistake as (column, row, frame, label): 1 where the structure was missed, 0 where it is not.

    Args:
        truth, found: bool (f, h, w); `found` without any voxel gives the middle of the structure.
    """
    missed, extra = _middle(truth & ~found), _middle(found & ~truth)
    (depth, place), label = (missed, 1) if missed[0] >= extra[0] else (extra, 0)
    if depth == 0:  # nothing is wrong: once more into the structure
        (_, place), label = _middle(truth), 1
    f, h, w = place
    return w, h, f, label


def dice(truth: np.ndarray, found: np.ndarray) -> float:
    """Dice of two masks, 0..100."""
    return float(200.0 * (truth & found).sum() / (truth.sum() + found.sum()))


def _simulate(folder: Path, cohort: SimulateCohort, classes: dict[str, int], seed: int) -> tuple[Path, Path]:
    from uscl_med3d.simulate.cohort import FOLDERS, write_sweep

    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "key_frames/demo", ignore_errors=True)  # of an earlier demo
    written = write_sweep(dict(_ROW), str(folder), cohort, classes, seed)
    return folder / written["video"], folder / written["reference"]


def _click(segmenter: Segmenter, name: str, value: int, truth: np.ndarray) -> Scored:
    found = np.zeros_like(truth)
    clicks, scores = [], []
    for _ in range(CLICKS):
        *point, label = next_click(truth, found)
        segmenter.click(point, label, name)
        found = segmenter.mask(name) > 0
        clicks.append((point[0], point[1], point[2], label))
        scores.append(dice(truth, found))
    return Scored(name, value, clicks, scores)


def _middle(region: np.ndarray) -> tuple[float, tuple[int, int, int]]:
    """Distance to the border, and place, of the innermost voxel; frames count as far apart as pixels."""
    if not region.any():
        return 0.0, (0, 0, 0)
    box = ndimage.find_objects(region.astype(np.uint8))[0]
    depth = ndimage.distance_transform_edt(np.pad(region[box], 1))
    f, h, w = (
        int(i) - 1 + each.start
        for i, each in zip(np.unravel_index(depth.argmax(), depth.shape), box, strict=True)
    )
    return float(depth.max()), (f, h, w)
