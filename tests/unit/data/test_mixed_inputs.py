"""Inputs that are each in order and do not go together: refused or said. Files that are there by chance: passed over."""

from __future__ import annotations

from pathlib import Path

import av
import nibabel
import numpy as np
import pytest
from annotation_files import CANVAS, CLASSES, labelme
from PIL import Image
from raw_files import SETTINGS, draw_clip, draw_mask, write_mask, write_video
from test_clips import write_dicom
from test_cohort_table import GOOD, write

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.ingest import Fan
from uscl_med3d.data.annotations import Canvas, by_order, read_annotations, read_label_map
from uscl_med3d.data.clips import open_clip, read_clip
from uscl_med3d.data.cohort import CohortRow, list_clips_of_several, read_cohort
from uscl_med3d.data.inspect import Inspection, inspect_sweep
from uscl_med3d.user.inputs import read_source

SHAPE = {"label": "liver", "shape_type": "polygon", "points": [[1, 1], [4, 1], [4, 3], [1, 3]]}


def table(folder: Path, *rows: dict[str, str]) -> Path:
    return write(folder / "cohort.csv", *(GOOD | row for row in rows))


def save(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path


# Tables


@pytest.mark.parametrize(("column", "other"), [("patient", "P"), ("sweep", "S")])
def test_ids_that_differ_by_case_alone(tmp_path: Path, column: str, other: str) -> None:
    """The same patient, written in two ways, would train and test."""
    first, second = {"patient": "p", "sweep": "s"}, {"patient": "q", "sweep": "t", "video": "b.mp4"}
    rows, errors = read_cohort(table(tmp_path, first, second))
    assert len(rows) == 2 and not errors
    _, errors = read_cohort(table(tmp_path, first, second | {column: other}))
    assert len(errors) == 1 and "case alone" in errors[0].found


@pytest.mark.parametrize("second", ["a.mp4", "../{folder}/a.mp4", "./x/../a.mp4", "link.mp4"])
def test_one_clip_of_two_patients(tmp_path: Path, second: str) -> None:
    (tmp_path / "a.mp4").write_bytes(b"clip")
    (tmp_path / "link.mp4").symlink_to("a.mp4")
    (tmp_path / "x").mkdir()
    video = second.format(folder=tmp_path.name)
    first, other = {"patient": "p", "sweep": "s"}, {"patient": "q", "sweep": "t", "video": video}
    rows, errors = read_cohort(table(tmp_path, first, other))
    (said,) = list_clips_of_several(rows)
    assert not errors and "several patients: s, t (a.mp4)" in said
    rows, _ = read_cohort(table(tmp_path, first, other | {"video": "b.mp4"}))
    assert not list_clips_of_several(rows)


# Folders of annotations


def test_a_black_and_white_mask_names_no_class(tmp_path: Path) -> None:
    """White would be "not annotated", and the structure lost, beside masks that are in order."""
    write_mask(tmp_path, 0, draw_mask(3, 5, 6) + 1)
    Image.fromarray(np.eye(5, 6) > 0).save(tmp_path / "frame_0001.png")
    with pytest.raises(InputError, match="1 bit"):
        read_annotations(tmp_path, CANVAS)
    single = Canvas(4, 5, 6, {"liver": 1})
    found = read_annotations(tmp_path, single)
    assert np.array_equal(found[1], np.eye(5, 6)) and "white is taken as liver" in single.notes[0].text


def test_files_that_file_managers_leave(tmp_path: Path) -> None:
    mask = np.zeros((5, 6), np.uint8)
    mask[1:3, 2:4] = 3
    write_mask(tmp_path, 1, mask)
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._frame_0001.png"):
        (tmp_path / name).write_bytes(b"x")
    assert list(read_annotations(tmp_path, CANVAS)) == [1]
    assert by_order(tmp_path)  # `._` is no name of a clip
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="file name"):
        read_annotations(tmp_path, CANVAS)


def test_names_of_clips_in_upper_case_files(tmp_path: Path) -> None:
    write_mask(tmp_path, 1, np.zeros((5, 6), np.uint8)).rename(tmp_path / "P01_frame_0001.PNG")
    assert not by_order(tmp_path)


def test_label_images_beside_labelme(tmp_path: Path) -> None:
    """The pictures that were drawn on may lie there, label images may not: they would not be read."""
    labelme(tmp_path / "frame_0001.json", [SHAPE])
    labelme(tmp_path / "frame_0002.json", [SHAPE])
    before = read_annotations(tmp_path, CANVAS)
    grey = np.random.default_rng(0).integers(30, 220, (5, 6), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "frame_0001.png")
    assert list(read_annotations(tmp_path, CANVAS)) == list(before)
    write_mask(tmp_path, 3, np.full((5, 6), CLASSES["liver"]))
    with pytest.raises(InputError, match="label image beside LabelMe"):
        read_annotations(tmp_path, CANVAS)


def test_labelme_files_with_a_suffix_in_capitals(tmp_path: Path) -> None:
    labelme(tmp_path / "frame_0001.json", [SHAPE])
    labelme(tmp_path / "frame_0002.json", [SHAPE])
    file = sorted(tmp_path.glob("*.json"))[0]
    before = read_annotations(tmp_path, CANVAS)
    file.rename(file.with_suffix(".JSON"))
    assert list(read_annotations(tmp_path, CANVAS)) == list(before)


# Label maps


def test_a_label_map_of_other_pixels_beside_a_clip_without_a_place(tmp_path: Path) -> None:
    labels = np.zeros((6, 5, 4), np.uint8)
    labels[2:4, 1:3, 1] = 3
    file = save(tmp_path / "l.nii.gz", labels, np.diag([0.5, 0.7, 2.0, 1.0]))
    for spacing, told in (((0.7, 0.5), 0), (None, 0), ((0.5, 0.7), 1), ((0.3, 0.3), 1)):
        canvas = Canvas(4, 5, 6, CLASSES, spacing_mm=spacing)
        assert np.array_equal(read_label_map(file, canvas), labels.transpose())
        assert sum("states pixels of 0.7 x 0.5 mm" in note.text for note in canvas.notes) == told


def look(folder: Path, reference: np.ndarray | None = None, **cells: object) -> Inspection:
    """Of a clip of 10 frames with key frames 1, 4, 6 and 8."""
    write_video(folder / "a.mp4", draw_clip())
    for frame in (1, 4, 6, 8):
        write_mask(folder / "masks", frame, np.roll(draw_mask(), 8, 1))
    path = None if reference is None else save(folder / "r.nii.gz", reference.transpose())
    values = dict.fromkeys(CohortRow.__dataclass_fields__)
    values |= {"line": 1, "patient": "p", "sweep": "s", "source": "a.mp4", "video": folder / "a.mp4"}
    values |= {"key_frames": folder / "masks", "reference": path, "spacing_mm": (1.0, 1.0)} | cells
    return inspect_sweep(CohortRow(**values), Fan(**SETTINGS["fan"]), {"liver": 3, "kidney": 5})  # type: ignore[arg-type]


def test_key_frames_and_a_reference_that_disagree(tmp_path: Path) -> None:
    whole = np.stack([np.roll(draw_mask(), 8, 1)] * 10)
    for reference, told in (
        (whole, False),
        (np.roll(whole, 2, 2), False),
        (np.where(whole == 3, 5, 0).astype(np.uint8), True),
        (whole[:, :, ::-1], True),
        (np.roll(whole, 30, 1), True),
        (np.full_like(whole, 255), False),
    ):
        found = look(tmp_path, reference)
        assert not found.errors
        assert any("key frames and reference agree in" in note.text for note in found.assumed) == told


# Millimetres


@pytest.mark.parametrize("size", [0.0003, 300.0])
def test_a_pixel_size_in_another_unit(tmp_path: Path, size: float) -> None:
    """Metres or micrometres, written where millimetres belong."""
    (error,) = look(tmp_path, spacing_mm=(size, size)).errors
    assert f"pixels of {size:g} x {size:g} mm" in error.found
    with pytest.raises(InputError, match="and so an image of"):
        read_source(tmp_path / "a.mp4", (size, size))


# Volumes and videos


def test_values_of_one_voxel_are_no_frames(tmp_path: Path) -> None:
    """The fifth dimension of NIfTI holds colours and vectors; the fourth is time."""
    grey = np.random.default_rng(0).integers(0, 255, (8, 6, 1, 1, 3), dtype=np.uint8)
    with pytest.raises(InputError, match="several values in each"):
        open_clip(save(tmp_path / "rgb.nii", grey))
    frames, _ = read_clip(save(tmp_path / "time.nii", grey[:, :, :, 0]))
    assert np.array_equal(frames, grey[:, :, 0, 0].transpose())


def test_components_that_are_no_colours(tmp_path: Path) -> None:
    """Luma and chroma in a file whose header says RGB."""
    grey = draw_clip(2)
    luma = np.stack([grey, np.full_like(grey, 128), np.full_like(grey, 128)], -1)
    for kind, clip, told in (
        ("RGB", luma, True),
        ("YBR_FULL", luma, False),
        ("RGB", np.stack([grey] * 3, -1), False),
    ):
        opened = open_clip(write_dicom(tmp_path / "a.dcm", clip, kind))
        frames = np.stack(list(opened.frames()))
        assert any("as chroma would be" in note.text for note in opened.notes) == told
        assert np.array_equal(frames, grey) != told


@pytest.mark.parametrize("suffix", ["nhdr", "mhd"])
def test_bytes_that_a_header_does_not_declare(tmp_path: Path, suffix: str) -> None:
    """A header in front of raw voxels moves all of them where nobody says how long it is."""
    grey = np.random.default_rng(0).integers(0, 255, (5, 6, 8), dtype=np.uint8)
    (tmp_path / "a.raw").write_bytes(b"header!" + grey.tobytes())
    nhdr = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 8 6 5\nencoding: raw\n{}data file: a.raw\n\n"
    mhd = "NDims = 3\nDimSize = 8 6 5\nElementType = MET_UCHAR\n{}ElementDataFile = a.raw\n"
    text, skip = (nhdr, "byte skip: 7\n") if suffix == "nhdr" else (mhd, "HeaderSize = 7\n")
    file = tmp_path / f"a.{suffix}"
    for words, told in ((skip, False), ("", True)):
        file.write_text(text.format(words))
        clip = open_clip(file)
        same = np.array_equal(np.stack(list(clip.frames())), grey)
        assert same != told and any("7 bytes more" in note.text for note in clip.notes) == told


@pytest.mark.parametrize(("transfer", "told"), [(1, False), (16, True), (18, True)])
def test_videos_for_bright_screens(tmp_path: Path, transfer: int, told: bool) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=20)
        stream.height, stream.width, stream.pix_fmt = 64, 80, "yuv420p10le"
        stream.codec_context.color_trc = transfer
        for grey in draw_clip():
            for packet in stream.encode(av.VideoFrame.from_ndarray(grey, format="gray")):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
    clip = open_clip(tmp_path / "a.mp4")
    assert len(list(clip.frames())) == 10
    assert any("bright screen" in note.text for note in clip.notes) == told
