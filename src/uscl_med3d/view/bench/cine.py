"""The cine that is opened and clicked in: moving speckle in a fan, as an uncompressed ultrasound DICOM file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Cine:
    """Sizes: rows and columns; frames of the cine that is clicked in, and of the one whose opening is timed."""

    rows: int = 480
    columns: int = 640
    clicked: int = 200
    opened: int = 341  # 105 MB

    def places(self, count: int) -> list[tuple[float, float, float]]:
        """Points (x, y, z) inside the fan, in frames of their own."""
        x, y = self.columns / 2, self.rows * 0.55
        first, step = self.clicked * 0.25, self.clicked * 0.5 / count
        return [
            (
                x + self.columns * 0.014 * (n % 5 - 2),
                y + self.rows * 0.014 * (n % 3),
                float(int(first + n * step)),
            )
            for n in range(count)
        ]


def write_cine(path: Path, cine: Cine, frames: int) -> None:
    """Write a file of so many frames; the same bytes each time."""
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage, generate_uid

    rows, columns = cine.rows, cine.columns
    y, x = np.indices((rows, columns))
    apex = rows * 0.2  # above the image
    fan = (np.hypot(x - columns / 2, y + apex) < 1.17 * rows) & (np.abs(x - columns / 2) < 0.6 * (y + apex))
    texture = np.random.default_rng(0).integers(20, 200, (rows + frames, columns)).astype(np.uint8)
    pixels = np.stack([np.where(fan, texture[frame : frame + rows], 0) for frame in range(frames)])
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = UltrasoundMultiFrameImageStorage
    identity = generate_uid(entropy_srcs=[path.name])
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = identity
    dataset.Modality, dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "US", "MONOCHROME2", 1
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.size % 2)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
