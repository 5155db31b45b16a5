"""Files: atomic writes, hashes, volumes, tables.

Arrays are (d, h, w) = (frame, depth, lateral). NIfTI axes are (x, y, z) = (w, h, d).
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uscl_med3d.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np


HEADER_BYTES = 2**16
# How a volume's header names the file with its pixels (MHA, NRRD).
DATA_FILE = re.compile(rb"^(?:ElementDataFile\s*=|data ?file:)\s*(\S[^\r\n]*)", re.MULTILINE | re.IGNORECASE)
# Its numbered form: before, width, after, first, last, step.
NUMBERED = re.compile(r"([^%]*)%0?(\d{0,2})d(\S*)\s+(\d{1,9})\s+(\d{1,9})(?:\s+(\d{1,9}))(?:\s+\d+)?")
MOST_FILES = 100_000  # of a numbered form
MOST_VALUES = 2**31  # of a volume: 1290 to the third
MOST_PACKED = 1100  # values in a byte of a gzip stream; deflate reaches 1032
DETACHED = (".mhd", ".nhdr")  # headers whose pixels are in another file


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    The temporary name keeps the suffixes of `path`, because writers choose the format by them.
    A directory may be created at the temporary path instead of a file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    remove(temporary)
    try:
        yield temporary
        if temporary.is_dir() and path.exists():
            remove(path)
        os.replace(temporary, path)
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Delete a file or directory tree if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def hash_listing(files: Mapping[str, Path]) -> str:
    """SHA-256 over names and contents of files, in the order given."""
    total = hashlib.sha256()
    for name, path in files.items():
        total.update(f"{name} {sha256(path)}\n".encode())
    return total.hexdigest()


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON atomically, keys in the order given, so that equal values give equal bytes."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read JSON, or raise an `InputError` that names the file."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            file=path,
            found=str(error),
            expected="a readable JSON file",
            remedy="restore or regenerate the file",
        ) from error


def write_csv(path: str | Path, frame: Any, float_format: str = "%.6g") -> None:
    """Write a pandas data frame atomically, with one float format and Unix line ends everywhere."""
    with atomic(path) as temporary:
        frame.to_csv(temporary, index=False, float_format=float_format, lineterminator="\n")


def write_packed_csv(path: str | Path, frame: Any) -> None:
    """Write a pandas data frame of whole numbers and text as `.csv.gz`, as `write_csv` would."""
    with packed(path, 9) as stream:
        stream.write(frame.to_csv(index=False, lineterminator="\n").encode())


@contextlib.contextmanager
def packed(path: str | Path, level: int) -> Iterator[gzip.GzipFile]:
    """A gzip file to write to, atomic; without time and name inside, so that equal content gives equal bytes."""
    with (
        atomic(path) as temporary,
        open(temporary, "wb") as stream,
        gzip.GzipFile(filename="", mode="wb", fileobj=stream, compresslevel=level, mtime=0) as made,
    ):
        yield made


def save_volume(
    path: str | Path,
    array_dhw: np.ndarray,
    spacing_dhw: tuple[float, float, float],
    affine: np.ndarray | None = None,
) -> None:
    """Write a (d, h, w) array as NIfTI (.nii.gz), atomically and without a time stamp.

    `spacing_dhw` is in millimetres; an axis without millimetres gets 1.0 here and is named in the sidecar. `affine`, (4, 4)
    voxel (w, h, d) -> RAS millimetres, takes its place where the array has a place in a patient.
    """
    import nibabel
    import numpy as np

    spacing_w, spacing_h, spacing_d = spacing_dhw[2], spacing_dhw[1], spacing_dhw[0]
    affine = np.diag([spacing_w, spacing_h, spacing_d, 1.0]) if affine is None else affine
    image = nibabel.Nifti1Image(np.ascontiguousarray(array_dhw.transpose(2, 1, 0)), affine)
    image.header.set_xyzt_units("mm")
    with packed(path, 4) as stream:
        stream.write(image.to_bytes())


def list_data_files(path: Path) -> list[str]:
    """Names that a volume's header gives for the files with its pixels, as they are written there.

    A list below the header (`LIST`) and a numbered pattern (`slice%03d.raw 1 20 1`) are written out.
    """
    with open(path, "rb") as stream:
        head = stream.read(HEADER_BYTES)
    found: list[str] = []
    for match in DATA_FILE.finditer(head):
        name = match.group(1).decode("utf-8", "replace").strip()
        if name.split()[0] == "LIST":
            below = head[match.end() :].decode("utf-8", "replace").splitlines()
            found += [line.strip() for line in below if line.strip()]
        elif numbered := NUMBERED.fullmatch(name):
            before, width, after, first, last, step = numbered.groups()
            numbers = range(int(first), int(last) + 1, max(1, int(step)))[:MOST_FILES]
            found += [f"{before}{str(number).zfill(int(width or 0))}{after}" for number in numbers]
        else:
            found.append(name)
    return found


def check_packing(path: str | Path, values: int) -> None:
    """Raise `InputError` where a volume's header declares more values than its file can hold; reads nothing.

    A value takes a bit at least, packed a byte's MOST_PACKED-th; of a detached header's pixels nothing is known here.
    """
    path = Path(path)
    size = path.stat().st_size
    packed_in = MOST_PACKED if path.suffix.lower() != ".nii" else 8  # a bit at least
    if values <= MOST_VALUES and (path.suffix.lower() in DETACHED or values <= packed_in * size):
        return
    raise InputError(
        file=path,
        found=f"a header that declares {values:.4g} values, in a file of {size} bytes",
        expected=f"at most {MOST_VALUES} values, and a file that holds them",
        remedy="export the volume again; the header is damaged",
    )


def load_volume(path: str | Path) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Read a NIfTI volume as (array (d, h, w) in its stored dtype, spacing (d, h, w))."""
    import nibabel
    import numpy as np

    try:
        image: Any = nibabel.load(path)
        check_packing(path, math.prod(int(length) for length in image.shape))
        array = np.asanyarray(image.dataobj)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            file=path,
            found=f"{type(error).__name__}: {error}",
            expected="a readable NIfTI volume",
            remedy="restore the file, or delete it so that its stage writes it again",
        ) from error
    if array.ndim != 3:
        raise InputError(
            file=path,
            found=f"{array.ndim} axes, shape {array.shape}",
            expected="3 axes (x, y, z)",
            remedy="export one 3D volume per file",
        )
    zooms = image.header.get_zooms()
    return np.ascontiguousarray(array.transpose(2, 1, 0)), (float(zooms[2]), float(zooms[1]), float(zooms[0]))
