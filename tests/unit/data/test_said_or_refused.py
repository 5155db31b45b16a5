"""What was once read wrongly without a word: it is read rightly, said, or refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from annotation_files import (
    CANVAS,
    CLASSES,
    RECTANGLE,
    coco,
    cvat_images,
    cvat_video,
    labelme,
    of,
    outline,
    polygon,
    tracked,
)
from PIL import Image
from raw_files import SETTINGS, draw_clip
from test_clips import ramp, write_dicom
from test_cohort_table import GOOD, write
from test_dicom_files import write_series

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.ingest import Fan
from uscl_med3d.data.annotations import Canvas, read_annotations, read_label_map
from uscl_med3d.data.annotations.naming import name_clip
from uscl_med3d.data.clips import open_clip, read_clip
from uscl_med3d.data.clips.grey_values import describe_bits, describe_inversion, read_padding
from uscl_med3d.data.cohort import read_cohort
from uscl_med3d.data.inspect import inspect_sweep

ROWS = [("P01", "P01", "videos/P01.mp4"), ("P02", "P02", "videos/P02.mp4")]


def canvas(number: int = 0, rows: list[tuple[str, str, str]] = ROWS) -> Canvas:
    others = [row for row in rows if row is not rows[number]]
    return Canvas(4, 5, 6, CLASSES, None, name_clip(*rows[number], others))


def said(clip: Any) -> list[str]:
    return [note.text for note in clip.notes]


# Annotations


@pytest.mark.parametrize(
    "image",
    [
        "../P02/frames/frame_0001.png",
        "D:\\study\\P02\\images\\frame_0001.png",
        "P02.png",
        "P02-0001.png",
        "../P02/other/frames/frame_0001.png",
    ],
)
def test_labelme_drawn_on_a_picture_of_another_clip(tmp_path: Path, image: str) -> None:
    path = labelme(tmp_path / "drawn/frame_0001.json", [outline("liver", RECTANGLE)], imagePath=image)
    with pytest.raises(InputError, match="p02"):
        read_annotations(path, canvas(0))
    own = image.replace("P02", "P01").replace("other/frames", "frames")
    path = labelme(tmp_path / "own/frame_0001.json", [outline("liver", RECTANGLE)], imagePath=own)
    assert list(read_annotations(path, canvas(0))) == [1]


def test_a_patient_of_two_clips_in_a_path_names_neither(tmp_path: Path) -> None:
    rows = [("right", "P01", "v/right.mp4"), ("left", "P01", "v/left.mp4")]
    path = labelme(
        tmp_path / "frame_0001.json", [outline("liver", RECTANGLE)], imagePath="../P01/frames/frame_0001.png"
    )
    assert list(read_annotations(path, canvas(0, rows))) == [1]


@pytest.mark.parametrize("key", ["path", "coco_url"])
def test_coco_with_the_place_of_the_image(tmp_path: Path, key: str) -> None:
    for name, good in (("P01", True), ("P02", False)):
        image = {"id": 10, "file_name": "frame_0001.png", "height": 5, "width": 6}
        image[key] = f"http://server/datasets/{name}/frame_0001.png"
        path = coco(tmp_path / f"{name}.json", [of(10, [RECTANGLE])], images=[image])
        if good:
            assert list(read_annotations(path, canvas(0))) == [1]
        else:
            with pytest.raises(InputError, match="p02"):
                read_annotations(path, canvas(0))


def test_clips_whose_names_differ_by_separators_alone(tmp_path: Path) -> None:
    rows = [("S-3", "X3", "v/x.mp4"), ("S_3", "X4", "v/y.mp4")]
    names = ("S-3/frame_0001.png", "S_3/frame_0002.png")
    images = [{"id": 10 + i, "file_name": name, "height": 5, "width": 6} for i, name in enumerate(names)]
    path = coco(tmp_path / "all.json", [of(10, [RECTANGLE]), of(11, [RECTANGLE])], images=images)
    for number in (0, 1):
        with pytest.raises(InputError, match="annotations of"):
            read_annotations(path, canvas(number, rows))


def test_frames_without_a_name_beside_named_ones(tmp_path: Path) -> None:
    for name in ("P01_frame_0001.json", "frame_0002.json"):
        labelme(tmp_path / "drawn" / name, [outline("liver", RECTANGLE)], imagePath="")
    with pytest.raises(InputError, match=r"annotations of 2 clips: .*no name"):
        read_annotations(tmp_path / "drawn", canvas(0))


def test_overlapping_shapes_are_said(tmp_path: Path) -> None:
    area = canvas()
    path = coco(
        tmp_path / "a.json",
        [of(10, [RECTANGLE], 7), of(10, [RECTANGLE], 8)],
        images=[{"id": 10, "file_name": "frame_0001.png", "height": 5, "width": 6}],
    )
    assert set(np.unique(read_annotations(path, area)[1])) == {0, 1}
    assert "overlap in 1 frame(s), first in frame 1 (6 pixels)" in said(area)[0]
    area = canvas()
    tracks = [("liver", tracked(1, RECTANGLE)), ("kidney", tracked(1, RECTANGLE))]
    read_annotations(cvat_video(tmp_path / "a.xml", tracks), area)
    assert "overlap in 1 frame(s)" in said(area)[0]


def test_images_of_a_cvat_task_that_takes_every_second_frame(tmp_path: Path) -> None:
    task = (
        "<task><id>1</id><name>t</name><size>2</size><mode>interpolation</mode><start_frame>1</start_frame>"
        "<stop_frame>3</stop_frame><frame_filter>step=2</frame_filter><source>P01.mp4</source></task>"
    )
    for frame, fits in ((0, False), (1, True), (2, False), (3, True)):
        path = cvat_images(tmp_path / "a.xml", {f"frame_{frame:06d}": polygon("liver", RECTANGLE)})
        path.write_text(path.read_text().replace("<image", f"<meta>{task}</meta><image", 1))
        if fits:
            assert list(read_annotations(path, canvas(0))) == [frame]
        else:
            with pytest.raises(InputError, match="does not have"):
                read_annotations(path, canvas(0))


@pytest.mark.parametrize("name", ["a.seg.nrrd", "a.nrrd", "a.seg.nhdr", "a.nhdr"])
def test_a_segmentation_of_slicer_whatever_its_name(tmp_path: Path, name: str) -> None:
    """Its values are 1 and 2, which are other classes of the cohort than its names say."""
    array = np.zeros((4, 5, 6), np.uint8)
    array[1, 1:3, 1:4], array[2, 3:, 3:] = 1, 2
    image = SimpleITK.GetImageFromArray(array)
    for number, segment in enumerate(("liver", "kidney")):
        for key, value in (("Name", segment), ("LabelValue", str(number + 1)), ("Layer", "0")):
            image.SetMetaData(f"Segment{number}_{key}", value)
    SimpleITK.WriteImage(image, str(tmp_path / name))
    right = np.choose(array, [0, CLASSES["liver"], CLASSES["kidney"]])
    masks = read_annotations(tmp_path / name, CANVAS)
    assert sorted(masks) == [1, 2]
    for frame, mask in masks.items():
        np.testing.assert_array_equal(mask, right[frame])
    np.testing.assert_array_equal(read_label_map(tmp_path / name, CANVAS), right)


def test_what_is_assumed_of_a_label_is_said(tmp_path: Path) -> None:
    labels = np.zeros((6, 5, 4), np.uint8)
    labels[1:4, 1:3, 1] = 3
    affine = np.diag([0.3, 0.4, 1.0, 1.0])
    image = nibabel.Nifti1Image(labels, affine)
    image.set_qform(np.diag([-0.3, 0.4, 1.0, 1.0]), 1)
    image.to_filename(tmp_path / "two.nii.gz")
    area = Canvas(4, 5, 6, CLASSES, affine)
    read_annotations(tmp_path / "two.nii.gz", area)
    assert "two.nii.gz: qform and sform" in said(area)[0]
    affine = affine.copy()
    affine[2, 3] = 1.0
    nibabel.Nifti1Image(labels, affine).to_filename(tmp_path / "moved.nii.gz")
    area = Canvas(4, 5, 6, CLASSES, np.diag([0.3, 0.4, 1.0, 1.0]))
    assert list(read_annotations(tmp_path / "moved.nii.gz", area)) == [2]
    assert "begins at its voxel (0, 0, 1)" in said(area)[0]


def test_masks_that_are_more_than_their_pixels(tmp_path: Path) -> None:
    mask = np.zeros((5, 6), np.uint8)
    mask[1:3, 1:4] = 3
    image, turned = Image.fromarray(mask), Image.Exif()
    turned[0x0112] = 3
    for name, more in (
        ("several", {"save_all": True, "append_images": [Image.fromarray(mask[::-1])]}),
        ("turned", {"exif": turned}),
    ):
        (tmp_path / name).mkdir()
        image.save(tmp_path / name / "frame_0001.png", **more)
        with pytest.raises(InputError, match=r"2 pictures|EXIF"):
            read_annotations(tmp_path / name, CANVAS)


def test_a_path_that_names_another_clip_is_said(tmp_path: Path) -> None:
    array = draw_clip()
    nibabel.Nifti1Image(array.T, np.eye(4)).to_filename(tmp_path / "P01.nii")
    labels = np.zeros_like(array)
    labels[3, 20:40, 30:50] = 3
    table = tmp_path / "cohort.csv"
    for name in ("P01", "P02"):
        (tmp_path / "labels").mkdir(exist_ok=True)
        nibabel.Nifti1Image(labels.T, np.eye(4)).to_filename(tmp_path / f"labels/{name}.nii")
    found = []
    for name in ("P01", "P02"):
        cells = {"sweep": "P01", "video": "P01.nii", "key_frames": f"labels/{name}.nii", "spacing_mm": ""}
        (row,), _ = read_cohort(write(table, GOOD | cells))
        inspection = inspect_sweep(row, Fan(**SETTINGS["fan"]), {"liver": 3}, name_clip(*ROWS[0], [ROWS[1]]))
        assert not inspection.errors
        found.append(any("names p02: the table is believed" in text for text in said_of(inspection)))
    assert found == [False, True]


def said_of(inspection: Any) -> list[str]:
    return [note.text for note in inspection.assumed]


# Series and single files of DICOM


def numbers(*values: int | None) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        for value, file in zip(values, sorted(folder.iterdir()), strict=True):
            dataset = pydicom.dcmread(file)
            if value is None:
                del dataset.InstanceNumber
            else:
                dataset.InstanceNumber = value
            dataset.save_as(file)

    return edit


def test_frames_without_numbers_come_by_their_names(tmp_path: Path) -> None:
    array = np.concatenate([ramp(), ramp() + 40])
    folder = write_series(tmp_path / "series", array)
    for file in sorted(folder.iterdir()):
        dataset = pydicom.dcmread(file)
        name = f"im{dataset.InstanceNumber}.dcm"
        del dataset.InstanceNumber
        file.unlink()
        dataset.save_as(folder / name)
    clip = open_clip(folder)
    np.testing.assert_array_equal(np.stack(list(clip.frames())), array)
    assert any("order of their file names" in text for text in said(clip))


@pytest.mark.parametrize("values", [(1, 1, 1, 1, 1, 1), (1, 2, 3, 1, 2, 3), (1, 2, None, 4, 5, 6)])
def test_numbers_that_say_no_order(tmp_path: Path, values: tuple[int | None, ...]) -> None:
    folder = write_series(tmp_path / "series", ramp())
    numbers(*values)(folder)
    with pytest.raises(InputError, match="no order"):
        open_clip(folder)


def test_a_series_of_volumes_in_time(tmp_path: Path) -> None:
    def series(name: str, steps: list[float]) -> Path:
        return write_series(
            tmp_path / name,
            ramp(),
            ImagePositionPatient=[[0.0, 0.0, step] for step in steps],
            ImageOrientationPatient=[[1, 0, 0, 0, 1, 0]] * 6,
            PixelSpacing=[[0.4, 0.4]] * 6,
        )

    with pytest.raises(InputError, match="6 frames at 3 places"):
        open_clip(series("times", [0.0, 1.0, 2.0, 0.0, 1.0, 2.0]))
    # A probe that rests for a while is no volume in time.
    assert len(list(open_clip(series("rest", [0.0, 0.0, 0.0, 1.0, 2.0, 3.0])).frames())) == 6


def dicom(path: Path, pixels: np.ndarray, **values: Any) -> Path:
    """A file of 16-bit words."""
    write_dicom(path, pixels.astype(np.uint8), "MONOCHROME2")
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pixels.astype("<i2").tobytes()
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path


def test_grey_values_that_a_header_turns_or_moves(tmp_path: Path) -> None:
    array = ramp().astype(np.int32) * 16
    for keyword, value in (("RescaleSlope", "-1"), ("PresentationLUTShape", "INVERSE")):
        clip = open_clip(dicom(tmp_path / f"{keyword}.dcm", array, **{keyword: value}))
        list(clip.frames())
        assert any("inverted" in text for text in said(clip))
    clip = open_clip(dicom(tmp_path / "plain.dcm", array))
    list(clip.frames())
    assert said(clip) == [f"grey values of 12 bits: {array.min()} to {array.max()} become 0 to 255"]
    left = dicom(tmp_path / "left.dcm", array, HighBit=15)
    with pytest.raises(InputError, match="12 bits that end at bit 15 of words of 16 bits"):
        open_clip(left)


def test_padding_does_not_darken_the_image(tmp_path: Path) -> None:
    array = ramp().astype(np.int32) * 4
    padded = array.copy()
    padded[:, :2, :2] = -2000
    path = dicom(tmp_path / "padded.dcm", padded, PixelRepresentation=1)
    dataset = pydicom.dcmread(path)
    dataset.add_new(0x00280120, "SS", -2000)
    dataset.save_as(path)
    frames, _ = read_clip(path)
    inside = np.ones(array.shape, bool)
    inside[:, :2, :2] = False
    low, high = array[inside].min(), array[inside].max()
    expected = np.rint((array - low) * (255.0 / (high - low)))
    np.testing.assert_array_equal(frames[inside], expected[inside].astype(np.uint8))


# Volumes

META = "ObjectType = Image\nNDims = 3\nBinaryData = True\nDimSize = 8 6 5\nElementType = {}\nElementDataFile = {}\n"
NRRD = "NRRD0004\ntype: {}\ndimension: 3\nsizes: 8 6 5\nencoding: {}\nendian: little\n"


def volumes(folder: Path, content: bytes, wide: bool = False) -> list[Path]:
    """One volume of 8 x 6 x 5 bytes, or words, in every format; `content` is what lies behind the header."""
    meta, nrrd, dtype = ("MET_SHORT", "int16", np.int16) if wide else ("MET_UCHAR", "uint8", np.uint8)
    header = nibabel.Nifti1Image(np.zeros((8, 6, 5), dtype), np.eye(4)).to_bytes()[:352]
    (folder / "a.raw").write_bytes(content)
    for name, data in {
        "a.mhd": META.format(meta, "a.raw").encode(),
        "a.mha": META.format(meta, "LOCAL").encode() + content,
        "a.nrrd": NRRD.format(nrrd, "raw").encode() + b"\n" + content,
        "b.nrrd": NRRD.format(nrrd, "gzip").encode() + b"\n" + gzip.compress(content),
        "a.nhdr": NRRD.format(nrrd, "raw").encode() + b"data file: a.raw\n",
        "a.nii": header + content,
        "a.nii.gz": gzip.compress(header + content),
    }.items():
        (folder / name).write_bytes(data)
    return sorted(path for path in folder.iterdir() if path.suffix != ".raw")


def test_files_that_hold_more_than_their_header_declares(tmp_path: Path) -> None:
    values = np.arange(240, dtype=np.uint8)
    for path in volumes(tmp_path, values.tobytes() + b"\0" * 16):  # a little padding is no frame
        np.testing.assert_array_equal(read_clip(path)[0].ravel(), values)
    for path in volumes(tmp_path, values.astype(np.int16).tobytes(), wide=True):
        read_clip(path)
    for content in (values.tobytes() + values[:48].tobytes(), values.astype(np.int16).tobytes()):
        for path in volumes(tmp_path, content):
            with pytest.raises(InputError, match="bytes of voxels"):
                open_clip(path)


def test_a_long_header_extension_is_no_frame(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.arange(240, dtype=np.uint8).reshape(8, 6, 5), np.eye(4))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"x" * 70_000))
    for name in ("a.nii", "a.nii.gz"):
        image.to_filename(tmp_path / name)
        assert len(read_clip(tmp_path / name)[0]) == 5


def test_scaled_values_are_said(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.arange(240, dtype=np.int16).reshape(8, 6, 5) - 100, np.eye(4))
    image.to_filename(tmp_path / "a.nii")
    clip = open_clip(tmp_path / "a.nii")
    list(clip.frames())
    assert "values of type int16: -100 to 139 become 0 to 255" in said(clip)


@pytest.mark.parametrize(
    ("space", "placed"),
    [("space: RAS", True), ("space: left-posterior-superior", True), ("space: scanner-xyz", False)],
)
def test_spaces_that_name_no_side_of_the_patient(tmp_path: Path, space: str, placed: bool) -> None:
    axes = "space directions: (0.3,0,0) (0,0.4,0) (0,0,1)\nspace origin: (1,2,3)\n"
    content = np.arange(240, dtype=np.uint8).tobytes()
    head = NRRD.format("uint8", "raw") + f"{space}\n{axes}\n"
    (tmp_path / "a.nrrd").write_bytes(head.encode() + content)
    assert (open_clip(tmp_path / "a.nrrd").affine is not None) is placed


# Tables


@pytest.mark.parametrize("word", ["NA", "nan", "NULL", "None"])
@pytest.mark.parametrize("column", ["patient", "sweep"])
def test_a_missing_value_is_no_id(tmp_path: Path, column: str, word: str) -> None:
    rows, errors = read_cohort(write(tmp_path / "cohort.csv", GOOD | {column: word}))
    assert not rows and "there is none" in errors[0].expected


@pytest.mark.parametrize("error", [NotImplementedError, pydicom.errors.BytesLengthException])
def test_a_damaged_element_says_nothing_of_the_grey_values(error) -> None:
    """pydicom raises these for an unknown kind of value and for a wrong number of bytes; found by fuzzing."""

    class Damaged:
        def get(self, name: str) -> None:
            raise error(name)

    header = Damaged()
    assert describe_bits(header) == describe_inversion(header) == ""
    assert read_padding(header) is None
