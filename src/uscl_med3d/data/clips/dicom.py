"""Multi-frame ultrasound in DICOM, through pydicom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.clips.base import ClipInfo

SUFFIXES = (".dcm", ".dicom", ".ima")
CENTIMETRES = 3  # PhysicalUnitsXDirection, DICOM PS3.3 C.8.5.5
TISSUE = 1  # RegionDataType
LUMA_FIRST = ("YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_ICT", "YBR_RCT")


class DicomClip:
    """A DICOM file with one or more frames; see `uscl_med3d.data.clips.base.Clip`."""

    def __init__(self, path: Path) -> None:
        import pydicom

        self.path = path
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True)
        except Exception as error:
            raise self._error(
                f"not readable as DICOM ({type(error).__name__})", "an ultrasound image"
            ) from error
        self.info = ClipInfo(
            format="dicom",
            codec=getattr(header.file_meta.get("TransferSyntaxUID"), "name", None),
            frames_per_second=_frame_rate(header),
            pixel_spacing_mm=_pixel_spacing_mm(header),
            frame_spacing_mm=None,
        )

    def frames(self) -> Iterator[np.ndarray]:
        """Grey frames, uint8 (h, w)."""
        import pydicom
        from pydicom.pixels import iter_pixels

        count = 0
        try:
            dataset = pydicom.dcmread(self.path)
            kind = dataset.PhotometricInterpretation
            # raw=True keeps YBR data as stored: its first channel is the grey image already.
            for frame in iter_pixels(dataset, raw=True):
                yield self._grey(np.asarray(frame), kind, dataset)
                count += 1
        except InputError:
            raise
        except Exception as error:
            raise self._error(
                f"pixel data not decodable after {count} frames ({type(error).__name__}: {error})"[:300],
                "pixel data in a transfer syntax that pydicom decodes",
            ) from error
        if count == 0:
            raise self._error("no frame", "at least one frame")

    def _grey(self, frame: np.ndarray, kind: str, dataset: Any) -> np.ndarray:
        if kind == "PALETTE COLOR":
            from pydicom.pixels import apply_color_lut

            colour = apply_color_lut(frame, dataset)
            return _luma(colour >> 8 if colour.dtype == np.uint16 else colour)
        if kind == "RGB":
            return _luma(frame)
        if kind in LUMA_FIRST:
            return np.ascontiguousarray(frame[..., 0])
        if kind in ("MONOCHROME1", "MONOCHROME2"):
            bits = int(dataset.get("BitsStored", 8))
            grey = (frame >> (bits - 8) if bits > 8 else frame).astype(np.uint8)
            return 255 - grey if kind == "MONOCHROME1" else grey
        raise self._error(f"photometric interpretation {kind!r}", "MONOCHROME1/2, RGB, YBR or PALETTE COLOR")

    def _error(self, found: str, expected: str) -> InputError:
        remedy = "export the clip again as multi-frame ultrasound, or as mp4"
        return InputError(file=self.path, found=found, expected=expected, remedy=remedy)


def open_clip(path: Path) -> DicomClip:
    """Open a DICOM file; its header is read at once."""
    return DicomClip(path)


def _luma(rgb: np.ndarray) -> np.ndarray:
    weights = np.array([19595, 38470, 7471], np.uint32)
    return ((rgb.astype(np.uint32) @ weights + 32768) >> 16).astype(np.uint8)


def _frame_rate(header: Any) -> float | None:
    if header.get("FrameTime"):
        return 1000.0 / float(header.FrameTime)
    rate = header.get("CineRate") or header.get("RecommendedDisplayFrameRate")
    return float(rate) if rate else None


def _pixel_spacing_mm(header: Any) -> tuple[float, float] | None:
    """(h, w) pixel size of the first tissue region in centimetres, else PixelSpacing, else None."""
    for region in header.get("SequenceOfUltrasoundRegions", []):
        units = (region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection"))
        if region.get("RegionDataType") == TISSUE and units == (CENTIMETRES, CENTIMETRES):
            return abs(float(region.PhysicalDeltaY)) * 10, abs(float(region.PhysicalDeltaX)) * 10
    spacing = header.get("PixelSpacing")
    return (float(spacing[0]), float(spacing[1])) if spacing else None
