"""Real CT and MR volumes, laid out as AMOS, TotalSegmentator and BraTS publish theirs, scored end to end."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest

from uscl_med3d.core.scores import read_score_file
from uscl_med3d.data.general import Reading
from uscl_med3d.evaluate.cases import Sources, list_general_items
from uscl_med3d.evaluate.score import evaluate
from uscl_med3d.methods.base import Weights

SPACING_MM = 5.0


def lay_out_amos(folder: Path, real: Path) -> Path:
    """A CT and an MR of one patient with a hand-drawn tumour, in both published parts."""
    source = real / "ct_mr_softtissue_sarcoma_sts"
    for part, first in (("Tr", 0), ("Va", 1)):
        for number, kind in ((1 + first, "CT"), (501 + first, "MR_T1")):
            for sub, what in (("images", "image"), ("labels", "mask")):
                target = folder / f"{sub}{part}/amos_{number:04d}.nii.gz"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to((source / f"STS_001_{kind}_{what}.nii.gz").resolve())
    (folder / "dataset.json").write_text(json.dumps({"labels": {"0": "background", "1": "tumour"}}))
    return folder


def lay_out_totalsegmentator(folder: Path, real: Path) -> Path:
    """A CT with its label map cut into one mask per structure."""
    source = real / "ct_totalsegmentator_example"
    label = nibabel.load(source / "example_seg.nii.gz")
    array = np.asanyarray(label.dataobj)
    values, counts = np.unique(array, return_counts=True)
    largest = sorted(values[1:][np.argsort(counts[1:])[-3:]].tolist())
    for name in ("s0000", "s0001"):
        (folder / name / "segmentations").mkdir(parents=True)
        (folder / name / "ct.nii.gz").symlink_to((source / "example_ct_sm.nii.gz").resolve())
        for value in largest:
            mask = nibabel.Nifti1Image((array == value).astype(np.uint8), label.affine)
            nibabel.save(mask, folder / name / f"segmentations/structure_{value}.nii.gz")
    (folder / "meta.csv").write_text("image_id;age;split\ns0000;50;train\ns0001;60;test\n")
    return folder


def lay_out_brats(folder: Path, real: Path) -> Path:
    """An MR of a brain tumour, as four contrasts of two patients; parts of the tumour get the three labels."""
    import SimpleITK

    source = real / "mr_pyradiomics_tumour"
    image = SimpleITK.ReadImage(str(source / "brain1_image.nrrd"))
    tumour = SimpleITK.ReadImage(str(source / "brain1_label.nrrd"))
    array = SimpleITK.GetArrayFromImage(tumour) > 0
    rows = np.nonzero(array)[1]
    label = np.where(array, 2, 0).astype(np.uint8)
    label[:, int(np.median(rows)) :] *= 2
    segmentation = SimpleITK.GetImageFromArray(label)
    segmentation.CopyInformation(image)
    for name in ("BraTS2021_00000", "BraTS2021_00002"):
        (folder / name).mkdir(parents=True)
        for contrast in ("t1", "t1ce", "t2", "flair"):
            SimpleITK.WriteImage(image, str(folder / name / f"{name}_{contrast}.nii.gz"))
        SimpleITK.WriteImage(segmentation, str(folder / name / f"{name}_seg.nii.gz"))
    return folder


@pytest.fixture(scope="module")
def sets(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    real, root = shared / "data/real", tmp_path_factory.mktemp("sets")
    return {
        "amos": lay_out_amos(root / "amos22", real),
        "totalsegmentator": lay_out_totalsegmentator(root / "Totalsegmentator_dataset_v201", real),
        "brats": lay_out_brats(root / "BraTS2021_Training_Data", real),
    }


def test_published_layouts_are_scored_at_the_models_spacing(sets, cohort, make_job, tmp_path):
    job = make_job(
        "evaluate",
        "sam_med3d",
        general_reading__spacing_mm=SPACING_MM,
        evaluate__max_classes_per_case=2,
        evaluate__surface_at=[3],
        evaluate__general_validation_patients=0,
        methods__sam_med3d__datasets=list(sets),
    )
    evaluate(
        job,
        Sources(cohort.volumes, cohort.splits, cohort.pseudolabels, sets),
        Weights(cohort.base),
        scores_file=tmp_path / "scores.parquet",
        image_use_file=tmp_path / "image_use.parquet",
        predictions_dir=tmp_path / "masks",
    )
    scores = read_score_file(tmp_path / "scores.parquet")
    assert set(scores["distance_unit"].dropna()) == {"mm"}
    cases = {name: sorted(set(rows["case"])) for name, rows in scores.groupby("dataset")}
    assert cases["amos"] == ["amos_0002", "amos_0502"]
    assert cases["totalsegmentator"] == ["s0001"]
    assert len(cases["brats"]) == 4 and len(set(scores.loc[scores["dataset"] == "brats", "patient"])) == 1
    assert set(scores.loc[scores["dataset"] == "amos", "class"]) == {"tumour"}
    assert set(scores.loc[scores["dataset"] == "brats", "class"]) <= {
        "whole_tumour",
        "enhancing_tumour",
        "tumour_core",
    }
    last = scores[scores["click"] == scores["click"].max()]
    assert last["dice"].between(0, 100).all() and len(last) >= 8


def told(reading: Reading) -> SimpleNamespace:
    """A job that asks for the test part, read so, with every object."""
    values = {
        "spacing_mm": reading.spacing_mm,
        "modalities": reading.modalities,
        "test_fraction": reading.test_fraction,
    }
    general = SimpleNamespace(model_dump=lambda: values)
    settings = SimpleNamespace(splits=["test"], min_target_voxels=1, max_classes_per_case=5)
    return SimpleNamespace(seed=reading.seed, general_reading=general, evaluate=settings)


def test_resampling_keeps_the_tumour(sets) -> None:
    """The same real tumour has the same size in millimetres on the stored grid and on the model's."""
    volumes = []
    for spacing_mm in (None, 2.0):
        reading = Reading(spacing_mm=spacing_mm, modalities=("ct",), test_fraction=0.5, seed=0)
        (item,) = list_general_items("amos", sets["amos"], told(reading))
        volumes.append(item.truth.sum() * np.prod(item.distance.spacing))
        if spacing_mm:
            assert item.distance.spacing == (2.0, 2.0, 2.0)
    assert volumes[1] == pytest.approx(volumes[0], rel=0.02)


def test_regions_overlap(sets) -> None:
    reading = Reading(spacing_mm=SPACING_MM, modalities=("mr",), test_fraction=0.5, seed=0)
    items = {item.name: item for item in list_general_items("brats", sets["brats"], told(reading))}
    whole, core = items["whole_tumour"].truth, items["tumour_core"].truth
    assert (core <= whole).all() and 0 < core.sum() < whole.sum()
