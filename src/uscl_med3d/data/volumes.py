"""Headers of volume files, whichever library reads them: NIfTI through nibabel, NRRD and MetaImage through SimpleITK."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import DETACHED, HEADER_BYTES
from uscl_med3d.data.clips.base import Note
from uscl_med3d.data.clips.places import LPS_TO_RAS
from uscl_med3d.data.volume_length import count_held

NIFTI = (".nii", ".nii.gz")
ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
UNIT_MM = {
    "m": 1000.0,
    "meter": 1000.0,
    "cm": 10.0,
    "mm": 1.0,
    "millimeter": 1.0,
    "um": 1e-3,
    "µm": 1e-3,
    "micron": 1e-3,
}
NIFTI_UNIT_MM = {1: 1000.0, 2: 1.0, 3: 1e-3}
SEGMENTATION = re.compile(r"Segment\d{1,4}_Name")  # a segmentation of 3D Slicer, whatever its file is called
# Spaces of NRRD that say where the patient's sides are; others turn like a scanner, or like nothing.
PATIENT_SPACES = {
    f"{name}{time}"
    for name in (
        "left-posterior-superior",
        "right-anterior-superior",
        "left-anterior-superior",
        "lps",
        "ras",
        "las",
    )
    for time in ("", "-time", "t")
}
TRACKED = re.compile(r"Seq_Frame\d+_")  # a sequence of frames with poses (PLUS) is no volume in the patient
FLAT = 1e-6  # determinant of the directions of the axes below which they lie in one plane
MADE_UP = 1e-6


@dataclass(frozen=True)
class Header:
    """What a volume file says of its grid.

    Attributes:
        format: nifti, nrrd or mha. stored_shape: sizes as written; shape: without axes of length 1 behind the second,
            (columns, rows, frames) where there are three. components: values of a voxel. kind: their type.
        affine: (4, 4), voxel (column, row, frame) -> RAS millimetres; None where the file gives no place.
        spacing_mm: (column, row, frame) as the file states it, None where it says nothing.
        notes: what was assumed. spacing_notes: the same, for who believes the spacing.
        fields: text fields of NRRD and MHA.
    """

    path: Path
    format: str
    stored_shape: tuple[int, ...]
    shape: tuple[int, ...]
    components: int
    kind: str
    affine: np.ndarray | None
    spacing_mm: tuple[float, float, float] | None
    notes: tuple[Note, ...] = ()
    spacing_notes: tuple[Note, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    nifti: Any = None  # nibabel's image

    def read(self) -> np.ndarray:
        """Stored values (frames, rows, columns), with a last axis where there are components. Raises `InputError`."""
        try:
            if self.nifti is not None:
                # ITK fills a file that is cut with zeros, and puts zeros for NaN, without a word.
                return np.asanyarray(self.nifti.dataobj).reshape(self.shape, order="A").transpose()
            import SimpleITK

            array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(self.path)))
            last = array.shape[-1:] if self.components > 1 else ()
            return array.reshape((*self.shape[::-1], *last))
        except Exception as error:  # each damage has an exception of its own in nibabel, gzip and zlib
            raise _error(self.path, "header readable, pixel data not", "a whole image volume") from error


def is_segmentation(path: Path) -> bool:
    """Whether a file is a segmentation of 3D Slicer by its fields: its values say nothing without the names in them."""
    if not path.name.lower().endswith(ITK):
        return False
    head = path.open("rb").read(HEADER_BYTES).decode("latin-1")
    return SEGMENTATION.search(head.split("\n\n")[0]) is not None


def read_header(path: Path) -> Header:
    """Read a header; nothing else of the file. Raises `InputError`, also for a file that holds more than it declares."""
    header = _read_nifti(path) if path.name.lower().endswith(NIFTI) else _read_itk(path)
    more = _refuse_more(header)
    if more and path.suffix.lower() in DETACHED:
        note = Note(
            f"the file with the voxels has {more} bytes more than its header declares: they count as its last; if they are "
            "a header in front, every voxel is moved (`byte skip` or `HeaderSize` says so)"
        )
        return replace(header, notes=(*header.notes, note))
    return header


def _refuse_more(header: Header) -> int:
    """Bytes of voxels that the header does not declare, less than a frame. Raises `InputError` for more.

    A frame or more behind the last one is voxels of a wider type read as bytes, or frames that the header leaves out.
    """
    if header.nifti is None:
        offset, bits = None, re.search(r"(\d+)-bit", header.kind)
        voxel = int(bits[1]) // 8 * header.components if bits else 0
    else:
        offset, voxel = int(header.nifti.dataobj.offset), header.nifti.get_data_dtype().itemsize
    held = count_held(header.path, offset)
    if held is None or len(header.stored_shape) < 2:
        return 0
    frame = header.stored_shape[0] * header.stored_shape[1] * voxel
    declared = frame * int(np.prod(header.stored_shape[2:], dtype=np.int64))
    if frame > 0 and held - declared >= frame:
        raise _error(
            header.path,
            f"{held} bytes of voxels",
            f"{declared} bytes: {' x '.join(map(str, header.stored_shape))} of type {header.kind}, as its header says",
        )
    return max(0, held - declared)


def read_itk_header(path: Path) -> Any:
    """SimpleITK's reader of an NRRD or MHA file that has read the header. Raises `InputError`."""
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _error(path, "not readable as an image volume", "an NRRD or MHA file") from error
    return reader


def read_fields(reader: Any) -> dict[str, str]:
    """Text fields of a header that SimpleITK has read; fields whose names are no text are left out."""
    fields = {}
    for key in reader.GetMetaDataKeys():
        try:
            fields[key] = reader.GetMetaData(key)
        except (TypeError, RuntimeError, UnicodeError):
            continue
    return fields


def is_made_up(affine: np.ndarray) -> bool:
    """Whether a header says nothing: 1 mm along all axes, which follow the patient's, from the origin.

    That is what programs write for a stack of frames whose pixel size they do not know. One millimetre beside another
    spacing, a turn or an origin elsewhere is believed.
    """
    return bool(np.allclose(np.abs(affine), np.eye(4), atol=MADE_UP))


def _three(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _squeeze(shape: tuple[int, ...]) -> tuple[tuple[int, ...], bool]:
    """Sizes without axes of length 1 behind the second, as long as three remain; and whether time became the third."""
    kept = list(shape)
    moved = False
    while len(kept) > 3:
        if kept[-1] == 1:
            kept.pop()
        elif kept[2] == 1:
            del kept[2]
            moved = True
        else:
            break
    return tuple(kept), moved


def _read_nifti(path: Path) -> Header:
    import nibabel

    try:
        image: Any = nibabel.load(path)
        stored, kind = tuple(int(size) for size in image.shape), image.get_data_dtype()
        header = image.header
        codes = int(header["qform_code"]), int(header["sform_code"])
        code = int(header["xyzt_units"]) & 7
        unit = NIFTI_UNIT_MM.get(code, 1.0)
        affine = np.asarray(image.affine, float)
        both = (header.get_qform(), header.get_sform()) if min(codes) > 0 else None
        zooms = np.abs(np.array(header.get_zooms()[:3], float))
    except Exception as error:
        raise _error(path, "not readable as an image volume", "a NIfTI file") from error
    if any(size > 1 for size in stored[4:]):  # the fourth is time; what comes behind are values of one voxel
        raise _error(
            path,
            f"{' x '.join(map(str, stored))} voxels: several values in each (colours or vectors)",
            "one grey value in each voxel",
        )
    shape, moved = _squeeze(stored)
    notes: list[Note] = []
    spacing_notes = _note_unit(code)
    place: np.ndarray | None = np.diag([unit, unit, unit, 1.0]) @ affine
    spacing = None
    if max(codes) > 0:
        _check_axes(path, place)
        columns = np.linalg.norm(np.asarray(place)[:3, :3], axis=0)
        spacing = None if is_made_up(np.asarray(place)) else _three(columns)
        if both is not None and not np.allclose(both[0], both[1], atol=1e-2 * max(1e-6, float(zooms.min()))):
            notes.append(
                Note("qform and sform of the NIfTI header place the volume differently: sform is used")
            )
    else:
        place = None
        stated = (
            len(zooms) == 3 and np.isfinite(zooms).all() and (zooms > 0).all() and not np.allclose(zooms, 1)
        )
        if stated:
            spacing = _three(zooms * unit)
            spacing_notes.append(
                Note("the NIfTI header has no code for its orientation: only its pixel sizes are believed")
            )
    if moved:
        notes.append(
            Note(f"{' x '.join(map(str, stored))}: one slice in time, its times are taken as frames")
        )
        place = None
    return Header(
        path,
        "nifti",
        stored,
        shape,
        1 if kind.kind in "iufb" else max(1, len(kind.names or "  ")),
        str(kind),
        place,
        spacing,
        tuple(notes),
        tuple(spacing_notes),
        {},
        image,
    )


def _note_unit(code: int) -> list[Note]:
    """What is said about the unit of length of a NIfTI header, by its code; nothing for millimetres."""
    if code not in NIFTI_UNIT_MM:
        return [Note("the NIfTI header states no unit of length: taken as millimetres")]
    unit = NIFTI_UNIT_MM[code]
    if unit == 1.0:
        return []
    name = "metres" if unit > 1 else "micrometres"
    return [Note(f"lengths of the NIfTI header are in {name}: brought to millimetres")]


def _read_itk(path: Path) -> Header:
    import SimpleITK

    reader = read_itk_header(path)
    size = tuple(int(length) for length in reader.GetSize())
    fields = read_fields(reader)
    head = path.open("rb").read(HEADER_BYTES).decode("latin-1").split("\n\n")[0]
    nrrd = path.suffix.lower() in (".nrrd", ".nhdr")
    shape, moved = _squeeze(size)
    notes: list[Note] = []
    spacing_notes: list[Note] = []
    dimension = len(size)
    directions = np.array(reader.GetDirection()).reshape(dimension, dimension)[:3, :3]
    affine = np.eye(4)
    affine[: len(directions), : len(directions)] = directions * np.array(reader.GetSpacing())[:3]
    affine[: len(directions), 3] = np.array(reader.GetOrigin())[:3]
    unit, words = _unit(head, nrrd)
    affine[:3] *= unit
    if words:
        spacing_notes.append(Note(words))
    affine = LPS_TO_RAS @ affine
    _check_axes(path, affine)
    columns = np.linalg.norm(affine[:3, :3], axis=0)
    spacing = None if is_made_up(affine) else _three(columns)
    placed = _is_placed(head, nrrd) and not moved and not any(TRACKED.match(key) for key in fields)
    if moved:
        notes.append(Note(f"{' x '.join(map(str, size))}: one slice in time, its times are taken as frames"))
    kind = SimpleITK.GetPixelIDValueAsString(reader.GetPixelIDValue())
    return Header(
        path,
        "nrrd" if nrrd else "mha",
        size,
        shape,
        reader.GetNumberOfComponents(),
        kind,
        affine if placed else None,
        spacing,
        tuple(notes),
        tuple(spacing_notes),
        fields,
    )


def _is_placed(head: str, nrrd: bool) -> bool:
    """Whether the text of a header gives directions or an origin, in words of its format."""
    if nrrd:
        match = re.search(r"^space\s*:\s*(\S+)", head, re.MULTILINE)
        return match is not None and match[1].lower() in PATIENT_SPACES
    return (
        re.search(r"^(TransformMatrix|Orientation|Rotation|Offset|Position|Origin)\s*=", head, re.MULTILINE)
        is not None
    )


def _unit(head: str, nrrd: bool) -> tuple[float, str]:
    """Millimetres of a unit of length in a header, and what there is to say."""
    pattern = r"^(?:space )?units\s*:\s*(.+)$" if nrrd else r"^DistanceUnits\s*=\s*(\S+)"
    match = re.search(pattern, head, re.MULTILINE)
    if match is None:
        return 1.0, ""
    names = re.findall(r'"([^"]*)"', match[1]) or [match[1].strip()]
    units = {UNIT_MM.get(name.strip().lower()) for name in names[:3] if name.strip() not in ("", "???")}
    if units == {1.0} or not units:
        return 1.0, ""
    if len(units) == 1 and None not in units:
        (unit,) = units
        return float(unit or 1), f"lengths of the header are in {names[0]}: brought to millimetres"
    return 1.0, f"units of the header are {match[1].strip()[:60]!r}: lengths taken as millimetres"


def _check_axes(path: Path, affine: np.ndarray | None) -> None:
    axes = np.asarray(affine)[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    good = np.isfinite(np.asarray(affine)).all() and (lengths > 0).all()
    if not good or abs(np.linalg.det(axes / lengths)) < FLAT:
        raise _error(path, "a singular affine", "three independent axes with a spacing above zero")


def _error(path: Path, found: str, expected: str) -> InputError:
    return InputError(
        file=path,
        found=found,
        expected=expected,
        remedy="export the volume again; `uscl-med3d inspect` shows what is read",
    )
