"""The scale `public`: a published set becomes a cohort, is checked and ingested, and gets pseudo-labels.

A tiny tree in the layout of CAMUS stands for the set, and the sizes are those of the smoke scale.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from checkout import Checkout, copy_repository

pytestmark = pytest.mark.workflow

SCALES = "workflow/scales/smoke.yaml workflow/scales/public.yaml tiny.yaml"
TINY = """
foundation:
  seggpt:
    training: {steps: 4, plain_steps: 2, held_out_scenes: 2, evaluate_every: 2, resume_every: 2}
ingest: {spacing_mm: 2.0, max_frames: 12, workers: 1}
"""
NAMES = {"left_ventricle": 7, "myocardium": 8, "left_atrium": 9}


def write_camus(folder: Path) -> None:
    """Two patients for training, one each for validation and testing; both views, every frame labelled."""
    import SimpleITK

    def save(path: Path, array: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        image = SimpleITK.GetImageFromArray(array)
        image.SetSpacing((0.6, 0.5, 1.0))
        SimpleITK.WriteImage(image, str(path))

    d, h, w = np.indices((12, 90, 100))
    distance = np.hypot(h - 45, w - 50) - 0.5 * d
    for number, part in ((1, "training"), (2, "training"), (3, "validation"), (4, "testing")):
        patient = f"patient{number:04d}"
        for view in ("2CH", "4CH"):
            random = np.random.default_rng([number, len(view)])
            label = np.select([distance < 8, distance < 13, (distance < 20) & (h > 50)], [1, 2, 3], 0).astype(
                np.uint8
            )
            image = random.integers(40, 90, label.shape) + 30 * label
            image[:, :, :6] = image[:, :, -6:] = 0
            stem = folder / "database_nifti" / patient / f"{patient}_{view}_half_sequence"
            save(stem.with_name(f"{stem.name}.nii.gz"), image.astype(np.uint8))
            save(stem.with_name(f"{stem.name}_gt.nii.gz"), label)
        (folder / "database_split").mkdir(exist_ok=True)
        with open(folder / "database_split" / f"subgroup_{part}.txt", "a") as stream:
            stream.write(f"{patient}\n")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the repository with a published set beside it, before anything was run."""
    checkout = copy_repository(tmp_path_factory.mktemp("public"))
    write_camus(checkout.folder / "CAMUS_public")
    (checkout.folder / "tiny.yaml").write_text(TINY)
    return checkout


@pytest.fixture(scope="module")
def public(bare: Checkout) -> Checkout:
    """The same with the set imported, and run as far as the pseudo-labels."""
    message = bare.snakemake("--dry-run", scale=SCALES, ok=False)
    assert "data/cohorts/public.csv" in message  # says what is missing, and does nothing
    bare.run(
        "uscl-med3d",
        "import_set",
        "camus",
        "CAMUS_public",
        "--out",
        "data/cohorts/public.csv",
        "--key-frames",
        "4",
    )
    bare.snakemake("--quiet", "rules", "--", "results/public/pseudolabels", scale=SCALES)
    return bare


def test_the_whole_run_is_planned(public: Checkout) -> None:
    jobs = public.planned(scale=SCALES)
    assert "simulate_cohort" not in jobs and "ingest" not in jobs  # real sweeps, and they are done
    assert {"pretrain", "finetune", "evaluate", "tables", "figure", "html"} <= set(jobs)


def test_volumes_are_those_of_the_set(public: Checkout) -> None:
    results = public.folder / "results/public"
    with open(public.folder / "data/splits/public.csv", newline="") as stream:
        splits = {row["sweep"]: row["split"] for row in csv.DictReader(stream)}
    assert len(splits) == 8 and list(splits.values()).count("train") == 4
    sidecars = {
        path.parent.name: json.loads(path.read_text()) for path in results.glob("volumes/*/sidecar.json")
    }
    assert set(sidecars) == set(splits)
    for sidecar in sidecars.values():
        assert sidecar["group"] == "heart" and sidecar["has_reference"]
        # Frames follow each other in time, so only the plane has millimetres.
        assert sidecar["axis_without_millimetres"] == "d" and sidecar["spacing_mm"] == {
            "d": None,
            "h": 2.0,
            "w": 2.0,
        }
        assert len(sidecar["key_frames"]) == 4
        roles = {key["role"] for key in sidecar["key_frames"]}
        assert roles == ({"held_out"} if sidecar["split"] == "test" else {"held_out", "prompt"})


def test_pseudo_labels_have_the_classes_of_the_set(public: Checkout) -> None:
    from uscl_med3d.core.io import load_volume

    folder = public.folder / "results/public"
    with open(folder / "failures.csv", newline="") as stream:
        assert not list(csv.DictReader(stream))
    files = sorted(folder.glob("pseudolabels/*.nii.gz"))
    assert len(files) == 6  # of training and validation sweeps, never of test ones
    found: set[int] = set()
    for file in files:
        labels, _ = load_volume(file)
        found |= set(np.unique(labels).tolist())
    assert found <= {0, 255, *NAMES.values()} and found & set(NAMES.values())


def test_a_set_that_is_incomplete_is_named(bare: Checkout) -> None:
    from shutil import copytree

    broken = bare.folder / "broken"
    copytree(bare.folder / "CAMUS_public", broken)
    (broken / "database_nifti/patient0002/patient0002_2CH_half_sequence_gt.nii.gz").unlink()
    message = bare.run(
        "uscl-med3d", "import_set", "camus", "broken", "--out", "data/cohorts/broken.csv", ok=False
    )
    assert "patient0002_2CH_half_sequence_gt.nii.gz" in message and message.count("remedy:") == 1
    assert not (bare.folder / "data/cohorts/broken.csv").exists()
