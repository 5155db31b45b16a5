"""General-domain sets in nnU-Net layout."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import save_volume
from uscl_med3d.data.general import list_cases, load_case

SPACING_MM = (3.0, 2.0, 1.5)


def write_set(folder: Path, *images: str, labels: dict | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(
        json.dumps({"labels": labels or {"background": 0, "liver": 1, "spleen": 2}})
    )
    rng = np.random.default_rng(0)
    for name in images:
        save_volume(
            folder / f"imagesTr/{name}.nii.gz", rng.normal(size=(4, 5, 6)).astype(np.float32), SPACING_MM
        )
        case = name[:-5] if name[-5:].startswith("_0") else name
        save_volume(
            folder / f"labelsTr/{case}.nii.gz", rng.integers(0, 3, (4, 5, 6)).astype(np.uint8), SPACING_MM
        )
    return folder


@pytest.mark.parametrize("name", ["case_07", "case_07_0000"])
def test_a_case(tmp_path: Path, name: str) -> None:
    (case,) = list_cases(write_set(tmp_path, name), "Tr")
    assert case.id == case.patient == "case_07"
    image, label, spacing_mm, names = load_case(case)
    assert image.shape == label.shape == (4, 5, 6)
    assert image.dtype == np.float32 and label.dtype == np.uint8
    assert spacing_mm == SPACING_MM
    assert names == {"liver": 1, "spleen": 2}


def test_each_contrast_is_a_case_with_the_patients_label(tmp_path: Path) -> None:
    cases = list_cases(write_set(tmp_path, "b_0000", "b_0001", "a_0000"), "Tr")
    assert [case.id for case in cases] == ["a", "b_0000", "b_0001"]
    assert cases[1].label == cases[2].label and cases[1].patient == cases[2].patient == "b"


def test_both_published_orders_of_label_names(tmp_path: Path) -> None:
    (case,) = list_cases(write_set(tmp_path, "a", labels={"0": "background", "3": "left kidney"}), "Tr")
    assert case.names == {"left kidney": 3}


def test_axes_are_brought_to_one_order(tmp_path: Path) -> None:
    (case,) = list_cases(write_set(tmp_path, "a"), "Tr")
    image, label, _, _ = load_case(case)
    for path in (case.image, case.label):
        volume = nibabel.load(path)
        array, affine = np.asanyarray(volume.dataobj), volume.affine
        turned = nibabel.Nifti1Image(
            array[::-1, ::-1].transpose(1, 0, 2), affine[:, [1, 0, 2, 3]] @ np.diag([-1, -1, 1, 1])
        )
        nibabel.save(turned, path)
    again, label_again, spacing_mm, _ = load_case(case)
    np.testing.assert_array_equal(again, image)
    np.testing.assert_array_equal(label_again, label)
    assert spacing_mm == SPACING_MM


def test_errors_name_the_file(tmp_path: Path) -> None:
    folder = write_set(tmp_path, "a")
    (folder / "labelsTr/a.nii.gz").rename(folder / "labelsTr/b.nii.gz")
    with pytest.raises(InputError, match=r"labelsTr/a\.nii\.gz"):
        list_cases(folder, "Tr")
    with pytest.raises(InputError, match="imagesTs"):
        list_cases(folder, "Ts")
    (folder / "dataset.json").write_text('{"labels": ["liver"]}')
    with pytest.raises(InputError, match=r"dataset\.json"):
        list_cases(folder, "Tr")
    (folder / "dataset.json").unlink()
    with pytest.raises(InputError, match=r"dataset\.json"):
        list_cases(folder, "Tr")


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.full((4, 5, 6), np.nan, np.float32), "NaN"),
        (np.zeros((4, 5, 7), np.float32), r"shape \(4, 5, 6\)"),
    ],
)
def test_bad_volumes(tmp_path: Path, array: np.ndarray, found: str) -> None:
    (case,) = list_cases(write_set(tmp_path, "a"), "Tr")
    save_volume(case.image, array, SPACING_MM)
    with pytest.raises(InputError, match=found):
        load_case(case)


def moved(path: Path, change) -> None:
    """Write the voxels of a file again with another affine."""
    volume = nibabel.load(path)
    array = np.asanyarray(volume.dataobj)
    nibabel.save(nibabel.Nifti1Image(array, change(volume.affine.copy(), array.shape)), path)


def mirror(affine, shape):
    """As tools write it that drop the header's directions."""
    affine[0] *= -1
    return affine


def shift(affine, shape):
    affine[:3, 3] += 1.0
    return affine


@pytest.mark.parametrize("change", [mirror, shift])
def test_a_label_that_lies_elsewhere_is_refused(tmp_path: Path, change) -> None:
    """The shapes agree, the places do not."""
    (case,) = list_cases(write_set(tmp_path, "a"), "Tr")
    moved(case.label, change)
    with pytest.raises(InputError, match=r"(?s)labelsTr/a.nii.gz.*voxels beside.*mirrored"):
        load_case(case)
    moved(case.image, change)
    load_case(case)


def test_rounding_in_headers_is_no_other_place(tmp_path: Path) -> None:
    (case,) = list_cases(write_set(tmp_path, "a"), "Tr")
    moved(case.label, lambda affine, shape: affine + np.diag([1e-3, 1e-3, 1e-3, 0]))
    load_case(case)


def test_official_reading_is_the_official_grid(tmp_path: Path, shared: Path) -> None:
    """The fixture's volumes through a set: recorded canonical voxels, own values, (d, h, w) = (S, A, R)."""
    import shutil

    from safetensors.torch import load_file

    from uscl_med3d.data.general import AS_STORED

    folder = write_set(tmp_path, labels={"background": 0, "a": 1, "b": 2, "c": 3, "d": 4})
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir()
    for name in ("axial", "oblique"):
        source = shared / "reference/sam_med3d_pipeline"
        shutil.copy(source / f"{name}_image.nii.gz", folder / f"imagesTr/{name}.nii.gz")
        shutil.copy(source / f"{name}_label.nii.gz", folder / f"labelsTr/{name}.nii.gz")
    tensors = load_file(shared / "reference/sam_med3d_pipeline.tiny.safetensors")
    reading = replace(AS_STORED, spacing_mm=1.5, preprocessing="official")
    for case in list_cases(folder, "Tr", reading):
        image, label, spacing_mm, _ = load_case(case)
        assert spacing_mm == (1.5, 1.5, 1.5) and image.min() < 0 and image.dtype == np.float32
        np.testing.assert_array_equal(image.T, tensors[f"{case.id}/canonical.image"].float().numpy())
        np.testing.assert_array_equal(label.T, tensors[f"{case.id}/canonical.label"].numpy())
        ours = load_case(replace(case, preprocessing="ours"))[0]
        assert ours.shape != image.shape or np.abs(ours - image).max() > 1
    with pytest.raises(InputError, match="without a spacing"):
        load_case(replace(case, spacing_mm=None))
