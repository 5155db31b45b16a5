"""Multi-frame ultrasound in DICOM, through pydicom; lossless JPEG and JPEG-LS through ITK."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.clips import functional_groups
from uscl_med3d.data.clips.base import ClipInfo, Note, check_size, refuse_blank
from uscl_med3d.data.clips.grey_values import (
    Limits,
    describe_bits,
    describe_inversion,
    leave_out,
    looks_like_ybr,
    note_range,
    read_padding,
)
from uscl_med3d.data.clips.regions import choose_region, list_tissue, positive
from uscl_med3d.data.timing import FrameTimes

SUFFIXES = (".dcm", ".dicom", ".ima")
SIGNATURE = b"DICM"  # after 128 bytes of anything
ITK_ONLY = (
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
)
# What pydicom leaves as it is; YBR_FULL and YBR_FULL_422 come as RGB, and so do ICT and RCT of JPEG 2000.
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR")
STUDIO = "YBR_PARTIAL_422"  # luma of 16..235, which no decoder converts
GREY = ("MONOCHROME1", "MONOCHROME2")
STARTS = (b"\xff\xd8", b"\xff\x4f")  # of a JPEG, of a JPEG 2000 stream: one for each frame

RUN_LENGTH = "1.2.840.10008.1.2.5"
TWELVE_BITS = "1.2.840.10008.1.2.4.51"  # JPEG of up to 12 bits, of which other decoders know only 8


class DicomClip:
    """A DICOM file with one or more frames; see `uscl_med3d.data.clips.base.Clip`.

    Frames of an enhanced object come in the order of their positions. The pixel size is that of the ultrasound region
    that holds the image, so `info` is complete when the frames have been read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        header = self._read(stop_before_pixels=True)
        try:
            self._kind = str(header.get("PhotometricInterpretation", ""))
            self._bits = int(header.get("BitsStored") or 8)
            self._signed = bool(header.get("PixelRepresentation"))
            self._padding = read_padding(header)
            size = [int(header.get(name) or 1) for name in ("Columns", "Rows", "NumberOfFrames")]
            self._count = size[2]
            self._regions = list_tissue(header)
            self._groups = functional_groups.read(header, size[2], path)
            self._facts = ClipInfo(
                format="dicom",
                codec=getattr(header.file_meta.get("TransferSyntaxUID"), "name", None),
                frames_per_second=_frame_rate(header),
                pixel_spacing_mm=None,
                frame_spacing_mm=self._groups.frame_spacing_mm,
                pixel_aspect=_pixel_aspect(header),
            )
            self._stated_mm = _pixel_spacing_mm(header)
            self.times_s = _frame_times_s(header, size[2])
        except InputError:
            raise
        except Exception as error:
            raise self._error(
                f"not readable as DICOM ({type(error).__name__})", "an ultrasound image"
            ) from error
        check_size(path, *size)
        if (text := describe_bits(header)) and not self._is_compressed(header):
            raise self._error(text, "pixels in the lowest bits of their words")
        self._brightest: np.ndarray | None = None
        self._said: list[Note] = []
        if text := describe_inversion(header):
            self._say(f"{text}: viewers show the grey values inverted, they are taken as stored", True)

    @property
    def info(self) -> ClipInfo:
        """Facts of the clip. Raises `InputError` where regions must be told apart and the pixels cannot be read."""
        return self.measure()[0]

    @property
    def notes(self) -> list[Note]:
        """What was assumed."""
        return [*self.notes_of_decoding, *self.measure()[1]]

    @property
    def notes_of_decoding(self) -> list[Note]:
        """`notes` without those on the pixel size."""
        return [*self._said, *self._groups.notes]

    @property
    def has_regions(self) -> bool:
        """Whether the pixel size is that of one of several regions, or must be checked against the image."""
        return bool(self._regions) and self._groups.pixel_spacing_mm is None

    @property
    def affine(self) -> np.ndarray | None:
        """(4, 4) voxel -> RAS millimetres of an enhanced object that is placed in the patient."""
        return self._groups.affine

    def frames(self, limits: Limits | None = None) -> Iterator[np.ndarray]:
        """Grey frames, uint8 (h, w).

        Grey values of other than 8 unsigned bits are scaled to 0..255 from `limits`, or from their range in the file.
        """
        yield from refuse_blank(self.path, self.single_frames(limits or self.limits()))

    def single_frames(self, limits: Limits | None) -> Iterator[np.ndarray]:
        """`frames` with the grey range that the caller knows, and without asking whether they show anything."""
        count, brightest = 0, None
        for frame in self._decode():
            grey = self._to_grey(frame, limits)
            brightest = grey.copy() if brightest is None else np.maximum(brightest, grey)
            yield grey
            count += 1
        if brightest is None:
            raise self._error("no frame", "at least one frame")
        if count != self._count:
            raise self._error(f"{count} frames", f"the {self._count} frames that its header declares")
        self._brightest = brightest

    def limits(self) -> Limits | None:
        """Lowest and highest grey value of the file; None for 8 bits without a sign, which are taken as they are."""
        if self._kind not in GREY:
            return None
        frames = (leave_out(self._padding, frame) for frame in self._decode())
        ranges = [(float(frame.min()), float(frame.max())) for frame in frames if frame.size]
        if not ranges:
            raise self._error("padding in every pixel", "an ultrasound image")
        low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
        if self._bits == 8 and not self._signed and low >= 0 and high <= 255:
            return None
        if (note := self.note_range((low, high))) not in self._said:
            self._said.append(note)
        return low, high

    def note_range(self, limits: Limits) -> Note:
        """What there is to say where grey values are scaled from `limits`."""
        return note_range(self._bits, self._signed, limits)

    @staticmethod
    def _is_compressed(header: Any) -> bool:
        """Whether a codec knows where the bits are, whatever the header says."""
        syntax = header.file_meta.TransferSyntaxUID
        return bool(syntax.is_compressed) and syntax != RUN_LENGTH

    def measure(self, brightest: np.ndarray | None = None) -> tuple[ClipInfo, list[Note]]:
        """Facts with the pixel size, and what was assumed about it.

        brightest: temporal maximum, uint8 (h, w), of the clip that this file is a frame of; None: of this file.
        """
        if self._groups.pixel_spacing_mm is not None:
            found = replace(
                self._facts, pixel_spacing_mm=self._groups.pixel_spacing_mm, spacing_from="functional groups"
            )
            return found, []
        if not self._regions:
            if self._stated_mm is None:
                return self._facts, []
            return replace(self._facts, pixel_spacing_mm=self._stated_mm, spacing_from="PixelSpacing"), []
        if brightest is None and self._brightest is None:
            for _ in self.single_frames(self.limits()):
                pass
        brightest = self._brightest if brightest is None else brightest
        assert brightest is not None
        spacing, note = choose_region(self._regions, brightest, self._stated_mm)
        info = replace(
            self._facts, pixel_spacing_mm=spacing, spacing_from="ultrasound region" if spacing else None
        )
        return info, [] if note is None else [note]

    def _read(self, **options: Any) -> Any:
        try:
            return read_dicom(self.path, **options)
        except Exception as error:
            raise self._error(
                f"not readable as DICOM ({type(error).__name__})", "an ultrasound image"
            ) from error

    def _decode(self) -> Iterator[np.ndarray]:
        """Decoded frames as pydicom's own `pixel_array` gives them, in the order of their positions."""
        from pydicom.pixels import iter_pixels

        count = 0
        try:
            dataset = self._read()
            if self._must_use_itk(dataset):
                yield from self._decode_by_itk(dataset)
                return
            self._refuse_more(dataset)
            palette = self._palette_scale(dataset) if self._kind == "PALETTE COLOR" else None
            order = self._groups.order
            if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
                frames = iter_pixels(dataset, indices=None if order is None else list(order))
            else:  # at once: frame by frame, pydicom miscounts the bytes of subsampled chroma
                whole = dataset.pixel_array if self._count > 1 else dataset.pixel_array[None]
                frames = iter(whole if order is None else whole[list(order)])
            for frame in frames:
                yield (
                    np.asarray(frame) if palette is None else self._paint(np.asarray(frame), dataset, palette)
                )
                count += 1
        except InputError:
            raise
        except Exception as error:
            raise self._error(
                f"pixel data not decodable after {count} frames ({type(error).__name__}: {error})"[:300],
                "pixel data in a transfer syntax that pydicom or ITK decodes",
            ) from error

    def _refuse_more(self, dataset: Any) -> None:
        """Raise `InputError` where the pixel data holds more frames than the header declares."""
        from pydicom.encaps import generate_fragments
        from pydicom.pixels.utils import get_expected_length

        data = dataset.get("PixelData")
        if data is None:
            return
        if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            starts = (bytes(fragment[:2]) for fragment in generate_fragments(data))
            held = sum(start in STARTS for start in starts)
        else:
            expected = get_expected_length(dataset)
            # Values have an even length, so one byte more than expected is padding and no frame.
            held = (len(data) - expected % 2) * self._count // max(1, expected)
        if held > self._count:
            raise self._error(
                f"pixel data of {held} frames", f"the {self._count} frames that its header declares"
            )

    def _palette_scale(self, dataset: Any) -> int:
        """Bits by which entries of the palette are shifted down: words of 16 bits may hold entries of 8."""
        from pydicom.pixels import apply_color_lut

        entries, first = (int(dataset.RedPaletteColorLookupTableDescriptor[i]) for i in (0, 1))
        table = apply_color_lut(np.arange(first, first + (entries or 2**16), dtype=np.int64), dataset)
        if table.dtype.itemsize == 1:
            return 0
        if table.max() > 255:
            return 8
        self._say("a palette of 8-bit entries in words of 16 bits: taken as 8 bits")
        return 0

    @staticmethod
    def _paint(frame: np.ndarray, dataset: Any, shift: int) -> np.ndarray:
        from pydicom.pixels import apply_color_lut

        return (apply_color_lut(frame, dataset) >> shift).astype(np.uint8)

    def _must_use_itk(self, dataset: Any) -> bool:
        from pydicom.pixels import get_decoder

        syntax = dataset.file_meta.TransferSyntaxUID
        if not syntax.is_compressed or "PixelData" not in dataset:
            return False
        if syntax == TWELVE_BITS and self._bits > 8:
            return True
        return syntax in ITK_ONLY and not get_decoder(syntax).is_available

    def _decode_by_itk(self, dataset: Any) -> Iterator[np.ndarray]:
        import SimpleITK

        try:
            array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(self.path), imageIO="GDCMImageIO"))
        except RuntimeError as error:
            # ITK's own text names sources and lines of its code, not the file's fault.
            raise self._error("pixel data not decodable by ITK", "whole pixel data") from error
        colour = array.shape[-1] == 3 and self._kind not in GREY
        frames = array if array.ndim == 3 + colour else array[None]
        slope, intercept = (
            float(dataset.get("RescaleSlope") or 1),
            float(dataset.get("RescaleIntercept") or 0),
        )
        if (slope, intercept) != (1.0, 0.0) and not colour:  # ITK applies it, pydicom does not
            frames = np.rint((frames - intercept) / slope).astype(np.int32)
        order = self._groups.order
        yield from frames if order is None else frames[list(order)]

    def _to_grey(self, frame: np.ndarray, limits: Limits | None) -> np.ndarray:
        known = self._kind in COLOUR or self._kind in (*GREY, STUDIO)
        if not known or frame.ndim != (2 if self._kind in GREY else 3):
            found = f"photometric interpretation {self._kind!r:.40} with frames of shape {frame.shape}"
            raise self._error(found, "MONOCHROME1/2, RGB, YBR or PALETTE COLOR")
        if self._kind in GREY:
            grey = frame.astype(np.uint8) if limits is None else _scale(frame, limits)
            return 255 - grey if self._kind == "MONOCHROME1" else grey
        wide = frame.dtype.itemsize > 1 and self._bits > 8 and self._kind != "PALETTE COLOR"
        eight = (frame >> (self._bits - 8) if wide else frame).astype(np.uint8)
        if self._kind == "RGB" and looks_like_ybr(eight):
            self._say(
                "green and blue are 128 nearly everywhere, as chroma would be: taken as RGB, as the header says",
                True,
            )
        if self._kind == STUDIO:
            self._say("YBR_PARTIAL_422: luma taken as studio range (16..235)", False)
            luma = (eight[..., 0].astype(np.float64) - 16) * 255 / 219
            return np.clip(np.rint(luma), 0, 255).astype(np.uint8)
        return _luma(eight)

    def _say(self, text: str, changes_results: bool = False) -> None:
        note = Note(text, changes_results)
        if note not in self._said:
            self._said.append(note)

    def _error(self, found: str, expected: str) -> InputError:
        remedy = "export the clip again as multi-frame ultrasound, or as mp4; `uscl-med3d inspect` shows what is read"
        return InputError(file=self.path, found=found, expected=expected, remedy=remedy)


def open_clip(path: Path) -> DicomClip:
    """Open a DICOM file; its header is read at once."""
    return DicomClip(path)


def has_signature(path: Path) -> bool:
    """Whether a file has DICOM's signature behind its first 128 bytes."""
    with open(path, "rb") as stream:
        return stream.read(132)[128:] == SIGNATURE


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its signature, or begins with a data set where the signature was left out."""
    with open(path, "rb") as stream:
        head = stream.read(132)
    if head[128:132] == SIGNATURE:
        return True
    # The first element of a bare file belongs to group 2 or 8: two numbers, then a value representation or a length.
    if len(head) < 16 or head[:2] not in (b"\2\0", b"\x08\0") or head[3] != 0:
        return False
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    return explicit or (head[6:8] == b"\0\0" and head[4] % 2 == 0 and head[:4] != b"\2\0\0\0")


def read_dicom(path: Path, **options: Any) -> Any:
    """pydicom's data set of a file with or without the signature in front; the transfer syntax is always set."""
    import pydicom
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    dataset = pydicom.dcmread(path, force=is_dicom(path), **options)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


def _luma(rgb: np.ndarray) -> np.ndarray:
    weights = np.array([19595, 38470, 7471], np.uint32)
    return ((rgb.astype(np.uint32) @ weights + 32768) >> 16).astype(np.uint8)


def _scale(frame: np.ndarray, limits: Limits) -> np.ndarray:
    low, high = limits
    scale = 255.0 / (high - low) if high > low else 0.0
    return np.rint(np.clip((frame.astype(np.float64) - low) * scale, 0, 255)).astype(np.uint8)


def _frame_rate(header: Any) -> float | None:
    if (time_ms := positive(header.get("FrameTime"))) is not None:
        return 1000.0 / time_ms
    return positive(header.get("CineRate")) or positive(header.get("RecommendedDisplayFrameRate"))


def _frame_times_s(header: Any, frames: int) -> FrameTimes | None:
    """Times of the frames of a clip whose rate varies: FrameTimeVector holds the interval before each, in milliseconds."""
    try:
        steps = [float(step) for step in header.get("FrameTimeVector") or []]
    except (TypeError, ValueError):
        return None
    times = itertools.accumulate(step / 1000 for step in steps)
    return FrameTimes(times) if len(steps) == frames else None


def _pixel_spacing_mm(header: Any) -> tuple[float, float] | None:
    spacing = header.get("PixelSpacing") or ()
    h, w = (positive(value) for value in spacing) if len(spacing) == 2 else (None, None)
    return (h, w) if h and w else None


def _pixel_aspect(header: Any) -> float:
    """Width / height; PixelAspectRatio is written as vertical, horizontal size (DICOM PS3.3, C.7.6.3.1.7)."""
    ratio = header.get("PixelAspectRatio") or ()
    vertical, horizontal = (positive(value) for value in ratio) if len(ratio) == 2 else (None, None)
    return horizontal / vertical if vertical and horizontal else 1.0
