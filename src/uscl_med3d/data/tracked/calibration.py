"""Fixed transforms that a sequence file may lack: above all where the image lies at the probe (its calibration)."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from uscl_med3d.core.errors import InputError

Transforms = dict[tuple[str, str], np.ndarray]
"""(from, to) -> (4, 4), millimetres; an image's own unit is its pixel."""

EXPECTED = (
    "a PLUS configuration (<Transform From= To= Matrix=>), or the 16 numbers of ImageToProbe, row by row"
)
SUFFIXES = (".calibration.xml", ".calibration.txt")
SEQUENCE = re.compile(r"(\.igs|\.seq)?\.(mha|mhd|nrrd|nhdr)$", re.IGNORECASE)
LARGEST_BYTES = 2**20


def find_calibration(sweep: Path) -> Path | None:
    """The file beside a sweep that holds its calibration: `<name>.calibration.xml` or `.txt`, if there is one."""
    stem = SEQUENCE.sub("", sweep.name)
    places = [sweep.with_name(stem + suffix) for suffix in SUFFIXES]
    return next((place for place in places if place.is_file()), None)


def read_calibration(path: Path) -> Transforms:
    """Transforms of a PLUS configuration or a text file. Raises `InputError`."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise _unusable(path, f"{path.stat().st_size} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise _unusable(path, error.strerror or type(error).__name__) from error
    if b"<" not in content:
        return {("Image", "Probe"): parse_matrix(content.decode("ascii", "replace"), path, "the text")}
    # Entities can grow without bound, or name other files; PLUS writes none.
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise _unusable(path, "a document type or entity declaration")
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise _unusable(path, f"not readable as XML ({error})"[:200]) from error
    found: Transforms = {}
    for element in root.iter("Transform"):
        start, end, matrix = element.get("From"), element.get("To"), element.get("Matrix")
        if start and end and matrix:
            found[start, end] = parse_matrix(matrix, path, f"{start}To{end}")
    if not found:
        raise _unusable(path, "no transform")
    return found


def parse_matrix(text: str, path: Path, name: str) -> np.ndarray:
    """(4, 4) of 16 numbers, row by row. Raises `InputError` for anything that is no invertible affine map."""
    try:
        matrix = np.array([float(number) for number in text.split()])
    except ValueError:
        matrix = np.zeros(0)
    if matrix.size == 16:
        matrix = matrix.reshape(4, 4)
        if is_usable(matrix):
            return matrix
    raise InputError(
        file=path,
        found=f"{name} is {' '.join(text.split())!r:.120}",
        expected="16 finite numbers of an invertible 4 x 4 matrix, row by row, the last row 0 0 0 1",
        remedy="correct the matrix, or export the sweep and its calibration again",
    )


def is_usable(matrix: np.ndarray) -> bool:
    """Whether a (4, 4) matrix is an affine map that can be inverted."""
    if not np.isfinite(matrix).all() or not np.allclose(matrix[3], [0, 0, 0, 1]):
        return False
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    # Relative to the columns: a calibration in millimetres per pixel has a determinant of 1e-4.
    return bool((lengths > 1e-9).all() and abs(np.linalg.det(matrix[:3, :3] / lengths)) > 1e-6)


def _unusable(path: Path, found: str) -> InputError:
    remedy = "give the calibration of the probe that made the sweep"
    return InputError(file=path, found=found, expected=EXPECTED, remedy=remedy)
