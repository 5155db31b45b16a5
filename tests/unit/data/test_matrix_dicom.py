"""DICOM: transfer syntax x photometric interpretation x bits x sign, against pydicom's own pixel_array."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
)

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.clips import open_clip

FRAMES, ROWS, COLUMNS = 3, 10, 12
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


@dataclass(frozen=True)
class Case:
    """allocated, stored, sign: of grey values. planar: of colours. entries: bits of a palette's entries and words."""

    kind: str
    allocated: int = 8
    stored: int = 8
    sign: int = 0
    planar: int = 0
    entries: tuple[int, int] = (16, 16)

    def __str__(self) -> str:
        grey = f"{self.stored}in{self.allocated}{'s' if self.sign else ''}"
        extra = (
            f"-{self.entries[0]}of{self.entries[1]}"
            if self.kind.startswith("PAL")
            else f"-planar{self.planar}"
        )
        return f"{self.kind}-{grey}{extra}"


GREY = [
    Case(kind, allocated, stored, sign)
    for kind, (allocated, stored), sign in itertools.product(
        ("MONOCHROME1", "MONOCHROME2"), ((8, 8), (8, 6), (16, 8), (16, 10), (16, 12), (16, 16)), (0, 1)
    )
]
COLOURED = [
    *(Case(kind, planar=planar) for kind in ("RGB", "YBR_FULL") for planar in (0, 1)),
    *(Case("RGB", 16, stored, planar=planar) for stored in (12, 16) for planar in (0, 1)),
    Case("YBR_FULL_422"),
]
PALETTES = [
    Case("PALETTE COLOR", allocated, stored, entries=entries)
    for (allocated, stored), entries in itertools.product(
        ((8, 8), (16, 8), (16, 12)), ((16, 16), (8, 16), (8, 8))
    )
]


def header(case: Case, syntax: UID) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = UltrasoundMultiFrameImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = FRAMES, ROWS, COLUMNS
    dataset.PhotometricInterpretation = case.kind
    dataset.SamplesPerPixel = 1 if case.kind.startswith(("MONO", "PAL")) else 3
    if dataset.SamplesPerPixel == 3:
        dataset.PlanarConfiguration = case.planar
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = case.allocated, case.stored, case.stored - 1
    dataset.PixelRepresentation = case.sign
    return dataset


def draw(case: Case) -> np.ndarray:
    """Values that use the whole range of the bits stored, (frames, rows, columns[, 3])."""
    rng = np.random.default_rng(case.stored + case.sign)
    low = -(2 ** (case.stored - 1)) if case.sign else 0
    shape = (FRAMES, ROWS, COLUMNS) + ((3,) if not case.kind.startswith(("MONO", "PAL")) else ())
    top = 200 if case.kind.startswith("PAL") else 2**case.stored
    values = rng.integers(low, low + top, shape)
    return values.astype(f"{'i' if case.sign else 'u'}{case.allocated // 8}")


def add_palette(dataset: Dataset, case: Case) -> None:
    bits, word = case.entries
    rng = np.random.default_rng(7)
    for colour in ("Red", "Green", "Blue"):
        table = rng.integers(0, 2**bits, 256)
        data = table.astype("<u2" if word == 16 else "u1").tobytes()
        descriptor = [256, 0, word if (bits, word) != (8, 16) else 16]
        dataset.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", descriptor)
        dataset.add_new(f"{colour}PaletteColorLookupTableData", "OW", data)


def write(path: Path, case: Case, syntax: UID) -> Path:
    dataset, values = header(case, syntax), draw(case)
    if case.kind.startswith("PAL"):
        add_palette(dataset, case)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    stored = values.astype(values.dtype.newbyteorder(order))
    if case.kind == "YBR_FULL_422":  # native: two luma, then the chroma that they share
        pairs = values.reshape(FRAMES, ROWS, COLUMNS // 2, 2, 3)
        packed = np.stack([pairs[..., 0, 0], pairs[..., 1, 0], pairs[..., 0, 1], pairs[..., 0, 2]], -1)
        data = packed.astype(np.uint8).tobytes()
    elif values.ndim == 4 and case.planar:
        data = np.ascontiguousarray(np.moveaxis(stored, -1, 1)).tobytes()
    else:
        data = stored.tobytes()
    word = "OW" if case.allocated > 8 else "OB"
    dataset.add_new("PixelData", "OW" if syntax == ImplicitVRLittleEndian else word, data)
    if syntax == RLELossless:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.compress(RLELossless)
    dataset.save_as(path, enforce_file_format=True)
    return path


def expected(path: Path) -> np.ndarray:
    """Grey frames 0..255 by the rules of the documentation, from what pydicom reads."""
    dataset = pydicom.dcmread(path)
    values = dataset.pixel_array.astype(np.int64)
    kind, bits = dataset.PhotometricInterpretation, int(dataset.BitsStored)
    if kind == "PALETTE COLOR":
        coloured = apply_color_lut(dataset.pixel_array, dataset).astype(np.int64)
        values = coloured >> 8 if coloured.max() > 255 else coloured
    elif bits > 8 and values.ndim == 4:
        values = values >> (bits - 8)
    if values.ndim == 4:
        return (values @ np.array([19595, 38470, 7471]) + 32768) >> 16
    if not (bits == 8 and not dataset.PixelRepresentation):
        values = np.rint((values - values.min()) * (255 / np.ptp(values)))
    return 255 - values if kind == "MONOCHROME1" else values


def check(path: Path) -> None:
    """Equal pixels; where pydicom itself cannot read the file, a refusal."""
    try:
        assert pydicom.dcmread(path).pixel_array.size
    except Exception:
        with pytest.raises(InputError, match="not decodable"):
            list(open_clip(path).frames())
        return
    clip = open_clip(path)
    frames = np.stack(list(clip.frames()))
    assert frames.dtype == np.uint8 and frames.shape == (FRAMES, ROWS, COLUMNS) and np.ptp(frames) > 20
    np.testing.assert_array_equal(frames, expected(path))


@pytest.mark.parametrize("case", [*GREY, *COLOURED, *PALETTES], ids=str)
@pytest.mark.parametrize("syntax", [*NATIVE, RLELossless], ids=lambda uid: uid.keyword)
def test_native_and_run_length(tmp_path: Path, syntax: UID, case: Case) -> None:
    if syntax == RLELossless and case.kind == "YBR_FULL_422":
        pytest.skip("run lengths of subsampled chroma do not exist")
    check(write(tmp_path / "a.dcm", case, syntax))


def streams(form: str, grey: bool, **options: object) -> list[bytes]:
    rng = np.random.default_rng(3)
    made = []
    for _ in range(FRAMES):
        values = np.repeat(np.repeat(rng.integers(0, 256, (ROWS // 2, COLUMNS // 2, 3)), 2, 0), 2, 1).astype(
            np.uint8
        )
        stream = io.BytesIO()
        Image.fromarray(values[..., 0] if grey else values).save(stream, form, **options)
        made.append(stream.getvalue())
    return made


def write_packed(path: Path, kind: str, syntax: UID, packed: list[bytes]) -> Path:
    dataset = header(Case(kind), syntax)
    dataset.PixelData = encapsulate(packed)
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [60, 95])
@pytest.mark.parametrize("kind", ["RGB", "YBR_FULL", "YBR_FULL_422", "MONOCHROME2", "MONOCHROME1"])
def test_jpeg(tmp_path: Path, kind: str, quality: int, subsampling: int) -> None:
    packed = streams("JPEG", kind.startswith("MONO"), quality=quality, subsampling=subsampling)
    check(write_packed(tmp_path / "a.dcm", kind, JPEGBaseline8Bit, packed))


@pytest.mark.parametrize("irreversible", [False, True])
@pytest.mark.parametrize("transform", [0, 1])
@pytest.mark.parametrize("kind", ["RGB", "YBR_RCT", "YBR_ICT", "MONOCHROME2", "MONOCHROME1"])
def test_jpeg_2000(tmp_path: Path, kind: str, transform: int, irreversible: bool) -> None:
    options = {"irreversible": irreversible, "mct": transform, "no_jp2": True}
    packed = streams("JPEG2000", kind.startswith("MONO"), **options)
    check(write_packed(tmp_path / "a.dcm", kind, JPEG2000 if irreversible else JPEG2000Lossless, packed))
