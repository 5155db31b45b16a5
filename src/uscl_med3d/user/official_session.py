"""A user's volume as official weights see it, and their masks on the volume's own grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from uscl_med3d.core.errors import InputError
from uscl_med3d.data import official_grid
from uscl_med3d.data.clips import choose_format, open_clip, volume
from uscl_med3d.data.clips.dicom_series import DicomSeriesClip
from uscl_med3d.data.official_grid import RELEASED, Index, Settings, Volume, check_finite, read_volume
from uscl_med3d.predict import official
from uscl_med3d.user.inputs import Source, is_made_up, read_source

Click = tuple[int, int, int, int]
"""(x, y, z, label) on the canonical grid."""
SweepAxes = Literal["column_row_frame", "frame_row_column"]
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_raw(
    path: Path, spacing_mm: tuple[float, float] | None, sweep_axes: SweepAxes
) -> tuple[Source, Volume, list[str]]:
    """A user's file with its own values: the input for saving, the volume for the network, and what was assumed.

    Args:
        path: NIfTI, NRRD, MHA, a folder of DICOM slices; or a clip without patient coordinates.
        spacing_mm: (row, column) pixel size of a clip that does not say it.
        sweep_axes: which axes of a clip play x, y, z (right, front, up) for the network.

    Raises:
        InputError: for an unreadable file. ValueError: for a spacing that the file contradicts.
    """
    if path.is_dir():
        found = _read_series(path)
        if found is not None:
            return found
    elif choose_format(path) is volume:
        return _read_volume(path, spacing_mm)
    source = read_source(path, spacing_mm)
    return _place_clip(source, sweep_axes)


def _read_volume(path: Path, spacing_mm: tuple[float, float] | None) -> tuple[Source, Volume, list[str]]:
    if spacing_mm is not None:
        raise ValueError(f"{path.name} states its voxel size itself")
    open_clip(path)  # refuses damaged headers by name
    found, notes = read_volume(path), []
    header: Any = None
    kind, affine = "nrrd" if path.suffix.lower() in (".nrrd", ".nhdr") else "mha", found.affine
    if path.name.lower().endswith((".nii", ".nii.gz")):
        import nibabel

        image: Any = nibabel.load(path)
        header, kind, affine = image.header, "nifti", np.asarray(image.affine, np.float64)
        if not np.allclose(affine, found.affine, atol=1e-3):
            notes.append("sform and qform of the header disagree; the network sees the place that ITK reads")
    if is_made_up(found.affine):
        notes.append("the header says nothing of the voxel size: 1 mm along all axes is assumed")
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    frames = found.array.transpose(2, 1, 0)
    world: Literal["ras", "lps"] = "ras" if kind == "nifti" else "lps"
    return Source(frames, (float(lengths[1]), float(lengths[0])), affine, world, header, kind), found, notes


def _read_series(folder: Path) -> tuple[Source, Volume, list[str]] | None:
    """A folder of placed DICOM slices with their rescaled values; None where positions are missing."""
    import SimpleITK

    clip = DicomSeriesClip(folder)
    if clip.affine is None or len(clip.files) < 2:
        return None
    if clip.info.frame_spacing_mm is None:
        raise InputError(
            file=folder,
            found="slices at uneven distances",
            expected="one distance between all slices",
            remedy="put the whole series there, or resample it",
        )
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames([str(file) for file in clip.files])
    try:
        array = SimpleITK.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        raise InputError(
            file=folder,
            found="pixel data not readable",
            expected="a series of grey slices",
            remedy="export the series again",
        ) from error
    if array.ndim != 3:
        raise InputError(
            file=folder, found="colour slices", expected="one value per pixel", remedy="export grey slices"
        )
    found = check_finite(Volume(array.transpose(2, 1, 0), _FLIP @ clip.affine), folder)
    source = Source(array, clip.info.pixel_spacing_mm, found.affine, "lps", None, clip.info.format)
    return source, found, []


def _place_clip(source: Source, sweep_axes: SweepAxes) -> tuple[Source, Volume, list[str]]:
    """A clip without patient coordinates: its axes are given places by choice, frames `spacing_mm` apart."""
    if source.pixel_spacing_mm is None:
        raise ValueError("the pixel size is unknown: official weights need millimetres (--spacing-mm)")
    row, column = source.pixel_spacing_mm
    step = RELEASED.spacing_mm
    affine = np.diag([column, row, step, 1.0])
    if sweep_axes == "frame_row_column":
        affine = affine[[2, 1, 0, 3]]
    notes = [
        f"a clip has no place in the patient: axes {sweep_axes.replace('_', ', ')} are taken as x, y, z (--sweep-axes), "
        f"frames as {step:g} mm apart"
    ]
    return source, Volume(source.frames.transpose(2, 1, 0), affine), notes


class OfficialVolume:
    """A volume on the network's canonical grid.

    Args:
        file: voxels of the user's file, (x, y, z).
        settings: of the weights.

    Attributes:
        notes: what was done to clicks, for the user to read.
    """

    def __init__(self, file: Volume, settings: Settings) -> None:
        self.file, self.notes = file, list[str]()
        self.canonical = official_grid.to_canonical(official_grid.resample(file, settings, "linear"))

    def index_of(self, voxel: tuple[float, float, float], in_region: bool) -> Index:
        """Voxel (x, y, z) of the file to the nearest voxel of the canonical grid.

        Voxels at the file's border may lie up to half a voxel beside that grid; its outermost voxel is taken.

        Raises:
            ValueError: outside the file.
        """
        for name, value, size in zip("xyz", voxel, self.file.shape, strict=True):
            if not -0.5 <= value <= size - 0.5:
                raise ValueError(f"{name} = {value:g} lies outside the input, which has 0 to {size - 1}")
        index = official_grid.nearest_voxel(official_grid.locate(voxel, self.file.affine, self.canonical))
        x, y, z = (min(max(at, 0), size - 1) for at, size in zip(index, self.canonical.shape, strict=True))
        if (x, y, z) != index and in_region:
            given = ",".join(f"{value:g}" for value in voxel)
            self.notes.append(
                f"{given} lies at the border: the nearest voxel that the network sees was clicked"
            )
        return x, y, z

    def to_input(self, masks: list[np.ndarray]) -> np.ndarray:
        """Masks (x, y, z) per object to a map uint8 (z, y, x): 0 background, else 1 + object, later over earlier."""
        result = np.zeros(self.file.shape, np.uint8)
        for number, mask in enumerate(masks, 1):
            result[mask > 0] = number
        return result.transpose(2, 1, 0)


class OfficialPredictor:
    """Clicks to masks on the file's grid; a window is encoded once.

    Args:
        network: in evaluation mode.
        volume: to segment.
        clicks_given: to every decoder pass: `all` so far (SAM-Med3D), or the `newest` only (FastSAM3D).
        device: where the network runs.
    """

    def __init__(
        self, network: Any, volume: OfficialVolume, clicks_given: official.ClicksGiven, device: torch.device
    ) -> None:
        self.network, self.volume = network.to(device), volume
        self.clicks_given, self.device = clicks_given, device
        self._embeddings: dict[Index, torch.Tensor] = {}

    @property
    def side(self) -> int:
        """Of the window, in voxels."""
        return self.network.config.image_size

    def check(self, clicks: Sequence[Click]) -> None:
        """Raises `ValueError` where a click lies outside the window round the first one."""
        start = self._start(clicks)
        for click in clicks[1:]:
            if any(not 0 <= at - low < self.side for at, low in zip(click[:3], start, strict=True)):
                raise ValueError(
                    f"it lies outside the window of {self.side} voxels round the first click, which is all the network "
                    "sees: start a new object there"
                )

    def predict(self, clicks: Sequence[Click], mask: None = None) -> np.ndarray:
        """The mask after all clicks, uint8 (x, y, z) on the file's grid.

        Raises:
            ValueError: for a window that cannot be normalised, or clicks outside it.
        """
        self.check(clicks)
        start = self._start(clicks)
        window = official_grid.cut_window(self.volume.canonical, start, self.side)
        places = [(x - start[0], y - start[1], z - start[2]) for x, y, z, _ in clicks]
        with torch.inference_mode():
            if start not in self._embeddings:
                self._embeddings[start] = self.network.image_encoder(
                    official.normalise(window).to(self.device)
                )
            passes = official.predict_passes(
                self.network,
                self._embeddings[start],
                places,
                [click[3] for click in clicks],
                self.clicks_given,
            )
            for low in passes:
                last = low
        found = official.threshold(self.network, last)
        return official_grid.to_file_grid(Volume(found, window.affine), self.volume.file)

    def _start(self, clicks: Sequence[Click]) -> Index:
        first = clicks[0][:3]
        return official_grid.window_start(first, first, self.side)
