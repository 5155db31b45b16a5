"""Volumes and segmentations: format x type x orientation x units, against nibabel, SimpleITK, slicerio and pycocotools."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from pycocotools import mask as coco_mask

from uscl_med3d.data.annotations import Canvas, read_annotations
from uscl_med3d.data.clips import open_clip
from uscl_med3d.user.inputs import read_source

SHAPE = (5, 7, 9)  # frames, rows, columns
ORIENTATIONS = ("LPS", "RAS", "LAI", "PIR", "SRP", "IPL", "RPI", "AIL")
TYPES = ("uint8", "int16", "uint16", "float32", "int8", "uint32")
SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def draw(kind: str) -> np.ndarray:
    values = np.random.default_rng(5).integers(0, 100, SHAPE)
    return (values - 30 if kind in ("int16", "int8", "float32") else values + 7).astype(kind)


def oriented(array: np.ndarray, code: str) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing((0.3, 0.4, 0.7))
    image.SetOrigin((-11.0, 4.0, 2.5))
    return SimpleITK.DICOMOrient(image, code)


def affine_of(image: SimpleITK.Image) -> np.ndarray:
    """Voxel -> RAS millimetres."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return FLIP @ affine


def as_grey(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    wide = array.astype(np.float32)
    return np.rint((wide - array.min()) * (255.0 / (float(array.max()) - float(array.min())))).astype(
        np.uint8
    )


@pytest.mark.parametrize("code", ORIENTATIONS)
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_formats_types_and_orientations(tmp_path: Path, suffix: str, kind: str, code: str) -> None:
    path = tmp_path / f"a{suffix}"
    SimpleITK.WriteImage(oriented(draw(kind), code), str(path))
    again = SimpleITK.ReadImage(str(path))
    clip = open_clip(path)
    np.testing.assert_array_equal(np.stack(list(clip.frames())), as_grey(SimpleITK.GetArrayFromImage(again)))
    assert clip.affine is not None
    np.testing.assert_allclose(clip.affine, affine_of(again), atol=1e-5)
    source = read_source(path)
    column, row, _ = again.GetSpacing()
    assert (
        source.pixel_spacing_mm == pytest.approx((row, column), rel=1e-5) and source.spacing_from == "header"
    )


@pytest.mark.parametrize("shape", ["xyz", "xyz1", "xyz11", "xy1t"])
@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 1), (1, 1), (2, 4)])
@pytest.mark.parametrize("unit", ["unknown", "meter", "mm", "micron"])
def test_units_and_codes_of_nifti(tmp_path: Path, unit: str, codes: tuple[int, int], shape: str) -> None:
    array = draw("uint8").T
    factor = {"unknown": 1.0, "meter": 1e-3, "mm": 1.0, "micron": 1e3}[unit]
    affine = np.diag([0.3 * factor, -0.4 * factor, 0.7 * factor, 1.0])
    affine[:3, 3] = np.array([-3.0, 5.0, 1.0]) * factor
    stored = {
        "xyz": array,
        "xyz1": array[..., None],
        "xyz11": array[..., None, None],
        "xy1t": array[:, :, None],
    }[shape]
    image = nibabel.Nifti1Image(stored, None)
    image.header.set_zooms((0.3 * factor, 0.4 * factor, 0.7 * factor, *[1.0] * (stored.ndim - 3)))
    image.set_qform(affine, codes[0], strip_shears=True)
    image.set_sform(affine, codes[1])
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii.gz")
    source = read_source(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(source.frames, draw("uint8"))
    if shape == "xyz":  # ITK, too, brings lengths to millimetres
        column, row, _ = SimpleITK.ReadImage(str(tmp_path / "a.nii.gz")).GetSpacing()
        assert source.pixel_spacing_mm == pytest.approx((row, column), rel=1e-4)
    assert source.pixel_spacing_mm == pytest.approx((0.4, 0.3), rel=1e-4)
    if codes == (0, 0) or shape == "xy1t":
        assert source.affine is None
    else:
        expected = np.diag([1 / factor, 1 / factor, 1 / factor, 1]) @ affine
        np.testing.assert_allclose(source.affine, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("word", "factor"), [("mm", 1.0), ("um", 1e-3), ("cm", 10.0), ("m", 1000.0), (None, 1.0)]
)
@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_units_of_other_headers(tmp_path: Path, suffix: str, word: str | None, factor: float) -> None:
    path = tmp_path / f"a{suffix}"
    image = oriented(draw("uint8"), "LPS")
    image.SetSpacing([side / factor for side in image.GetSpacing()])  # 0.4 and 0.3 mm in every unit
    SimpleITK.WriteImage(image, str(path))
    if word is not None:
        line = (
            f'space units: "{word}" "{word}" "{word}"\n' if suffix == ".nrrd" else f"DistanceUnits = {word}\n"
        )
        before = b"space: " if suffix == ".nrrd" else b"DimSize"
        data = path.read_bytes()
        at = data.index(before)
        at = data.index(b"\n", at) + 1 if suffix == ".nrrd" else at
        path.write_bytes(data[:at] + line.encode() + data[at:])
    source = read_source(path)
    assert source.pixel_spacing_mm == pytest.approx((0.4, 0.3))
    assert any("brought to millimetres" in note.text for note in source.notes) == (factor != 1.0)


def canvas() -> Canvas:
    return Canvas(4, 30, 40, {"liver": 3, "kidney": 5})


@pytest.mark.parametrize("crowd", ["text", "numbers"])
@pytest.mark.parametrize("seed", range(10))
def test_run_lengths_of_pycocotools(tmp_path: Path, seed: int, crowd: str) -> None:
    rng = np.random.default_rng(seed)
    area = (rng.random((30, 40)) < rng.random()).astype(np.uint8)
    area[10:20, 5:30] |= np.uint8(seed % 2)
    packed = coco_mask.encode(np.asfortranarray(area))
    counts: object = packed["counts"].decode()
    if crowd == "numbers":
        flat, runs, value = area.ravel(order="F"), [], 0
        for key, group in itertools.groupby(flat.tolist()):
            if key != value and not runs:
                runs.append(0)
            runs.append(len(list(group)))
        counts = runs
    content = {
        "images": [{"id": 1, "file_name": "frame_0002.png", "height": 30, "width": 40}],
        "categories": [{"id": 1, "name": "liver"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "iscrowd": 1,
                "segmentation": {"size": [30, 40], "counts": counts},
            }
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = read_annotations(tmp_path / "a.json", canvas())
    np.testing.assert_array_equal(found[2] == 3, coco_mask.decode(packed).astype(bool))


@pytest.mark.parametrize("seed", range(12))
def test_segmentations_of_slicerio(tmp_path: Path, seed: int) -> None:
    import slicerio

    rng = np.random.default_rng(seed)
    code = ORIENTATIONS[seed % len(ORIENTATIONS)]
    grid = SimpleITK.GetImageFromArray(np.zeros((4, 30, 40), np.uint8))
    grid.SetSpacing((0.3, 0.4, 0.7))
    clip = affine_of(grid)
    labels = np.zeros((4, 30, 40), np.uint8)
    labels[rng.integers(0, 4), 3:9, rng.integers(0, 9) : 25] = 1
    labels[rng.integers(0, 4), 15:20, 30:36] = 2
    stored = SimpleITK.GetImageFromArray(labels)
    stored.CopyInformation(grid)
    turned = SimpleITK.DICOMOrient(stored, code)
    segmentation = {
        "voxels": SimpleITK.GetArrayFromImage(turned).T,
        "ijkToLPS": FLIP @ affine_of(turned),
        "encoding": "gzip",
        "segments": [
            {"id": f"S{n}", "name": name, "labelValue": n, "layer": 0}
            for n, name in ((1, "Liver"), (2, "kidney"))
        ],
        "image": {"encoding": "gzip"},
    }
    slicerio.write_segmentation(str(tmp_path / "a.seg.nrrd"), segmentation)
    again = slicerio.read_segmentation(str(tmp_path / "a.seg.nrrd"))
    np.testing.assert_array_equal(again["voxels"], segmentation["voxels"])
    area = Canvas(4, 30, 40, {"liver": 3, "kidney": 5}, clip)
    found = read_annotations(tmp_path / "a.seg.nrrd", area)
    for frame in range(4):
        expected = np.array([0, 3, 5], np.uint8)[labels[frame]]
        if expected.any():
            np.testing.assert_array_equal(found[frame], expected)
        else:
            assert frame not in found
