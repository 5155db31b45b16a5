"""The simulated general-domain sets (CT, MR, brain), written in the folder layout of nnU-Net.

<out>/<set>/dataset.json, imagesTr/<case>_0000.nii.gz, labelsTr/<case>.nii.gz, imagesTs/..., labelsTs/...
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.io import save_volume, write_json
from uscl_med3d.core.params.simulate import Pose, SimulateGeneral
from uscl_med3d.core.seeds import rng
from uscl_med3d.simulate.appearance import (
    BRAIN_CONTRASTS,
    draw_brain_levels,
    draw_ct_levels,
    draw_mr_levels,
    make_ct,
    make_mr,
)
from uscl_med3d.simulate.brain import BRATS, draw_head
from uscl_med3d.simulate.pool import replacing, run_cases
from uscl_med3d.simulate.torso import AMOS, DRAWERS, TOTALSEGMENTATOR, Fields

LABELS = {"amos": AMOS, "totalsegmentator": TOTALSEGMENTATOR, "brats": BRATS}
HALF_WIDTH = 0.94  # of half the volume's shortest in-plane extent


def simulate_general(job: Any, out_dir: str | Path) -> None:
    """Write every set of `job.general.sets` into `out_dir`."""
    with replacing(out_dir, sorted(job.general.sets)) as folder:
        cases = []
        for name, count in sorted(job.general.sets.items()):
            for sub in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
                (folder / name / sub).mkdir(parents=True)
            write_json(folder / name / "dataset.json", describe(name, count.train, count.test))
            kinds = ["Tr"] * count.train + ["Ts"] * count.test
            cases += [
                (name, i, kind, str(folder), job.general, job.seed) for i, kind in enumerate(kinds, start=1)
            ]
        run_cases(write_case, cases, job.general.workers)


def describe(name: str, train: int, test: int) -> dict[str, Any]:
    """dataset.json of one set; keys as in nnU-Net."""
    return {
        "name": name,
        "description": "simulated; no patient data",
        "channel_names": {"0": {"amos": "CT or MR", "totalsegmentator": "CT", "brats": "MR"}[name]},
        "labels": {"background": 0} | {label: i for i, label in enumerate(LABELS[name], start=1)},
        "numTraining": train,
        "numTest": test,
        "file_ending": ".nii.gz",
    }


def write_case(name: str, number: int, kind: str, folder: str, general: SimulateGeneral, seed: int) -> None:
    """Draw and write one image and its label map."""
    case = f"{name}_{number:03d}"
    image, label, spacing = draw_case(rng(seed, "simulate", "general", case), name, number, general)
    root = Path(folder) / name
    save_volume(root / f"images{kind}" / f"{case}_0000.nii.gz", image, spacing)
    save_volume(root / f"labels{kind}" / f"{case}.nii.gz", label, spacing)


def draw_case(
    stream: np.random.Generator, name: str, number: int, general: SimulateGeneral
) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
    """Image int16 and labels uint8 (d, h, w), and spacing, of one case; modalities take turns by `number`."""
    shape = tuple(int(size) for size in stream.integers(general.size[0], general.size[1] + 1, 3))
    in_plane = float(np.round(stream.uniform(*general.spacing_mm), 3))
    spacing = (float(np.round(stream.uniform(*general.spacing_mm), 3)), in_plane, in_plane)
    points = lay_body(stream, body_points(shape, spacing), general.pose)
    drawer = DRAWERS.get(name, draw_head)
    tissue, label, names = paint(drawer(stream, points), shape, LABELS[name])
    if name == "brats":
        contrast = BRAIN_CONTRASTS[number % len(BRAIN_CONTRASTS)]
        return make_mr(stream, tissue, draw_brain_levels(stream, names, contrast)), label, spacing
    if name == "amos" and number % 2 == 0:
        return make_mr(stream, tissue, draw_mr_levels(stream, names)), label, spacing
    return make_ct(stream, tissue, draw_ct_levels(stream, names)), label, spacing


def body_points(shape: tuple[int, ...], spacing: tuple[float, ...]) -> np.ndarray:
    """Body coordinates (3, n) of every voxel (x left, y back, z head), in body half widths.

    The file's axes run right, front, head (RAS+), against x and y.
    """
    z, y, x = (
        (np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)) * np.float32(step)
        for size, step in zip(shape, spacing, strict=True)
    )
    half = np.float32(HALF_WIDTH * min(shape[1] * spacing[1], shape[2] * spacing[2]) / 2)
    grid = np.meshgrid(z / half, y / half, x / half, indexing="ij")
    return np.stack([-grid[2].ravel(), -grid[1].ravel(), grid[0].ravel()])


def lay_body(stream: np.random.Generator, points: np.ndarray, pose: Pose) -> np.ndarray:
    """Coordinates (3, n) in a body that lies off the field's middle, turned about its long axis, nearer or farther.

    Scans are not centred alike. Without it an organ would stand at the same voxels in every patient.
    """
    shift = stream.uniform(-1, 1, 3) * np.asarray(pose.shift)
    angle = np.deg2rad(stream.uniform(-pose.turn_deg, pose.turn_deg))
    size = stream.uniform(*pose.size)
    x, y, z = points - shift[:, None].astype(points.dtype)
    cosine, sine = points.dtype.type(np.cos(angle)), points.dtype.type(np.sin(angle))
    return np.stack([cosine * x + sine * y, cosine * y - sine * x, z]) / points.dtype.type(size)


def paint(
    fields: Fields, shape: tuple[int, ...], labels: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Tissue ids, label map, and the tissue names in the order of the ids."""
    names = ["air", *dict.fromkeys(name for name, _ in fields)]
    tissue = np.zeros(int(np.prod(shape)), np.uint8)
    for name, field in fields:
        tissue[field > 0] = names.index(name)
    values = np.array([labels.index(name) + 1 if name in labels else 0 for name in names], np.uint8)
    return tissue.reshape(shape), values[tissue].reshape(shape), names
