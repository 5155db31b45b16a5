"""Annotated key frames in every format, against label maps drawn by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from annotation_files import (
    CANVAS,
    RECTANGLE,
    TRIANGLE,
    coco,
    cvat_images,
    cvat_video,
    draw,
    labelme,
    nifti,
    of,
    outline,
    polygon,
    seg_nrrd,
    segment,
    stamp,
    tracked,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_files import Cohort

from uscl_med3d.core.io import load_volume
from uscl_med3d.data.annotations import FORMATS, Canvas, read_annotations
from uscl_med3d.data.annotations.raster import polygon_area, run_area, unpack_counts
from uscl_med3d.data.ingest import ingest

FILES = Path(__file__).parent / "files"
BOX = draw("...... .lll.. .lll.. ...... ......")
CORNER = draw("ppp... pp.... p..... ...... ......")


def check(path: Path, expected: dict[int, np.ndarray]) -> None:
    masks = read_annotations(path, CANVAS)
    assert list(masks) == sorted(expected)
    for frame, mask in expected.items():
        assert masks[frame].dtype == np.uint8
        np.testing.assert_array_equal(masks[frame], mask, err_msg=f"frame {frame}")


def test_coco_polygons_and_run_lengths(tmp_path: Path) -> None:
    # Columns first: 6 pixels of background, then rows 1 and 2 of the columns 1, 2 and 3.
    counts = [6, 2, 3, 2, 3, 2, 12]
    two_parts = [[0, 0, 1, 0, 1, 1, 0, 1], [5, 4, 6, 4, 6, 5, 5, 5]]
    path = coco(
        tmp_path / "instances_default.json",
        [
            of(10, [RECTANGLE]),
            of(11, {"size": [5, 6], "counts": counts}),
            of(11, two_parts, 8),
            of(12, {"size": [5, 6], "counts": "6230009"}),
        ],
    )
    third = draw("p..... .lll.. .lll.. ...... .....p")
    check(path, {0: BOX, 1: third, 2: BOX})


def test_coco_images_without_annotations_are_no_key_frames(tmp_path: Path) -> None:
    check(coco(tmp_path / "a.json", [of(12, [TRIANGLE], 8)]), {2: CORNER})


def test_labelme_folder_and_single_file(tmp_path: Path) -> None:
    folder = tmp_path / "S01"
    labelme(folder / "frame_0001.json", [outline("Liver", RECTANGLE), outline("pleural-effusion", TRIANGLE)])
    labelme(folder / "frame_0003.json", [])
    pixels = np.array([[1, 1, 0], [0, 1, 1]], bool)
    labelme(folder / "frame_0000.json", [stamp("kidney", (2, 3), pixels)])
    (folder / "frame_0001.png").write_bytes(b"the image itself")
    later_wins = draw("ppp... ppll.. plll.. ...... ......")
    stamped = draw("...... ...... ...... ..kk.. ...kk.")
    check(folder, {0: stamped, 1: later_wins, 3: np.zeros((5, 6))})
    check(folder / "frame_0000.json", {0: stamped})


def test_cvat_images(tmp_path: Path) -> None:
    # Rows first inside the box of 3 x 2 pixels at (2, 3): two of three in the first row, the last in the second.
    rle = '<mask label="kidney" source="manual" occluded="0" rle="0, 2, 3, 1" left="2" top="3" width="3" height="2"/>'
    path = cvat_images(
        tmp_path / "annotations.xml",
        {
            "frame_000001.PNG": polygon("Pleural Effusion", TRIANGLE, 1) + polygon("liver", RECTANGLE) + rle,
            "frame_000002.PNG": '<tag label="liver" source="manual"/>',
            "frame_000003.PNG": polygon("liver", RECTANGLE),
        },
    )
    first = draw("ppp... ppll.. plll.. ..kk.. ....k.")
    check(path, {1: first, 3: BOX})


def test_cvat_tracks_give_what_a_person_drew(tmp_path: Path) -> None:
    far = [4, 0, 6, 0, 6, 2, 4, 2]
    path = cvat_video(
        tmp_path / "annotations.xml",
        [
            (
                "liver",
                tracked(0, RECTANGLE)
                + tracked(1, RECTANGLE, keyframe=0)
                + tracked(2, RECTANGLE)
                + tracked(3, RECTANGLE, outside=1),
            ),
            ("kidney", tracked(1, far) + tracked(2, far, keyframe=0)),
        ],
    )
    not_drawn_liver = draw("....kk .###kk .###.. ...... ......")
    not_drawn_kidney = draw("....## .lll## .lll.. ...... ......")
    check(path, {0: BOX, 1: not_drawn_liver, 2: not_drawn_kidney})


def test_nifti_frames_with_labels(tmp_path: Path) -> None:
    array = np.zeros((4, 5, 6), np.int16)
    array[2] = BOX
    check(nifti(tmp_path / "keys.nii.gz", array), {2: BOX})
    array[0], array[3] = 255, 255
    array[3, 4, 5] = 0
    last = np.full((5, 6), 255)
    last[4, 5] = 0
    check(nifti(tmp_path / "keys.nii", array.astype(np.float32)), {1: np.zeros((5, 6)), 2: BOX, 3: last})


def test_slicer_segments_in_one_layer(tmp_path: Path) -> None:
    array = np.zeros((4, 5, 6), np.uint8)
    array[1][BOX > 0], array[3][CORNER > 0] = 2, 1
    facts = segment(0, "Pleural effusion", 1) | segment(1, "LIVER", 2) | segment(2, "Scratch", 3)
    check(seg_nrrd(tmp_path / "S01.seg.nrrd", array, facts), {1: BOX, 3: CORNER})


def test_slicer_layers_overlap_and_a_part_has_an_offset(tmp_path: Path) -> None:
    # The part holds frames 1 and 2, rows 1 to 4, columns 2 to 5.
    array = np.zeros((2, 4, 4, 2), np.uint8)
    array[0, :2, :2, 0] = 4
    array[0, 1, 1:, 1] = 1
    array[1, 3, 3, 1] = 1
    facts = segment(0, "liver", 4, 0) | segment(1, "kidney", 1, 1)
    facts["Segmentation_ReferenceImageExtentOffset"] = "2 1 1"
    path = seg_nrrd(tmp_path / "S01.seg.nrrd", array, facts, encoding="raw")
    check(
        path, {1: draw("...... ..ll.. ..lkkk ...... ......"), 2: draw("...... ...... ...... ...... .....k")}
    )


def test_slicer_files_without_layers_have_one_per_segment(tmp_path: Path) -> None:
    array = np.zeros((4, 5, 6, 2), np.uint8)
    array[1, ..., 0], array[2, ..., 1] = BOX > 0, CORNER > 0
    facts = segment(0, "liver", None) | segment(1, "pleural_effusion", None)
    check(seg_nrrd(tmp_path / "old.seg.nrrd", array, facts), {1: BOX, 2: CORNER})


def test_slicer_files_of_another_writer() -> None:
    """Both files were written by slicerio 1.4.0, of the authors of 3D Slicer."""
    first = draw("...... ..ll.. ..lkkk ...... ......")
    check(FILES / "layers.seg.nrrd", {1: first, 2: draw("...... ...... ...... ...... .....k")})
    check(FILES / "flat.seg.nrrd", {1: BOX, 3: draw("p..... ...... ...... ...... ......")})


def test_every_format_says_what_it_is() -> None:
    assert len({module.EXPECTED for module in FORMATS}) == len(FORMATS) == 6


def test_published_example_of_run_lengths() -> None:
    """[5, 2, 2, 2, 5] on 4 x 4 pixels is a square of 2 x 2 in the middle."""
    area = run_area([5, 2, 2, 2, 5], 4, 4, "F", Path("x"))
    expected = np.zeros((4, 4), bool)
    expected[1:3, 1:3] = True
    np.testing.assert_array_equal(area, expected)


def test_run_lengths_of_another_writer() -> None:
    """The string was written by pycocotools 2.0 for the area below."""
    text = (
        "gb04k12N2O1N1O2O1N101O0O2O1N101N2O1O1nN]Od0e0XO_Og0m000O2O0O10000O10000O10O10O100000O0100000O10000O10001O0O"
        "100TO\\O<e0B]O<d0B_O=b0A@=c0_O@`0Q1O0O2O1N101N2O0O2N3Ml`0"
    )
    y, x = np.mgrid[:64, :80]
    expected = ((x - 40 - 8 * np.sin(y / 5)) ** 2 / 600 + (y - 30) ** 2 / 500) < 1
    area = run_area(unpack_counts(text, Path("x")), 64, 80, "F", Path("x"))
    np.testing.assert_array_equal(area, expected)


def test_a_polygon_as_another_reader_fills_it() -> None:
    """pycocotools fills 2327 pixels of this polygon; six on its border differ, as it rounds corners to 1/5 pixel."""
    corners = np.reshape([10.3, 5.2, 60.8, 9.7, 70.1, 40.4, 35.5, 58.9, 8.2, 33.3], (-1, 2))
    area = polygon_area(corners, Canvas(1, 64, 80, {}), Path("x"))
    assert area.sum() == 2327
    exact = 0.5 * abs(
        np.dot(corners[:, 0], np.roll(corners[:, 1], -1)) - np.dot(corners[:, 1], np.roll(corners[:, 0], -1))
    )
    assert abs(area.sum() - exact) < 10


def pack(counts: list[int]) -> str:
    """COCO's compression, written from its description."""
    text = ""
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        while True:
            digit, value = value & 31, value >> 5
            done = (value == 0 and not digit & 16) or (value == -1 and digit & 16)
            text += chr(48 + (digit if done else digit | 32))
            if done:
                break
    return text


@given(st.lists(st.integers(0, 100_000), max_size=30))
def test_compressed_run_lengths_round_trip(counts: list[int]) -> None:
    assert unpack_counts(pack(counts), Path("x")) == counts


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 6, width=32), st.floats(0, 5, width=32)), min_size=3, max_size=8))
def test_a_polygon_covers_the_middles_inside_it(corners: list[tuple[float, float]]) -> None:
    area = polygon_area(corners, CANVAS, Path("x"))
    for row in range(5):
        for column in range(6):
            x, y, inside = column + 0.5, row + 0.5, False
            for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
                if (y0 <= y) != (y1 <= y):
                    crossing = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
                    if abs(crossing - x) < 1e-6:
                        break  # a middle on the edge may fall on either side
                    inside ^= crossing < x
            else:
                if all(abs(corner[1] - y) > 1e-6 for corner in corners):
                    assert area[row, column] == inside, (row, column)


@pytest.mark.parametrize("kind", ["coco", "cvat", "nifti", "slicer", "labelme"])
def test_ingest_takes_the_same_volume_from_every_format(
    cohort: Cohort, make_job, tmp_path: Path, kind: str
) -> None:
    """The cohort's PNG masks, written in another format, give the same key frames."""
    cohort.add("png")
    cohort.add("other", patient="p_png")
    folder, frames = cohort.folder, (1, 4, 6, 8)
    block = [24, 20, 56, 20, 56, 44, 24, 44]
    size = {"height": 64, "width": 80}
    label = np.zeros((10, 64, 80), np.uint8)
    label[list(frames), 20:44, 24:56] = 3
    if kind == "coco":
        images = [{"id": n, "file_name": f"frame_{n:04d}.png", **size} for n in frames]
        path = coco(folder / "keys.json", [of(n, [block]) for n in frames], images=images)
    elif kind == "cvat":
        names = {f"frame_{n:06d}": polygon("Liver", block) for n in frames}
        path = cvat_images(folder / "keys.xml", names, 'width="80" height="64"')
    elif kind == "nifti":
        path = nifti(folder / "keys.nii.gz", label)
    elif kind == "slicer":
        path = seg_nrrd(folder / "keys.seg.nrrd", label, segment(0, "liver", 3))
    else:
        for n in frames:
            shapes = [outline("liver", block)]
            labelme(folder / f"keys/frame_{n:04d}.json", shapes, imageHeight=64, imageWidth=80)
        path = folder / "keys"
    cohort.rows[-1]["key_frames"] = path.name
    ingest(make_job(), cohort.save(), tmp_path / "volumes", tmp_path / "splits.csv")
    expected, other = (
        load_volume(tmp_path / f"volumes/{sweep}/key_frames.nii.gz")[0] for sweep in ("png", "other")
    )
    np.testing.assert_array_equal(other, expected)
    assert (other == 3).any()


@pytest.mark.parametrize(
    "name", ["frame_0002.png", "Frame_2.PNG", "0002.png", "2.png", "S001_frame_0002.png", "S 1 frame0002.Png"]
)
def test_names_of_label_images_as_tools_write_them(name: str, tmp_path: Path) -> None:
    from PIL import Image

    from uscl_med3d.data.annotations import file_of

    Image.fromarray(BOX).save(tmp_path / name, format="PNG")
    check(tmp_path, {2: BOX})
    assert file_of(tmp_path, 2).name == name


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("S001_0012.jpg", "lossy"),
        ("frame_0012.JPEG", "lossy"),
        ("S001_0012.png", "S001_frame_0012.png"),  # may be the twelfth picture of anything
        ("liver.png", "'liver.png'"),
        ("frame_0002.tif", "'frame_0002.tif'"),
    ],
)
def test_other_names_of_label_images_are_refused(name: str, complaint: str, tmp_path: Path) -> None:
    from uscl_med3d.core.errors import InputError

    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=complaint):
        read_annotations(tmp_path, CANVAS)


def test_two_names_of_one_frame_are_refused(tmp_path: Path) -> None:
    from PIL import Image

    from uscl_med3d.core.errors import InputError

    for name in ("frame_0002.png", "2.png"):
        Image.fromarray(BOX).save(tmp_path / name)
    with pytest.raises(InputError, match="second mask of frame 2"):
        read_annotations(tmp_path, CANVAS)
