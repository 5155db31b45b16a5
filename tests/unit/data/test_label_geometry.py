"""Label maps reach the clip's own voxels: turned, mirrored, shifted, or refused; compared with SimpleITK's reading."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from annotation_files import seg_nrrd, segment
from PIL import Image
from raw_files import Cohort, draw_clip

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.palette import COLOURS
from uscl_med3d.data.annotations import Canvas, read_annotations
from uscl_med3d.data.clips import open_clip
from uscl_med3d.data.ingest import ingest

CLASSES = {"liver": 3, "kidney": 5}
SPACING = (0.4, 0.3, 0.6)


def labels() -> np.ndarray:
    """A label map (frames, rows, columns) without any symmetry."""
    array = np.zeros((7, 9, 12), np.uint8)
    array[1, 2:5, 1:7], array[4, 6:8, 3:11], array[4, 1, 1] = 3, 5, 3
    return array


def image_of(array: np.ndarray) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(SPACING)
    image.SetOrigin((-20.0, 15.0, 3.0))
    return image


def turn(image: SimpleITK.Image, order: tuple[int, ...], flips: tuple[bool, ...]) -> SimpleITK.Image:
    """The same image in the patient, its voxels stored in another order."""
    return SimpleITK.Flip(SimpleITK.PermuteAxes(image, order), flips)


def canvas(path: Path, frames: int = 7, height: int = 9, width: int = 12) -> Canvas:
    clip = open_clip(path)
    return Canvas(frames, height, width, CLASSES, clip.affine)


TURNS = list(itertools.product(itertools.permutations(range(3)), itertools.product((False, True), repeat=3)))


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("clip_suffix", [".nii.gz", ".nrrd", ".mha"])
def test_every_turn_and_mirror_gives_the_same_masks(tmp_path: Path, clip_suffix: str, suffix: str) -> None:
    array = labels()
    SimpleITK.WriteImage(image_of(array + 40), str(tmp_path / f"clip{clip_suffix}"))
    area = canvas(tmp_path / f"clip{clip_suffix}")
    assert area.affine is not None
    for order, flips in TURNS:
        path = tmp_path / f"label{suffix}"
        SimpleITK.WriteImage(turn(image_of(array), order, flips), str(path))
        masks = read_annotations(path, area)
        assert sorted(masks) == [1, 4]
        for frame, mask in masks.items():
            np.testing.assert_array_equal(mask, array[frame])
    assert not area.notes


def test_a_segmentation_of_a_part_by_its_place(tmp_path: Path) -> None:
    array = labels()
    SimpleITK.WriteImage(image_of(array + 40), str(tmp_path / "clip.nrrd"))
    part = turn(image_of(array)[1:12, 1:9, 0:6], (0, 1, 2), (True, True, False))
    for key, value in (segment(0, "liver", 3) | segment(1, "kidney", 5)).items():
        part.SetMetaData(key, str(value))
    SimpleITK.WriteImage(part, str(tmp_path / "a.seg.nrrd"))
    masks = read_annotations(tmp_path / "a.seg.nrrd", canvas(tmp_path / "clip.nrrd"))
    for frame in (1, 4):
        np.testing.assert_array_equal(masks[frame], array[frame])


@pytest.mark.parametrize(
    "change", ["spacing", "half a voxel", "elsewhere", "turned by 20 degrees", "outside"]
)
def test_other_grids_are_refused(tmp_path: Path, change: str) -> None:
    image = image_of(labels())
    SimpleITK.WriteImage(image + 40, str(tmp_path / "clip.nii.gz"))
    if change == "spacing":
        image.SetSpacing((0.4, 0.3, 0.5))
    elif change == "turned by 20 degrees":
        c, s = np.cos(0.35), np.sin(0.35)
        image.SetDirection((c, -s, 0, s, c, 0, 0, 0, 1))
    else:
        x = {"half a voxel": -19.8, "elsewhere": 400.0, "outside": -18.4}[change]
        image.SetOrigin((x, 15.0, 3.0))
    SimpleITK.WriteImage(image, str(tmp_path / "label.nii.gz"))
    with pytest.raises(InputError, match=r"by the affines of both"):
        read_annotations(tmp_path / "label.nii.gz", canvas(tmp_path / "clip.nii.gz"))


def test_without_a_place_voxel_by_voxel_and_said(tmp_path: Path) -> None:
    array = labels()
    SimpleITK.WriteImage(image_of(array + 40), str(tmp_path / "clip.nii.gz"))
    label = nibabel.Nifti1Image(array.T, None)
    nibabel.save(label, tmp_path / "label.nii.gz")
    area = canvas(tmp_path / "clip.nii.gz")
    np.testing.assert_array_equal(read_annotations(tmp_path / "label.nii.gz", area)[4], array[4])
    assert ["states no orientation" in note.text for note in area.notes] == [True]
    video = Canvas(7, 9, 12, CLASSES)  # a clip without any place
    SimpleITK.WriteImage(image_of(array), str(tmp_path / "placed.nii.gz"))
    np.testing.assert_array_equal(read_annotations(tmp_path / "placed.nii.gz", video)[4], array[4])
    assert ["voxel by voxel" in note.text for note in video.notes] == [True]
    with pytest.raises(InputError, match="11 x 9 x 7"):
        SimpleITK.WriteImage(image_of(array)[:11], str(tmp_path / "small.nii.gz"))
        read_annotations(tmp_path / "small.nii.gz", Canvas(7, 9, 12, CLASSES))


def test_canonical_label_of_a_clip_of_one_millimetre(tmp_path: Path) -> None:
    """A clip with the axes of LPS and 1 mm, its label brought to RAS by nibabel."""
    array = labels()
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(array.T + 40, affine), tmp_path / "clip.nii.gz")
    label = nibabel.as_closest_canonical(nibabel.Nifti1Image(array.T, affine))
    nibabel.save(label, tmp_path / "label.nii.gz")
    masks = read_annotations(tmp_path / "label.nii.gz", canvas(tmp_path / "clip.nii.gz"))
    np.testing.assert_array_equal(masks[4], array[4])


@pytest.mark.parametrize("where", ["key_frames", "corrections", "reference"])
@pytest.mark.parametrize("good", [True, False])
def test_ingest_uses_the_place_everywhere(
    cohort: Cohort, make_job, tmp_path: Path, where: str, good: bool
) -> None:
    clip, array = draw_clip(10), np.zeros((10, 64, 80), np.uint8)
    array[[2, 5, 7], 10:30, 20:50], array[5, 30:40, 20:30] = 3, 5
    cohort.folder.mkdir(exist_ok=True)
    for name, values in (("clip.nii.gz", clip), ("plain.nii.gz", array)):
        SimpleITK.WriteImage(image_of(values), str(cohort.folder / name))
    moved = turn(image_of(array), (0, 1, 2), (True, False, True))
    if not good:
        moved.SetOrigin((0.0, 0.0, 0.0))
    SimpleITK.WriteImage(moved, str(cohort.folder / "moved.nii.gz"))
    cohort.add("a", split="train", key_frames="")
    cohort.rows[0] |= {
        "video": "clip.nii.gz",
        "key_frames": "plain.nii.gz",
        "spacing_mm": "0.3 0.4",
        where: "moved.nii.gz",
    }
    job = make_job(spacing_mm=0.3, held_out_key_frames=0)
    try:
        ingest(job, cohort.save(), tmp_path / "volumes", tmp_path / "splits.csv")
    except InputError as error:
        assert not good and "by the affines of both" in str(error)
        return
    assert good
    name = "reference" if where == "reference" else "key_frames"
    got = np.asarray(nibabel.load(tmp_path / f"volumes/a/{name}.nii.gz").dataobj).T
    assert {3, 5} <= set(np.unique(got[5]).tolist())
    assert (got[5] == 3).sum() == pytest.approx(20 * 30 * 4 / 3, rel=0.05)
    grid = json.loads((tmp_path / "volumes/a/sidecar.json").read_text())["grid"]
    rows, columns = np.nonzero(got[5] == 5)
    assert rows.mean() + grid["h_start_px"] == pytest.approx(34.5, abs=1)
    assert (columns.mean() + 0.5) * grid["w_step_px"] + grid["w_start_px"] == pytest.approx(25, abs=1)


def indexed(path: Path, indices: np.ndarray, colours: list[tuple[int, int, int]]) -> Path:
    image = Image.fromarray(indices.astype(np.uint8), "P")
    image.putpalette([part for colour in colours for part in colour])
    path.parent.mkdir(exist_ok=True)
    image.save(path)
    return path.parent


def test_indexed_images_are_read_by_colour(tmp_path: Path) -> None:
    """A drawing program that drops unused colours renumbers the others."""
    area = Canvas(4, 2, 3, CLASSES)
    indices = np.array([[0, 1, 2], [2, 1, 3]])
    folder = indexed(
        tmp_path / "a/frame_0001.png", indices, [(0, 0, 0), COLOURS[4], COLOURS[2], (255, 255, 255)]
    )
    assert read_annotations(folder, area)[1].tolist() == [[0, 5, 3], [3, 5, 255]]
    ramp = [(n, n, n) for n in range(256)]
    folder = indexed(tmp_path / "b/frame_0001.png", np.array([[0, 3, 5], [255, 3, 0]]), ramp)
    assert read_annotations(folder, area)[1].tolist() == [[0, 3, 5], [255, 3, 0]]
    folder = indexed(
        tmp_path / "c/frame_0001.png",
        np.array([[0, 3, 5], [0, 3, 0]]),
        [(0, 0, 0), *[(n, 90, 7) for n in range(9)]],
    )
    with pytest.raises(InputError, match="indices of other colours: 3"):
        read_annotations(folder, area)


@pytest.mark.parametrize(("bits", "values"), [(2, [0, 1, 2, 3]), (4, [0, 3, 5, 3])])
def test_grey_values_of_few_bits(tmp_path: Path, bits: int, values: list[int]) -> None:
    """Pillow spreads 2 and 4 bits over 0..255; the labels are the values that were stored."""
    import struct
    import zlib

    packed = sum(value << (bits * (3 - n)) for n, value in enumerate(values)).to_bytes(4 * bits // 8, "big")
    chunks = [
        (b"IHDR", struct.pack(">2I5B", 4, 1, bits, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" + packed)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    (tmp_path / "frame_0000.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    mask = read_annotations(tmp_path, Canvas(1, 1, 4, {"a": 1, "b": 2, "c": 3, "d": 5}))[0]
    assert mask.tolist() == [values]


@pytest.mark.parametrize("kind", ["png", "nifti"])
def test_zero_and_255_with_one_class(tmp_path: Path, kind: str) -> None:
    mask = np.zeros((5, 6), np.uint8)
    mask[1:3, 2:4] = 255

    def save(masks: dict[int, np.ndarray]) -> Path:
        if kind == "png":
            for number, one in masks.items():
                Image.fromarray(one).save(tmp_path / f"frame_{number:04d}.png")
            return tmp_path
        array = np.zeros((4, 5, 6), np.uint8)
        for number, one in masks.items():
            array[number] = one
        nibabel.save(nibabel.Nifti1Image(array.T, np.eye(4)), tmp_path / "a.nii.gz")
        return tmp_path / "a.nii.gz"

    single: Any = Canvas(4, 5, 6, {"liver": 3})
    got = read_annotations(save({1: mask, 2: mask}), single)
    assert set(np.unique(got[1]).tolist()) == {0, 3} and "the only class" in single.notes[0].text
    several = read_annotations(save({1: mask, 2: mask}), Canvas(4, 5, 6, CLASSES))
    assert set(np.unique(several[1]).tolist()) == {0, 255}
    ignored: Any = Canvas(4, 5, 6, {"liver": 3})
    assert 255 in read_annotations(save({1: mask, 2: np.full((5, 6), 255, np.uint8)}), ignored)[1]


def test_a_segmentation_without_space_takes_its_offset(tmp_path: Path) -> None:
    array = np.zeros((2, 3, 3), np.uint8)
    array[0, 1, 1] = 1
    path = seg_nrrd(
        tmp_path / "a.seg.nrrd",
        array,
        segment(0, "liver") | {"Segmentation_ReferenceImageExtentOffset": "2 1 1"},
    )
    mask = read_annotations(path, Canvas(4, 5, 6, CLASSES))[1]
    assert np.argwhere(mask == 3).tolist() == [[2, 3]]
