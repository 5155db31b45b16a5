"""Damaged files through every reader: a result, or an `InputError` in four parts; anything else is a failure.

python tests/fuzz_inputs.py --cases 50000 [--seed 0] [--keep FOLDER]

Each case takes a small whole file of one format, damages it (bits, blocks, lengths, pieces of other files, values of
JSON and XML) and reads it. Cases run in batches in processes of their own, so that a crash of a decoder is seen, too.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "unit/data"))

import annotation_files as drawn
import test_pixels as pixels
from pydicom.uid import ExplicitVRLittleEndian, RLELossless
from raw_files import draw_clip, write_video
from test_clips import write_dicom
from test_dicom_files import write_series
from test_matrix_dicom import Case, write, write_packed
from test_matrix_video import encode
from tracked_files import hand_poses, write_calibration, write_sweep

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.annotations import read_annotations
from uscl_med3d.data.clips import read_clip
from uscl_med3d.data.cohort import read_cohort
from uscl_med3d.data.tracked.calibration import read_calibration
from uscl_med3d.data.tracked.poses import read_track
from uscl_med3d.user.inputs import read_source

BATCH, SECONDS, MEMORY = 250, 60, 6 * 2**30
Reader = Callable[[Path], object]


def read_labels(path: Path) -> object:
    """Annotations of a clip of 4 frames of 5 rows and 6 columns, which has a place in the patient."""
    from dataclasses import replace

    return read_annotations(path, replace(drawn.CANVAS, affine=np.diag([0.5, 0.5, 1.0, 1.0])))


def read_table(path: Path) -> object:
    """A cohort table; the first of its errors, if it has any."""
    rows, errors = read_cohort(path)
    if errors:
        raise errors[0]
    return rows


def read_poses(path: Path) -> object:
    """Poses of a sweep, with the calibration of its header."""
    return read_track(path, {}, "Probe")


def make_pictures(folder: Path) -> None:
    """Whole pictures of every format that `segment` reads."""
    from PIL import Image

    grey = draw_clip(1, 20, 24)[0]
    for suffix in ("png", "jpg", "bmp", "tiff"):
        Image.fromarray(grey).save(folder / f"grey.{suffix}")
        Image.fromarray(np.stack([grey, grey[::-1], grey], -1)).save(folder / f"colour.{suffix}")
    Image.fromarray(grey.astype(np.uint16) * 200).save(folder / "wide.png")
    Image.fromarray(grey.astype(np.float32)).save(folder / "real.tiff")


def make_tracked(folder: Path) -> None:
    """A tracked sweep as PLUS writes it, and calibrations."""
    write_sweep(folder / "sweep.igs.mha", hand_poses(4))
    write_calibration(folder / "sweep.calibration.xml")
    (folder / "other.calibration.txt").write_text("0.4 0 0 -12\n0 0.5 0 3\n0 0 0.5 1\n0 0 0 1\n")


def make_tables(folder: Path) -> None:
    """Cohort tables, with commas and with semicolons."""
    text = (
        "patient,sweep,group,view,split,video,key_frames,probe,spacing_mm,frame_spacing_mm,reference\n"
        "P01,P01_right,abdomen,abdomen_right,train,videos/a b.mp4,keys/P01,convex,0.315,,\n"
        'P02,P02,chest,chest,test,"videos/é, {1}.mp4",,linear,0.073 0.2,1.5,ref.nii.gz\n'
    )
    (folder / "cohort.csv").write_text(text, encoding="utf-8")
    (folder / "semicolons.csv").write_text(text.replace(",", ";"), encoding="utf-8")


READERS: dict[str, tuple[Reader, ...]] = {
    "pictures": (read_source,),
    "tracked": (read_poses, read_clip),
    "tables": (read_table,),
}
"""Groups whose files are read by themselves; calibrations have a reader of their own."""


def make_clips(folder: Path) -> None:
    """Whole clips of every format."""
    import SimpleITK

    clip = draw_clip(4, 20, 24)
    for name, codec, form in (
        ("h264.mp4", "libx264", "yuv420p"),
        ("mpeg4.mov", "mpeg4", "yuv420p"),
        ("ffv1.mkv", "ffv1", "gray"),
        ("mjpeg.avi", "mjpeg", "yuvj420p"),
        ("vp8.webm", "libvpx", "yuv420p"),
        ("gif.gif", "gif", "gray"),
        ("mpeg2.mpg", "mpeg2video", "yuv420p"),
        ("wmv.wmv", "wmv2", "yuv420p"),
        ("flv.flv", "flv1", "yuv420p"),
    ):
        encode(folder / name, codec, form)
    for case in (
        Case("MONOCHROME2"),
        Case("MONOCHROME1", 16, 12, 1),
        Case("RGB", planar=1),
        Case("YBR_FULL_422"),
        Case("PALETTE COLOR"),
    ):
        write(folder / f"{case.kind}.dcm", case, ExplicitVRLittleEndian)
    write(folder / "rle.dcm", Case("RGB"), RLELossless)
    from pydicom.uid import JPEGBaseline8Bit
    from test_matrix_dicom import streams

    write_packed(folder / "jpeg.dcm", "YBR_FULL_422", JPEGBaseline8Bit, streams("JPEG", False))
    pixels.enhanced(folder / "enhanced.dcm", [1.5, 0.5, 0.0, 1.0])
    (folder / "bare").write_bytes(write_dicom(folder / "whole.dcm", clip, "MONOCHROME2").read_bytes()[132:])
    for suffix in (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(clip), str(folder / f"volume{suffix}"))
    write_video(folder / "plain.mp4", clip)


def make_labels(folder: Path) -> None:
    """Whole annotations of every format, of `annotation_files.CANVAS`."""
    from PIL import Image

    array = np.zeros((4, 5, 6), np.uint8)
    array[1, 1:3, 1:4] = 3
    drawn.coco(
        folder / "coco.json",
        [drawn.of(10, [drawn.RECTANGLE]), drawn.of(11, {"size": [5, 6], "counts": "67400N"})],
        videos=[{"id": 1, "name": "a.mp4", "length": 4}],
    )
    drawn.labelme(
        folder / "frame_0001.json",
        [drawn.outline("liver", drawn.RECTANGLE), drawn.stamp("kidney", (2, 3), np.ones((2, 3), bool))],
    )
    drawn.cvat_images(folder / "images.xml", {"frame_000001.PNG": drawn.polygon("liver", drawn.RECTANGLE)})
    drawn.cvat_video(
        folder / "tracks.xml",
        [("liver", drawn.tracked(0, drawn.RECTANGLE) + drawn.tracked(1, drawn.RECTANGLE))],
    )
    drawn.nifti(folder / "labels.nii.gz", array)
    drawn.nifti(folder / "labels.nii", array)
    drawn.seg_nrrd(folder / "s.seg.nrrd", array, drawn.segment(0, "liver", 3))
    image = Image.fromarray(array[1], "P")
    image.putpalette([value for value in range(256) for _ in range(3)])
    image.save(folder / "frame_0001.png")


def damage(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """One to four kinds of damage, one after another."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        size = len(changed) or 1
        at, length = rng.randrange(size), rng.randint(1, max(1, min(64, size)))
        kind = rng.randrange(8)
        if kind == 0:
            changed[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1 and changed:
            changed[min(at, len(changed) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del changed[at:]
        elif kind == 3:
            del changed[at : at + length]
        elif kind == 4:
            changed[at:at] = rng.randbytes(length)
        elif kind == 5:
            changed[at : at + length] = bytes(length)
        elif kind == 6:
            other = rng.choice(others)
            start = rng.randrange(len(other) or 1)
            changed[at:at] = other[start : start + length * 4]
        else:
            changed[at : at + 4] = rng.choice(
                (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f")
            )
    return bytes(changed)


def damage_value(value: Any, rng: random.Random) -> Any:
    """JSON with one value replaced, left out or doubled, somewhere."""
    odd = [
        None,
        True,
        -1,
        0,
        1e308,
        float("nan"),
        2**70,
        "",
        "..",
        "frame_9999999999.png",
        [],
        {},
        [[]],
        "é\0",
    ]
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        if rng.random() < 0.15:
            return {name: one for name, one in value.items() if name != key}
        return value | {key: damage_value(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        if rng.random() < 0.15:
            return value[:at] + value[at : at + 1] * rng.randint(0, 2) + value[at + 1 :]
        return [*value[:at], damage_value(value[at], rng), *value[at + 1 :]]
    return rng.choice(odd)


def make_case(number: int, seed: int, bases: dict[str, list[Path]], folder: Path) -> tuple[str, Reader, Path]:
    """Write one damaged input; its kind, the function that reads it, and its path."""
    rng = random.Random(f"{seed} {number}")
    group = rng.choice(("clips", "clips", "clips", "labels", "labels", "series", *READERS))
    base = rng.choice(bases[group])
    others = [rng.choice(bases["clips"]).read_bytes()]
    if group == "series":
        target = folder / "series"
        shutil.copytree(bases["series"][0].parent, target)
        hurt = rng.choice(sorted(target.iterdir()))
        hurt.write_bytes(damage(hurt.read_bytes(), rng, others))
        return "series", rng.choice((read_clip, read_source)), target
    target = folder / base.name
    if base.suffix in (".nhdr", ".mhd"):  # the header or the pixels behind it
        for part in base.parent.glob(f"{base.stem}.*raw*"):
            shutil.copy(part, folder / part.name)
    if base.suffix == ".json" and rng.random() < 0.6:
        target.write_text(json.dumps(damage_value(json.loads(base.read_text()), rng)))
    else:
        target.write_bytes(damage(base.read_bytes(), rng, others))
    if ".calibration" in base.name:
        return base.name, read_calibration, target
    if group in READERS:
        return base.name, rng.choice(READERS[group]), target
    if group == "labels":
        return base.name, read_labels, folder if base.suffix == ".png" else target
    return base.name, rng.choice((read_clip, read_source)), target


def run_batch(arguments: tuple[range, int, dict[str, list[Path]], Path]) -> tuple[Counter, list[str]]:
    """Outcomes of some cases, and what failed."""
    numbers, seed, bases, scratch = arguments
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _too_long)
    counts: Counter = Counter()
    failures = []
    for number in numbers:
        folder = Path(tempfile.mkdtemp(dir=scratch))
        kind, reader, path = make_case(number, seed, bases, folder)
        signal.alarm(SECONDS)
        try:
            reader(path)
            counts["read"] += 1
        except InputError as error:
            whole = error.file and error.found and error.expected and error.remedy
            counts["refused"] += 1
            if not whole:
                failures.append(f"case {number} ({kind}): an error without all of its parts: {error}")
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            failures.append(
                f"case {number} ({kind}): {type(error).__name__}: {error} at {where.filename}:{where.lineno}"[
                    :400
                ]
            )
        finally:
            signal.alarm(0)
            shutil.rmtree(folder, ignore_errors=True)
    return counts, failures


def _too_long(signum: int, frame: object) -> None:
    raise TimeoutError(f"more than {SECONDS} seconds")


def main() -> int:
    """Run the cases; the number of failures as exit status, at most 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    makers = {
        "clips": make_clips,
        "labels": make_labels,
        "pictures": make_pictures,
        "tracked": make_tracked,
        "tables": make_tables,
    }
    for name, make in makers.items():
        (folder / name).mkdir()
        make(folder / name)
    write_series(folder / "series", draw_clip(4, 20, 24))
    bases = {name: sorted(folder.joinpath(name).iterdir()) for name in (*makers, "series")}
    bases["clips"] = [path for path in bases["clips"] if "raw" not in path.suffix]
    total, failures, done, start = Counter(), [], 0, time.monotonic()
    context = multiprocessing.get_context("fork")
    for first in range(chosen.first, chosen.first + chosen.cases, BATCH):
        if time.monotonic() - start > 60 * chosen.minutes:
            break
        numbers = range(first, min(first + BATCH, chosen.first + chosen.cases))
        receive, send = context.Pipe(duplex=False)
        process = context.Process(
            target=lambda s, a: s.send(run_batch(a)), args=(send, (numbers, chosen.seed, bases, folder))
        )
        process.start()
        send.close()
        try:
            counts, found = receive.recv()
        except EOFError:
            counts, found = (
                Counter(),
                [f"cases {numbers[0]} to {numbers[-1]}: the process ended ({process.exitcode})"],
            )
        process.join()
        total, failures, done = total + counts, failures + found, done + len(numbers)
        for line in found:
            print(line, flush=True)
        print(f"{done} cases: {dict(total)}, {len(failures)} failures", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    print(
        f"{done} cases (seed {chosen.seed}): {total['read']} read, {total['refused']} refused, {len(failures)} failures"
    )
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
