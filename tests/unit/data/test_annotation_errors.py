"""Broken annotation files: one error names the file, what was found, what was expected and what to do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from annotation_files import (
    CANVAS,
    RECTANGLE,
    coco,
    cvat_images,
    cvat_video,
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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.annotations import read_annotations

LIVER = np.zeros((4, 5, 6), np.uint8)
LIVER[1, 1:3, 1:4] = 3
OUTSIDE = [1, 1, 9, 1, 9, 3, 1, 3]
FAR = [1, 1, 1e300, 1, 9, 3]


def text(name: str, content: str | bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        content_bytes = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(content_bytes)
        return folder / name

    return make


def truncated(make: Callable[[Path], Path], size: int) -> Callable[[Path], Path]:
    def cut(folder: Path) -> Path:
        path = make(folder)
        path.write_bytes(path.read_bytes()[:size])
        return path

    return cut


def images(**changes: object) -> Callable[[Path], Path]:
    """COCO with a changed first image."""
    entry = {"id": 10, "file_name": "frame_0001.png", "height": 5, "width": 6} | changes
    return lambda folder: coco(folder / "keys.json", [of(10, [RECTANGLE])], images=[entry])


def annotated(*annotations: dict) -> Callable[[Path], Path]:
    return lambda folder: coco(folder / "keys.json", annotations)


def drawn(*entries: dict, **changes: object) -> Callable[[Path], Path]:
    return lambda folder: labelme(folder / "frame_0001.json", entries, **changes)


def xml(shapes: str, name: str = "frame_000001.png", **changes: str) -> Callable[[Path], Path]:
    return lambda folder: cvat_images(folder / "keys.xml", {name: shapes}, **changes)


def nii(array: np.ndarray) -> Callable[[Path], Path]:
    return lambda folder: nifti(folder / "keys.nii.gz", array)


def slicer(array: np.ndarray, **facts: object) -> Callable[[Path], Path]:
    return lambda folder: seg_nrrd(folder / "keys.seg.nrrd", array, segment(0, "liver", 3) | facts)


def two_files(folder: Path) -> Path:
    for name in ("frame_0001.json", "frame_01.json"):
        labelme(folder / "keys" / name, [outline("liver", RECTANGLE)])
    return folder / "keys"


def empty_folder(folder: Path) -> Path:
    (folder / "keys").mkdir()
    return folder / "keys"


def bare_segment(folder: Path) -> Path:
    return seg_nrrd(folder / "keys.seg.nrrd", LIVER, {"Segment0_LabelValue": 3, "Segment0_Layer": 0})


def mask(rle: str, box: str = 'left="1" top="1" width="3" height="2"') -> str:
    return f'<mask label="liver" rle="{rle}" {box}/>'


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;">]><annotations>&c;</annotations>'
HUGE = b"NRRD0004\ntype: unsigned char\ndimension: 3\nsizes: 90000 90000 90000\nencoding: gzip\n\nx"
CLASS_NAMES = "pleural_effusion, liver, kidney"

BROKEN: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    # what is broken: (file, found, expected)
    "no such path": (lambda folder: folder / "none", "no such folder", "COCO JSON"),
    "a format nobody knows": (text("keys.csv", "a,b"), "keys.csv", "LabelMe JSON"),
    "an empty folder": (empty_folder, "an empty folder", "frame_0012.png"),
    # COCO
    "COCO: no JSON": (text("keys.json", "{"), "Expecting property name", "readable JSON"),
    "COCO: an empty file": (text("keys.json", ""), "Expecting value", "readable JSON"),
    "COCO: not UTF-8": (text("keys.json", b"\xff\xfe\x00"), "codec can't decode", "readable JSON"),
    "COCO: a list": (text("keys.json", "[]"), "no lists images", "these three lists"),
    "COCO: nested without end": (text("keys.json", "[" * 100_000), "recursion", "readable JSON"),
    "COCO: unknown class": (
        lambda folder: coco(
            folder / "keys.json",
            [of(10, [RECTANGLE])],
            categories=[{"id": 7, "name": "gall bladder"}, {"id": 9, "name": "never drawn"}],
        ),
        "class name(s) 'gall bladder'",
        CLASS_NAMES,
    ),
    "COCO: image of another size": (images(height=480, width=640), "640 x 480", "6 x 5 pixels"),
    "COCO: huge image": (images(height=10**9, width=10**9), "1000000000 x", "6 x 5 pixels"),
    "COCO: path traversal": (images(file_name="../../frame_0001.png"), "leaves its folder", "frame_0012"),
    "COCO: absolute path": (images(file_name="/etc/frame_0001"), "leaves its folder", "frame_0012"),
    "COCO: drive": (images(file_name="C:\\frame_0001.png"), "leaves its folder", "frame_0012"),
    "COCO: no frame number": (images(file_name="liver.png"), "'liver.png'", "frame_0012.png"),
    "COCO: frame beyond the end": (images(file_name="frame_0004.png"), "frame 4", "frames 0 to 3"),
    "COCO: no file name": (images(file_name=None), "None", "frame_0012.png"),
    "COCO: unknown image": (annotated(of(99, [RECTANGLE])), "image 99", "ids that images"),
    "COCO: unknown category": (annotated(of(10, [RECTANGLE], 99)), "category 99", "ids that images"),
    "COCO: box only": (annotated(of(10, [])), "bounding box only", "polygons or run lengths"),
    "COCO: polygon outside": (annotated(of(10, [OUTSIDE])), "to (9, 3)", "6 x 5 pixels"),
    "COCO: polygon of two points": (annotated(of(10, [[1, 1, 2, 2]])), "a polygon", "at least 3 points"),
    "COCO: odd polygon": (annotated(of(10, [[1, 1, 2, 2, 3]])), "a polygon", "in turns"),
    "COCO: NaN": (annotated(of(10, [[float("nan"), 1, 2, 2, 3, 3]])), "a polygon", "at least 3 points"),
    "COCO: text for numbers": (annotated(of(10, [["a", "b"] * 3])), "ValueError", "COCO JSON"),
    "COCO: run lengths too long": (
        annotated(of(10, {"size": [5, 6], "counts": [6, 10**12]})),
        "1000000000006 pixels",
        "30 pixels",
    ),
    "COCO: negative run length": (
        annotated(of(10, {"size": [5, 6], "counts": [40, -10]})),
        "run lengths [40, -10]",
        "not negative",
    ),
    "COCO: run lengths of another size": (
        annotated(of(10, {"size": [50, 60], "counts": [3000]})),
        "60 x 50",
        "6 x 5",
    ),
    "COCO: compressed run lengths cut": (
        annotated(of(10, {"size": [5, 6], "counts": "623P"})),
        "end within a number",
        "compressed",
    ),
    "COCO: endless number": (
        annotated(of(10, {"size": [5, 6], "counts": "o" * 10_000})),
        "compressed run lengths",
        "compressed",
    ),
    "COCO: no annotation": (annotated(), "no annotated frame", "COCO JSON"),
    "COCO: two images of one frame": (
        lambda folder: coco(
            folder / "keys.json",
            [of(10, [RECTANGLE]), of(11, [RECTANGLE])],
            images=[
                {"id": n, "file_name": f, "height": 5, "width": 6}
                for n, f in ((10, "frame_01.png"), (11, "frame_1.png"))
            ],
        ),
        "two images of frame 1",
        "one image per frame",
    ),
    # LabelMe
    "LabelMe: unknown class": (drawn(outline("gut", RECTANGLE)), "'gut'", CLASS_NAMES),
    "LabelMe: image of another size": (
        drawn(outline("liver", RECTANGLE), imageHeight=6, imageWidth=5),
        "5 x 6",
        "6 x 5",
    ),
    "LabelMe: a line": (drawn(outline("liver", RECTANGLE, "linestrip")), "'linestrip'", "polygon or mask"),
    "LabelMe: a box": (drawn(outline("liver", RECTANGLE[:4], "rectangle")), "'rectangle'", "polygon or mask"),
    "LabelMe: polygon outside": (drawn(outline("liver", FAR)), "1e+300", "6 x 5 pixels"),
    "LabelMe: shape without label": (drawn({"points": [[0, 0]] * 3}), "KeyError: 'label'", "LabelMe JSON"),
    "LabelMe: shapes are text": (drawn(shapes="none"), "no list shapes", "imageHeight"),
    "LabelMe: no number in the name": (
        lambda folder: labelme(folder / "first.json", [outline("liver", RECTANGLE)]),
        "'first.json'",
        "frame_0012",
    ),
    "LabelMe: frame twice": (two_files, "a second file of frame 1", "one file per frame"),
    "LabelMe: mask outside": (
        drawn(stamp("liver", (4, 3), np.ones((4, 4), bool))),
        "(4, 3) to (7, 6)",
        "6 x 5 pixels",
    ),
    "LabelMe: mask of another size": (
        drawn(stamp("liver", (0, 0), np.ones((2, 2), bool)) | {"points": [[0, 0], [3, 3]]}),
        "2 x 2 pixels",
        "4 x 4 pixels",
    ),
    "LabelMe: mask is no base64": (
        drawn(stamp("liver", (0, 0), np.ones((2, 2), bool)) | {"mask": "%%%"}),
        "a mask that is no PNG",
        "base64",
    ),
    "LabelMe: mask is no PNG": (
        drawn(stamp("liver", (0, 0), np.ones((2, 2), bool)) | {"mask": "aGFsbG8="}),
        "a mask that is no PNG",
        "base64",
    ),
    # CVAT
    "CVAT: no XML": (text("keys.xml", "<annotations>"), "not readable as XML", "<annotations>"),
    "CVAT: another XML": (text("keys.xml", "<svg/>"), "<svg>", "<annotations>"),
    "CVAT: entities": (text("keys.xml", BOMB), "entity declaration", "<annotations>"),
    "CVAT: nothing drawn": (xml('<tag label="liver"/>'), "no annotated frame", "CVAT XML"),
    "CVAT: unknown class": (xml(polygon("gut", RECTANGLE)), "'gut'", CLASS_NAMES),
    "CVAT: image of another size": (
        xml(polygon("liver", RECTANGLE), size='width="60" height="50"'),
        "60 x 50",
        "6 x 5",
    ),
    "CVAT: path traversal": (
        xml(polygon("liver", RECTANGLE), "../frame_000001.png"),
        "leaves its folder",
        "frame_0012",
    ),
    "CVAT: a box": (
        xml('<box label="liver" xtl="0" ytl="0" xbr="1" ybr="1"/>'),
        "'box'",
        "polygon or mask",
    ),
    "CVAT: no points": (xml('<polygon label="liver"/>'), "KeyError: 'points'", "CVAT XML"),
    "CVAT: polygon outside": (xml(polygon("liver", OUTSIDE)), "to (9, 3)", "6 x 5 pixels"),
    "CVAT: mask outside": (
        xml(mask("0, 6", 'left="5" top="1" width="3" height="2"')),
        "at (5, 1)",
        "6 x 5 pixels",
    ),
    "CVAT: mask too short": (xml(mask("0, 5")), "5 pixels", "6 pixels (3 x 2)"),
    "CVAT: mask of words": (xml(mask("a, b")), "ValueError", "CVAT XML"),
    "CVAT: track of another size": (
        lambda folder: cvat_video(folder / "keys.xml", [("liver", tracked(0, RECTANGLE))], (60, 50)),
        "60 x 50",
        "6 x 5",
    ),
    "CVAT: track beyond the end": (
        lambda folder: cvat_video(folder / "keys.xml", [("liver", tracked(9, RECTANGLE))]),
        "frame 9",
        "frames 0 to 3",
    ),
    "CVAT: interpolated only": (
        lambda folder: cvat_video(folder / "keys.xml", [("liver", tracked(0, RECTANGLE, keyframe=0))]),
        "no annotated frame",
        "CVAT XML",
    ),
    # NIfTI
    "NIfTI: no NIfTI": (text("keys.nii.gz", "hello"), "not readable as an image volume", "label map"),
    "NIfTI: cut": (truncated(nii(LIVER), 60), "not readable as an image volume", "label map"),
    "NIfTI: another grid": (nii(np.zeros((5, 4, 6), np.uint8)), "6 x 4 x 5", "6 x 5 x 4"),
    "NIfTI: fractions": (nii(LIVER * np.float32(0.5)), "no labels", "whole numbers"),
    "NIfTI: NaN": (nii(np.full((4, 5, 6), np.nan, np.float32)), "no labels", "whole numbers"),
    "NIfTI: beyond 8 bits": (nii(LIVER.astype(np.int16) * 200), "0 to 600", "0 to 255"),
    "NIfTI: negative": (nii(-LIVER.astype(np.int16)), "-3 to 0", "0 to 255"),
    "NIfTI: empty": (nii(LIVER * 0), "no annotated frame", "NIfTI label map"),
    # 3D Slicer
    "Slicer: no NRRD": (text("keys.seg.nrrd", "hello"), "not readable as an image volume", "seg.nrrd"),
    "Slicer: cut": (truncated(slicer(LIVER), 305), "header readable, pixel data not", "seg.nrrd"),
    "Slicer: huge": (text("keys.seg.nrrd", HUGE), "90000 x 90000 x 90000", "6 x 5 x 4"),
    "Slicer: another grid": (slicer(LIVER[:3]), "6 x 5 x 3", "6 x 5 x 4"),
    "Slicer: offset outside": (
        slicer(LIVER, Segmentation_ReferenceImageExtentOffset="0 0 1"),
        "(0, 0, 1)",
        "6 x 5 x 4",
    ),
    "Slicer: offset of words": (
        slicer(LIVER, Segmentation_ReferenceImageExtentOffset="a b c"),
        "'a b c'",
        "three whole numbers",
    ),
    "Slicer: unknown segment": (slicer(LIVER, Segment0_Name="Segment_1"), "'Segment_1'", CLASS_NAMES),
    "Slicer: no segment": (
        lambda folder: seg_nrrd(folder / "keys.seg.nrrd", LIVER, {}),
        "no segment",
        "Segment0_Name",
    ),
    "Slicer: segment without a name": (bare_segment, "name None", "a name"),
    "Slicer: no such layer": (slicer(LIVER, Segment0_Layer="2"), "layer 2", "layer below 1"),
    "Slicer: empty": (slicer(LIVER * 0), "no annotated frame", "seg.nrrd"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_one_clear_error(tmp_path: Path, case: str) -> None:
    make, found, expected = BROKEN[case]
    path = make(tmp_path)
    with pytest.raises(InputError) as caught:
        read_annotations(path, CANVAS)
    error = caught.value
    assert Path(error.file) == path or Path(error.file).parent == path
    assert found in error.found and expected in error.expected and error.remedy
    assert len(error.found) < 400


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.just([1, 1, 4, 1, 4, 3]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
CASES = int(os.environ.get("USCL_FUZZ_CASES", "60"))  # raise it for a longer search
FUZZ = settings(
    max_examples=CASES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def attempt(path: Path) -> None:
    try:
        for mask in read_annotations(path, CANVAS).values():
            assert mask.dtype == np.uint8
    except InputError:
        pass


@FUZZ
@given(JSON, JSON, JSON, JSON, st.booleans())
def test_fuzzed_coco(
    tmp_path: Path, image: object, size: object, area: object, category: object, run: bool
) -> None:
    segmentation = {"size": [5, 6], "counts": area} if run else area
    content = {
        "images": [{"id": 1, "file_name": image, "height": size, "width": 6}, image],
        "categories": [{"id": 7, "name": category}],
        "annotations": [{"image_id": 1, "category_id": 7, "segmentation": segmentation}, size],
    }
    for change in (
        {},
        {"images": [{"id": 1, "file_name": "1.png", "height": 5, "width": 6}]},
        {"annotations": area},
        {"categories": area},
    ):
        (tmp_path / "keys.json").write_text(json.dumps(content | change))
        attempt(tmp_path / "keys.json")


@FUZZ
@given(JSON, JSON, JSON)
def test_fuzzed_labelme(tmp_path: Path, points: object, label: object, other: object) -> None:
    for kind in ("polygon", "mask", other):
        shape = {"label": label, "points": points, "shape_type": kind, "mask": other}
        for shapes in ([shape], [shape, other], other):
            labelme(tmp_path / "frame_0001.json", [], shapes=shapes)
            attempt(tmp_path / "frame_0001.json")


@FUZZ
@given(st.data())
def test_fuzzed_bytes(tmp_path: Path, data: st.DataObject) -> None:
    """A valid file of each format with some bytes changed."""
    makers = {
        "keys.json": annotated(of(10, [RECTANGLE]), of(11, {"size": [5, 6], "counts": "6230009"})),
        "keys.xml": xml(polygon("liver", RECTANGLE) + mask("0, 2, 3, 1")),
        "keys.nii": lambda folder: nifti(folder / "keys.nii", LIVER),
        "keys.seg.nrrd": lambda folder: seg_nrrd(
            folder / "keys.seg.nrrd", LIVER, segment(0, "liver", 3), "raw"
        ),
    }
    path = makers[data.draw(st.sampled_from(sorted(makers)))](tmp_path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    attempt(path)
