"""Broken and harmful files: one error that names file, found, expected and remedy; nothing is written."""

from __future__ import annotations

import pickle
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from annotation_files import (
    RECTANGLE,
    coco,
    cvat_images,
    labelme,
    nifti,
    of,
    outline,
    polygon,
    seg_nrrd,
    segment,
)
from broken_clips import CLIPS, dims
from PIL import Image
from raw_files import CLASSES, SETTINGS, Cohort, draw_clip, draw_mask, write_mask, write_video

from uscl_med3d import cli
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import write_json
from uscl_med3d.user.inputs import read_source


def ingest_by_command(cohort: Cohort, out: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run the stage as the workflow does; exit status and what it says."""
    settings = SETTINGS | {"bad_sweeps": "stop"}
    write_json(out.parent / "job.json", {"seed": 7, "classes": CLASSES, "ingest": settings})
    code = cli.main(
        [
            "ingest",
            "--params",
            str(out.parent / "job.json"),
            "--cohort",
            str(cohort.save()),
            "--volumes",
            str(out / "volumes"),
            "--splits",
            str(out / "splits.csv"),
            "--failures",
            str(out / "failures.csv"),
        ]
    )
    return code, capsys.readouterr().err


@pytest.fixture
def one_sweep(cohort: Cohort) -> Cohort:
    cohort.folder.mkdir()
    cohort.rows.append(
        {"patient": "p", "sweep": "bad", "group": "abdomen", "view": "abdomen_right", "split": "train"}
    )
    return cohort


def check_message(message: str, file: str, found: str) -> None:
    assert "1 unusable input(s)" in message and file in message and re.search(found, message), message
    for part in ("found:", "expected:", "remedy:"):
        assert message.count(part) == 2, message  # of the file, and of the table around it
    assert "Traceback" not in message and len(message) < 2000


@pytest.mark.parametrize("case", CLIPS)
def test_ingest_says_what_is_wrong_and_writes_nothing(
    one_sweep: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    make, found = CLIPS[case]
    path = make(one_sweep.folder)
    one_sweep.rows[0]["video"] = str(path.relative_to(one_sweep.folder))
    code, message = ingest_by_command(one_sweep, tmp_path / "out", capsys)
    assert code == 2
    check_message(message, path.name, found)
    assert not [file for file in (tmp_path / "out").rglob("*") if file.is_file()]


def test_still_image_is_no_sweep(
    one_sweep: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = write_video(one_sweep.folder / "clip.mp4", draw_clip()[:1])
    one_sweep.rows[0]["video"] = video.name
    code, message = ingest_by_command(one_sweep, tmp_path / "out", capsys)
    assert code == 2
    check_message(message, video.name, "1 frame")


@pytest.mark.parametrize("case", CLIPS)
def test_segment_reads_no_broken_file(tmp_path: Path, case: str) -> None:
    make, found = CLIPS[case]
    path = make(tmp_path)
    with pytest.raises(InputError) as caught:
        read_source(path)
    error = caught.value
    assert Path(error.file) == path or Path(error.file).parent == path
    assert re.search(found, error.found) and error.expected and error.remedy and len(error.found) < 400


def png_bomb(path: Path, side: int) -> Path:
    """A PNG that declares more pixels than it has."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">2I5B", side, side, 8, 0, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )
    return path


def of_frame(
    name: str = "frame_0004.png", height: int = 64, width: int = 80, polygons: object = None, **other: object
):
    """COCO of one image."""
    entry = {"id": 10, "file_name": name, "height": height, "width": width}
    return lambda keys: coco(
        keys / "keys.json", [of(10, [RECTANGLE] if polygons is None else polygons)], images=[entry], **other
    )


def of_cvat(name: str = "frame_000004.png", label: str = "liver", size: str = 'width="80" height="64"'):
    """CVAT of one image."""
    return lambda keys: cvat_images(keys / "k.xml", {name: polygon(label, RECTANGLE)}, size=size)


def of_png(content: bytes):
    """A folder with a label image of any content."""

    def make(keys: Path) -> Path:
        (keys / "k").mkdir()
        (keys / "k/frame_0004.png").write_bytes(content)
        return keys / "k"

    return make


def volume(array: np.ndarray, name: str = "keys.nii.gz") -> Callable[[Path], Path]:
    return lambda keys: nifti(keys / name, array)


def bomb(keys: Path) -> Path:
    """A small NIfTI file that declares the size of a city."""
    content = bytearray(nibabel.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)).to_bytes())
    dims(3, 30000, 30000, 30000)(content)
    (keys / "keys.nii").write_bytes(bytes(content))
    return keys / "keys.nii"


LABELS = np.repeat(draw_mask(3)[None], 10, axis=0)
TURNED = np.ascontiguousarray(LABELS.transpose(0, 2, 1))

ANNOTATIONS: dict[str, tuple[Callable[[Path], Path], str]] = {
    # what is broken: (annotations, found)
    "PNG of another video": (
        lambda keys: write_mask(keys / "k", 400, draw_mask(3)).parent,
        "a mask of frame 400",
    ),
    "PNG of another size": (
        lambda keys: write_mask(keys / "k", 4, draw_mask(3, 100, 90)).parent,
        "90 x 100 pixels",
    ),
    "PNG of an unknown label": (
        lambda keys: write_mask(keys / "k", 4, draw_mask(77)).parent,
        "label value.s. 77",
    ),
    "PNG bomb": (
        lambda keys: png_bomb(keys / "k/frame_0004.png", 60_000).parent,
        "60000 x 60000|not readable as PNG",
    ),
    "PNG bomb, small enough to try": (
        lambda keys: png_bomb(keys / "k/frame_0004.png", 12_000).parent,
        "12000 x 12000|not readable as PNG",
    ),
    "PNG cut": (of_png(b"\x89PNG\r\n"), "not readable as PNG"),
    "PNG of zero bytes": (of_png(b""), "not readable as PNG"),
    "JPEG called PNG": (
        lambda keys: (
            (keys / "k").mkdir()
            or Image.fromarray(draw_mask(3)).save(keys / "k/frame_0004.png", "JPEG")
            or keys / "k"
        ),
        "not readable as PNG",
    ),
    "COCO of another video": (of_frame("frame_0400.png"), "frame 400"),
    "COCO of another size": (of_frame(height=480, width=640), "640 x 480"),
    "COCO of a huge size": (of_frame(height=10**9, width=10**9), "1000000000 x"),
    "COCO polygon outside": (of_frame(polygons=[[1, 1, 900, 1, 900, 30]]), "900"),
    "COCO of an unknown class": (of_frame(categories=[{"id": 7, "name": "gall bladder"}]), "gall bladder"),
    "COCO that leaves its folder": (of_frame("../../frame_0004.png"), "leaves its folder"),
    "COCO with an absolute path": (of_frame("/etc/frame_0004.png"), "leaves its folder"),
    "COCO with a drive": (of_frame("C:\\frame_0004.png"), "leaves its folder"),
    "COCO that leaves its folder, other slashes": (of_frame("..\\frame_0004.png"), "leaves its folder"),
    "LabelMe of another size": (
        lambda keys: labelme(keys / "frame_0004.json", [outline("liver", RECTANGLE)]),
        "6 x 5",
    ),
    "LabelMe polygon outside": (
        lambda keys: labelme(
            keys / "frame_0004.json", [outline("liver", [1, 1, 999, 1, 9, 9])], imageHeight=64, imageWidth=80
        ),
        "999",
    ),
    "LabelMe of an unknown class": (
        lambda keys: labelme(
            keys / "frame_0004.json", [outline("gut", RECTANGLE)], imageHeight=64, imageWidth=80
        ),
        "'gut'",
    ),
    "LabelMe of another video": (
        lambda keys: labelme(
            keys / "frame_0400.json", [outline("liver", RECTANGLE)], imageHeight=64, imageWidth=80
        ),
        "frame 400",
    ),
    "CVAT of another size": (of_cvat(size='width="6" height="5"'), "6 x 5"),
    "CVAT that leaves its folder": (of_cvat("../frame_000004.png"), "leaves its folder"),
    "CVAT of an unknown class": (of_cvat(label="gut"), "'gut'"),
    "NIfTI of another video": (volume(LABELS[:7]), "80 x 64 x 7"),
    "NIfTI turned": (volume(TURNED), "64 x 80 x 10"),
    "NIfTI of an unknown label": (volume(LABELS * 25), "label value.s. 75"),
    "NIfTI labels beyond 8 bits": (volume(LABELS.astype(np.int16) * 100), "0 to 300"),
    "NIfTI labels with NaN": (volume(np.full(LABELS.shape, np.nan, np.float32)), "no labels"),
    "NIfTI label bomb": (bomb, "30000 x 30000 x 30000"),
    "Slicer of another video": (
        lambda keys: seg_nrrd(keys / "k.seg.nrrd", LABELS[:7], segment(0, "liver", 3)),
        "80 x 64 x 7",
    ),
    "Slicer of an unknown segment": (
        lambda keys: seg_nrrd(keys / "k.seg.nrrd", LABELS, segment(0, "gut", 3)),
        "'gut'",
    ),
}

REFERENCES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "reference of another video": (volume(LABELS[:7]), "80 x 64 x 7"),
    "reference of 4 axes": (
        lambda keys: (
            nibabel.save(nibabel.Nifti1Image(np.stack([LABELS, LABELS]).T, np.eye(4)), keys / "k.nii")
            or keys / "k.nii"
        ),
        "80 x 64 x 10 x 2",
    ),
    "reference with NaN": (volume(np.full(LABELS.shape, np.nan, np.float32)), "no labels"),
    "reference of an unknown label": (volume(LABELS * 25), "label value.s. 75"),
    "reference of fractions": (volume(LABELS * np.float32(0.5)), "no labels"),
    "reference bomb": (bomb, "30000 x 30000 x 30000"),
    "reference of words": (
        lambda keys: (keys / "k.nii.gz").write_bytes(b"hello " * 99) and keys / "k.nii.gz",
        "not readable",
    ),
}


@pytest.mark.parametrize(
    ("kind", "case"),
    [("key_frames", case) for case in ANNOTATIONS] + [("reference", case) for case in REFERENCES],
)
def test_broken_annotations_stop_ingest(
    cohort: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, case: str
) -> None:
    make, found = (ANNOTATIONS if kind == "key_frames" else REFERENCES)[case]
    cohort.add("bad", key_frames="", split="train")
    keys = cohort.folder / "keys"
    keys.mkdir()
    cohort.rows[0][kind] = str(make(keys).relative_to(cohort.folder))
    code, message = ingest_by_command(cohort, tmp_path / "out", capsys)
    assert code == 2
    check_message(message, "keys", found)
    assert not [file for file in (tmp_path / "out").rglob("*") if file.is_file()]


class Harm:
    """Writes a file where it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return Path.write_text, (self.place, "executed")


@pytest.mark.parametrize("name", ["evil.pth", "evil.pt", "evil.safetensors"])
@pytest.mark.parametrize("packing", ["torch", "pickle"])
def test_a_checkpoint_never_executes_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, packing: str
) -> None:
    path, trace = tmp_path / name, tmp_path / "trace"
    if packing == "torch":
        torch.save({"model_state_dict": Harm(trace)}, path)
    else:
        path.write_bytes(pickle.dumps(Harm(trace)))
    from uscl_med3d.nets.sam.checkpoint import read_weights
    from uscl_med3d.nets.sam_med3d.checkpoint import read_state

    for read in (read_state, lambda file: read_weights(file, "sam")):
        with pytest.raises(InputError) as caught:
            read(path)
        assert caught.value.file == str(path) and caught.value.remedy
    code = cli.main(
        [
            "segment",
            str(tmp_path / "none.mp4"),
            "--point",
            "1,1,1",
            "-o",
            str(tmp_path / "m.nii.gz"),
            "--weights",
            str(path),
        ]
    )
    message = capsys.readouterr().err
    assert (
        code == 2
        and message.count("remedy:") == 1
        and not trace.exists()
        and not (tmp_path / "m.nii.gz").exists()
    )


def test_no_memory_is_spent_on_what_a_header_declares(tmp_path: Path) -> None:
    """All bombs together, in a process of its own: none makes it grow by 100 MB."""
    bombs = [case for case in CLIPS if "bomb" in case]
    code = (
        "import resource, sys, tempfile, pathlib, numpy, nibabel, pydicom, SimpleITK, av\n"
        "sys.path[:0] = sys.argv[1:]\n"
        "from broken_clips import CLIPS\n"
        "from uscl_med3d.core.errors import InputError\n"
        "from uscl_med3d.data.clips import read_clip\n"
        f"for case in {bombs!r}:\n"
        "    path = CLIPS[case][0](pathlib.Path(tempfile.mkdtemp()))\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "    try: read_clip(path)\n"
        "    except InputError: pass\n"
        "    else: raise SystemExit(case)\n"
        "    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "    assert grown < 100_000, (case, grown)\n"
    )
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", code, str(here), str(here.parents[2] / "src")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(bombs) >= 8


def test_enough_cases() -> None:
    assert len(CLIPS) >= 60 and len(ANNOTATIONS) + len(REFERENCES) >= 35
