"""Multi-frame ultrasound in DICOM, through pydicom; lossless JPEG and JPEG-LS through ITK."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.clips.base import ClipInfo, check_size

SUFFIXES = (".dcm", ".dicom", ".ima")
SIGNATURE = b"DICM"  # after 128 bytes of anything
CENTIMETRES = 3  # PhysicalUnitsXDirection, DICOM PS3.3 C.8.5.5
TISSUE = 1  # RegionDataType
ITK_ONLY = (
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
)
LUMA_FIRST = ("YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422")
COLOUR = ("RGB", "YBR_ICT", "YBR_RCT")  # decoders of JPEG 2000 undo its colour transform themselves
GREY = ("MONOCHROME1", "MONOCHROME2")

TWELVE_BITS = "1.2.840.10008.1.2.4.51"  # JPEG of up to 12 bits, of which other decoders know only 8

Limits = tuple[float, float]


class DicomClip:
    """A DICOM file with one or more frames; see `uscl_med3d.data.clips.base.Clip`."""

    def __init__(self, path: Path) -> None:
        import pydicom

        self.path = path
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True)
            self._kind = str(header.get("PhotometricInterpretation", ""))
            self._bits = int(header.get("BitsStored") or 8)
            self._signed = bool(header.get("PixelRepresentation"))
            size = [int(header.get(name) or 1) for name in ("Columns", "Rows", "NumberOfFrames")]
            self.info = ClipInfo(
                format="dicom",
                codec=getattr(header.file_meta.get("TransferSyntaxUID"), "name", None),
                frames_per_second=_frame_rate(header),
                pixel_spacing_mm=_pixel_spacing_mm(header),
                frame_spacing_mm=None,
            )
        except Exception as error:
            raise self._error(
                f"not readable as DICOM ({type(error).__name__})", "an ultrasound image"
            ) from error
        check_size(path, *size)
        self.times_s = _frame_times_s(header, size[2])

    def frames(self, limits: Limits | None = None) -> Iterator[np.ndarray]:
        """Grey frames, uint8 (h, w).

        Grey values of other than 8 unsigned bits are scaled to 0..255 from `limits`, or from their range in the file.
        """
        limits = limits or self.limits()
        count = 0
        for frame, kind in self._decode():
            yield self._to_grey(frame, kind, limits)
            count += 1
        if count == 0:
            raise self._error("no frame", "at least one frame")

    def limits(self) -> Limits | None:
        """Lowest and highest grey value of the file; None for 8 bits, which are taken as they are."""
        if self._kind not in GREY or (self._bits == 8 and not self._signed):
            return None
        ranges = [(float(frame.min()), float(frame.max())) for frame, _ in self._decode()]
        return min(low for low, _ in ranges), max(high for _, high in ranges)

    def _decode(self) -> Iterator[tuple[np.ndarray, str]]:
        """Decoded frames and what their channels are."""
        import pydicom
        from pydicom.pixels import apply_color_lut, iter_pixels

        count = 0
        try:
            dataset = pydicom.dcmread(self.path)
            if self._must_use_itk(dataset):
                yield from self._decode_by_itk()
                return
            # raw=True keeps YBR data as stored: its first channel is the grey image already.
            for frame in iter_pixels(dataset, raw=True):
                if self._kind == "PALETTE COLOR":
                    colour = apply_color_lut(np.asarray(frame), dataset)
                    yield (colour >> 8 if colour.dtype == np.uint16 else colour).astype(np.uint8), "RGB"
                else:
                    yield np.asarray(frame), self._kind
                count += 1
        except InputError:
            raise
        except Exception as error:
            raise self._error(
                f"pixel data not decodable after {count} frames ({type(error).__name__}: {error})"[:300],
                "pixel data in a transfer syntax that pydicom or ITK decodes",
            ) from error

    def _must_use_itk(self, dataset: Any) -> bool:
        """Whether only ITK has a decoder: JPEG of 12 bits, JPEG-LS, and lossless JPEG, which many scanners write."""
        from pydicom.pixels import get_decoder

        syntax = dataset.file_meta.TransferSyntaxUID
        if not syntax.is_compressed or "PixelData" not in dataset:
            return False
        if syntax == TWELVE_BITS and self._bits > 8:
            return True
        return syntax in ITK_ONLY and not get_decoder(syntax).is_available

    def _decode_by_itk(self) -> Iterator[tuple[np.ndarray, str]]:
        import SimpleITK

        try:
            array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(self.path), imageIO="GDCMImageIO"))
        except RuntimeError as error:
            # ITK's own text names sources and lines of its code, not the file's fault.
            raise self._error("pixel data not decodable by ITK", "whole pixel data") from error
        colour = array.shape[-1] == 3 and self._kind not in GREY
        frames = array if array.ndim == 3 + colour else array[None]
        yield from ((frame, "RGB" if colour else self._kind) for frame in frames)

    def _to_grey(self, frame: np.ndarray, kind: str, limits: Limits | None) -> np.ndarray:
        if kind in COLOUR or kind in LUMA_FIRST:
            eight = (
                frame >> (self._bits - 8) if frame.dtype.itemsize > 1 and self._bits > 8 else frame
            ).astype(np.uint8)
            return _luma(eight) if kind in COLOUR else np.ascontiguousarray(eight[..., 0])
        if kind in GREY:
            grey = frame.astype(np.uint8) if limits is None else _scale(frame, limits)
            return 255 - grey if kind == "MONOCHROME1" else grey
        raise self._error(
            f"photometric interpretation {kind!r:.40}", "MONOCHROME1/2, RGB, YBR or PALETTE COLOR"
        )

    def _error(self, found: str, expected: str) -> InputError:
        remedy = "export the clip again as multi-frame ultrasound, or as mp4"
        return InputError(file=self.path, found=found, expected=expected, remedy=remedy)


def open_clip(path: Path) -> DicomClip:
    """Open a DICOM file; its header is read at once."""
    return DicomClip(path)


def _luma(rgb: np.ndarray) -> np.ndarray:
    weights = np.array([19595, 38470, 7471], np.uint32)
    return ((rgb.astype(np.uint32) @ weights + 32768) >> 16).astype(np.uint8)


def _scale(frame: np.ndarray, limits: Limits) -> np.ndarray:
    low, high = limits
    scale = 255.0 / (high - low) if high > low else 0.0
    return np.rint(np.clip((frame.astype(np.float64) - low) * scale, 0, 255)).astype(np.uint8)


def _frame_rate(header: Any) -> float | None:
    if (time_ms := _positive(header.get("FrameTime"))) is not None:
        return 1000.0 / time_ms
    return _positive(header.get("CineRate")) or _positive(header.get("RecommendedDisplayFrameRate"))


def _frame_times_s(header: Any, frames: int) -> list[float | None] | None:
    """Times of the frames of a clip whose rate varies: FrameTimeVector holds the interval before each, in milliseconds."""
    try:
        steps = [float(step) for step in header.get("FrameTimeVector") or []]
    except (TypeError, ValueError):
        return None
    return list(itertools.accumulate(step / 1000 for step in steps)) if len(steps) == frames else None


def _pixel_spacing_mm(header: Any) -> tuple[float, float] | None:
    """(h, w) pixel size of the first tissue region in centimetres, else PixelSpacing, else None."""
    for region in header.get("SequenceOfUltrasoundRegions") or []:
        units = (region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection"))
        h, w = _positive(region.get("PhysicalDeltaY")), _positive(region.get("PhysicalDeltaX"))
        if region.get("RegionDataType") == TISSUE and units == (CENTIMETRES, CENTIMETRES) and h and w:
            return h * 10, w * 10
    spacing = header.get("PixelSpacing") or ()
    h, w = (_positive(value) for value in spacing) if len(spacing) == 2 else (None, None)
    return (h, w) if h and w else None


def _positive(value: Any) -> float | None:
    """The size of a number that a header states; None for nothing, zero and what is no number."""
    try:
        number = abs(float(value))
    except (TypeError, ValueError):
        return None
    return number if 0 < number < float("inf") else None
