"""Published folder layouts of general-domain sets, on small trees of the same layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import save_volume
from uscl_med3d.data.general import (
    AS_STORED,
    Reading,
    choose_layout,
    find_problems,
    hash_case,
    list_cases,
    load_case,
    read_names,
)
from uscl_med3d.data.general.volumes import resample

READING = Reading(spacing_mm=None, modalities=("ct", "mr"), test_fraction=0.4, seed=1)
SHAPE = (4, 5, 6)
MM = (3.0, 2.0, 2.0)


def write(path: Path, value: int = 1, dtype: type = np.uint8) -> None:
    """A volume with one block of `value`."""
    array = np.zeros(SHAPE, dtype)
    array[1:3, 1:4, 2:5] = value
    save_volume(path, array, MM)


def write_amos(folder: Path) -> Path:
    for part, numbers in (("Tr", (1, 507)), ("Va", (8, 540)), ("Ts", (11,))):
        for number in numbers:
            write(folder / f"images{part}/amos_{number:04d}.nii.gz", 100, np.int16)
            if part != "Ts":
                write(folder / f"labels{part}/amos_{number:04d}.nii.gz", 6)
    labels = {"0": "background", "1": "spleen", "6": "liver"}
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder


def write_totalsegmentator(folder: Path) -> Path:
    lines = ["image_id;age;gender;institute;study_type;split"]
    for number, split in enumerate(("train", "val", "test", "train")):
        name = f"s{number:04d}"
        lines.append(f"{name};40;m;A;ct abdomen;{split}")
        write(folder / name / "ct.nii.gz", 100, np.int16)
        write(folder / name / "segmentations/spleen.nii.gz", number % 2)
        write(folder / name / "segmentations/liver.nii.gz", 1 - number % 2)
    write(folder / "s0003/segmentations/aorta.nii.gz", 0)
    (folder / "meta.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_brats(folder: Path, pattern: str = "BraTS2021_{:05d}", suffix: str = ".nii.gz") -> Path:
    for number in range(5):
        name = pattern.format(number)
        for kind in ("t1", "t1ce", "t2", "flair"):
            write(folder / name / f"{name}_{kind}.nii.gz", 100, np.int16)
        label = np.zeros(SHAPE, np.uint8)
        label[1, 1:4, 2:5] = 2
        label[2, 1, 2:5] = 1
        label[2, 2, 2] = 4
        save_volume(folder / name / f"{name}_seg.nii.gz", label, MM)
        if suffix == ".nii":
            import nibabel

            for file in list((folder / name).glob("*.nii.gz")):
                nibabel.save(nibabel.load(file), file.with_suffix(""))
                file.unlink()
    return folder


def test_amos_scores_its_validation_part(tmp_path: Path) -> None:
    folder = write_amos(tmp_path / "amos22")
    assert choose_layout(folder) == "amos" and find_problems(folder) == []
    assert [case.id for case in list_cases(folder, "Tr", READING)] == ["amos_0001", "amos_0507"]
    assert [case.id for case in list_cases(folder, "Ts", READING)] == ["amos_0008", "amos_0540"]
    (mr,) = list_cases(folder, "Ts", replace(READING, modalities=("mr",)))
    assert mr.id == "amos_0540" and mr.image.parent.name == "imagesVa"
    _, label, spacing_mm, names = load_case(mr)
    assert names == {"spleen": 1, "liver": 6} and set(np.unique(label)) == {0, 6} and spacing_mm == MM
    assert mr.structures == {"spleen": (1,), "liver": (6,)}


def test_totalsegmentator_joins_its_masks(tmp_path: Path) -> None:
    folder = write_totalsegmentator(tmp_path / "set")
    assert choose_layout(folder) == "totalsegmentator" and find_problems(folder) == []
    assert read_names(folder) == {"aorta": 1, "liver": 2, "spleen": 3}
    assert [case.id for case in list_cases(folder, "Tr", READING)] == ["s0000", "s0003"]
    (case,) = list_cases(folder, "Ts", READING)
    assert case.patient == "s0002"
    _, label, _, _ = load_case(case)
    assert label.sum() == 2 * 18 and label[1, 1, 2] == 2  # liver; the empty spleen mask adds nothing
    before = hash_case(case)
    write(case.label / "spleen.nii.gz", 1)
    assert hash_case(case)[0] == before[0] and hash_case(case)[1] != before[1]
    assert load_case(case)[1][1, 1, 2] == 3  # where masks overlap, the later name wins


@pytest.mark.parametrize(
    ("pattern", "suffix"), [("BraTS2021_{:05d}", ".nii.gz"), ("BraTS20_Training_{:03d}", ".nii")]
)
def test_brats_is_split_by_patient_and_scored_by_region(tmp_path: Path, pattern: str, suffix: str) -> None:
    folder = write_brats(tmp_path / "set", pattern, suffix)
    assert choose_layout(folder) == "brats" and find_problems(folder) == []
    parts = {part: list_cases(folder, part, READING) for part in ("Tr", "Ts")}
    patients = {part: {case.patient for case in cases} for part, cases in parts.items()}
    assert len(patients["Tr"]) == 3 and len(patients["Ts"]) == 2 and not patients["Tr"] & patients["Ts"]
    assert [case.id.rsplit("_", 1)[1] for case in parts["Ts"][:4]] == ["flair", "t1", "t1ce", "t2"]
    assert parts["Ts"] == list_cases(folder, "Ts", READING)
    others = [
        {case.patient for case in list_cases(folder, "Ts", replace(READING, seed=seed))} for seed in range(8)
    ]
    assert any(one != patients["Ts"] for one in others)
    case = parts["Ts"][0]
    assert case.structures["whole_tumour"] == (1, 2, 4) and case.structures["tumour_core"] == (1, 4)
    assert set(np.unique(load_case(case)[1])) == {0, 1, 2, 4}


def test_one_patient_more_moves_at_most_one_across(tmp_path: Path) -> None:
    folder = write_brats(tmp_path / "set")
    before = {case.patient for case in list_cases(folder, "Ts", READING)}
    name = "BraTS2021_00777"
    for kind in ("t1", "t1ce", "t2", "flair", "seg"):
        write(folder / name / f"{name}_{kind}.nii.gz")
    after = {case.patient for case in list_cases(folder, "Ts", READING)}
    assert len(after) == 2 and len(before - after) <= 1


def test_regions_of_a_dataset_json(tmp_path: Path) -> None:
    for part in ("Tr", "Ts"):
        write(tmp_path / f"images{part}/a_0000.nii.gz")
        write(tmp_path / f"labels{part}/a.nii.gz")
    labels = {"background": 0, "whole": [1, 2], "core": 2}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    (case,) = list_cases(tmp_path, "Ts")
    assert case.structures == {"core": (2,), "whole": (1, 2)} and sorted(case.names.values()) == [1, 2]


def nothing(folder: Path) -> None:
    (folder / "photos").mkdir(parents=True)
    (folder / "notes.txt").touch()


def no_validation_labels(folder: Path) -> None:
    write_amos(folder)
    for file in (folder / "labelsVa").iterdir():
        file.unlink()
    (folder / "labelsVa").rmdir()


def other_name(folder: Path) -> None:
    write_amos(folder)
    write(folder / "imagesTr/patient7.nii.gz")


def only_ct(folder: Path) -> None:
    write_amos(folder)
    (folder / "imagesVa/amos_0008.nii.gz").unlink()
    (folder / "imagesVa/amos_0540.nii.gz").unlink()


def comma_table(folder: Path) -> None:
    write_totalsegmentator(folder)
    table = folder / "meta.csv"
    table.write_text(table.read_text().replace(";", ","))


def wrong_split(folder: Path) -> None:
    write_totalsegmentator(folder)
    table = folder / "meta.csv"
    table.write_text(table.read_text().replace("s0002;", "../s0002;"))


def no_subject(folder: Path) -> None:
    write_totalsegmentator(folder)
    (folder / "s0002").rename(folder / "elsewhere")


def no_contrast(folder: Path) -> None:
    write_brats(folder)
    for number in range(5):
        (folder / f"BraTS2021_{number:05d}/BraTS2021_{number:05d}_t2.nii.gz").unlink()


BROKEN: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    "not there": (lambda folder: None, "set", "no such folder", "nnunet (imagesTr"),
    "no layout fits": (nothing, "set", "notes.txt, photos/", "brats (BraTS2021_00000"),
    "no labels of the validation part": (
        no_validation_labels,
        "amos_0008.nii.gz",
        "no such file",
        "the label map of amos_0008.nii.gz",
    ),
    "an image of another name": (other_name, "patient7.nii.gz", "'patient7.nii.gz'", "amos_0001.nii.gz"),
    "no image to score": (only_ct, "imagesVa", "no image of the modalities", "numbers up to 500"),
    "a table with commas": (comma_table, "meta.csv", "no column", "semicolons"),
    "a subject outside the folder": (wrong_split, "meta.csv", "../s0002", "ids like s0001"),
    "a subject that is not there": (no_subject, "s0002", "no such folder", "meta.csv names"),
    "a contrast that is not there": (no_contrast, "_t2.nii.gz", "no such file", "flair,seg"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_set_is_one_clear_error(tmp_path: Path, case: str) -> None:
    make, file, found, expected = BROKEN[case]
    make(tmp_path / "set")
    with pytest.raises(InputError) as caught:
        for part in ("Tr", "Ts"):
            list_cases(tmp_path / "set", part, READING)
    assert file in caught.value.file and found in caught.value.found and expected in caught.value.expected


def test_a_set_without_a_published_split_needs_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"general_reading\.test_fraction"):
        list_cases(write_brats(tmp_path / "set"), "Ts", AS_STORED)


def test_every_problem_of_a_set_is_found_without_reading_volumes(tmp_path: Path) -> None:
    folder = write_brats(tmp_path / "set")
    for number in (1, 3):
        (folder / f"BraTS2021_{number:05d}/BraTS2021_{number:05d}_seg.nii.gz").unlink()
    assert len(find_problems(folder)) == 2
    no_validation_labels(tmp_path / "amos")
    (error,) = find_problems(tmp_path / "amos")
    assert error.found == "no labelsVa" and "AMOS22" in error.expected


def test_resampling_keeps_a_ramp_and_its_extent() -> None:
    """A linear ramp in millimetres stays one, away from the ends; the extent stays within half a voxel."""
    z, y, x = np.meshgrid(*(np.arange(n) for n in (20, 30, 24)), indexing="ij")
    image = (z * 3.0 + y * 2.0 + x * 1.0).astype(np.float32)
    label = (z > 9).astype(np.uint8)
    out, labels, spacing = resample(image, label, (3.0, 2.0, 1.0), 1.5)
    assert out.shape == labels.shape == (40, 40, 16) and spacing == (1.5, 1.5, 1.5)
    inner = out[4:-4, 4:-4, 4:-4]
    for axis in range(3):
        # A triangle sampled on the source grid has a ripple of a few percent where the grid becomes coarser.
        np.testing.assert_allclose(np.diff(inner, axis=axis), 1.5, atol=0.06)
    np.testing.assert_allclose(inner.mean(), image.mean(), atol=0.01)
    assert labels[:20].sum() == 0 and labels[20:].all()


def test_resampling_leaves_a_matching_grid_alone() -> None:
    image = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)
    out, label, spacing = resample(image, image > 0, (2.0, 2.0, 2.0), 2.0)
    assert np.array_equal(out, image) and np.array_equal(label, image > 0) and spacing == (2.0, 2.0, 2.0)
