"""Volumes of general-domain sets: reading, one order of axes, and one spacing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import sparse

from uscl_med3d.core.errors import InputError

Spacing = tuple[float, float, float]
LARGEST_SHIFT = 0.25  # voxels; headers of published sets differ by their rounding only


def read_image(path: Path) -> tuple[np.ndarray, Spacing, np.ndarray]:
    """(float32 (d, h, w), spacing_mm (d, h, w), affine (4, 4) of (x, y, z) = (w, h, d)), finite."""
    image, spacing_mm, affine = read_canonical(path)
    image = image.astype(np.float32)
    if not np.isfinite(image).all():
        raise InputError(
            file=path,
            found="NaN or infinite values",
            expected="finite intensities",
            remedy="repair the image",
        )
    return image, spacing_mm, affine


def read_label(
    path: Path, names: dict[str, int], shape: tuple[int, ...], affine: np.ndarray, image: Path
) -> np.ndarray:
    """uint8 (d, h, w) from a label map, or from a folder of masks (where two overlap, the later name wins).

    Raises:
        InputError: for an unreadable map, or one on another grid than its image (`shape` and `affine`).
    """
    if path.is_file():
        return _checked(path, shape, affine, image)
    label = np.zeros(shape, np.uint8)
    for name, value in names.items():
        file = path / f"{name}.nii.gz"
        if file.is_file():  # a structure that the image does not show may have no file
            label[_checked(file, shape, affine, image) > 0] = value
    return label


def _checked(path: Path, shape: tuple[int, ...], affine: np.ndarray, image: Path) -> np.ndarray:
    label, _, found = read_canonical(path)
    if label.shape != shape:
        raise InputError(
            file=path,
            found=f"shape {label.shape}",
            expected=f"{shape}, as {image.name}",
            remedy="export image and label map on one grid",
        )
    shift = measure_shift(found, affine, shape)
    if shift > LARGEST_SHIFT:
        raise InputError(
            file=path,
            found=f"an affine that puts its voxels up to {shift:.2g} voxels beside those of the image",
            expected=f"the affine of {image.name} within {LARGEST_SHIFT:g} voxel",
            remedy="export image and label map on one grid: the label is mirrored, moved, or of another case",
        )
    if label.size and not (label.min() >= 0 and label.max() <= 255):
        raise InputError(
            file=path,
            found=f"label values {label.min()} to {label.max()}",
            expected="values of 0 to 255",
            remedy="renumber the labels",
        )
    return label.astype(np.uint8)


def measure_shift(found: np.ndarray, wanted: np.ndarray, shape: tuple[int, ...]) -> float:
    """Largest distance, in voxels of `wanted`, between the places that two affines give the corners of a grid.

    Args:
        found, wanted: (4, 4) of (x, y, z). shape: (d, h, w) of the grid.
    """
    d, h, w = shape
    corners = np.array([[x, y, z, 1] for x in (0, w - 1) for y in (0, h - 1) for z in (0, d - 1)], float)
    moved = np.linalg.solve(wanted, found @ corners.T).T - corners
    return float(np.abs(moved[:, :3]).max())


def read_canonical(path: Path) -> tuple[np.ndarray, Spacing, np.ndarray]:
    """A NIfTI volume as (d, h, w) = (superior, anterior, right), the closest canonical (RAS+) order, and its affine."""
    import nibabel

    try:
        volume = nibabel.as_closest_canonical(nibabel.load(path))
        array = np.asanyarray(volume.dataobj)
    except Exception as error:
        raise InputError(
            file=path,
            found=f"{type(error).__name__}: {error}",
            expected="a readable NIfTI volume",
            remedy="copy the file again",
        ) from error
    if array.ndim != 3:
        raise InputError(
            file=path, found=f"shape {array.shape}", expected="3 axes", remedy="export one 3D volume per file"
        )
    zooms, affine = volume.header.get_zooms(), np.asarray(volume.affine, float)
    if abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InputError(
            file=path,
            found="a singular affine",
            expected="three independent axes",
            remedy="export the volume again",
        )
    spacing = (float(zooms[2]), float(zooms[1]), float(zooms[0]))
    return np.ascontiguousarray(array.transpose(2, 1, 0)), spacing, affine


def resample(
    image: np.ndarray, label: np.ndarray, spacing_mm: Spacing, target_mm: float
) -> tuple[np.ndarray, np.ndarray, Spacing]:
    """Image and label map on a grid of `target_mm` with the same centre.

    The image by linear interpolation, which is widened where the grid becomes coarser so that every voxel counts;
    the label map by the nearest voxel, as SAM-Med3D does. An axis that has the spacing already stays untouched.
    """
    spacing = list(spacing_mm)
    for axis in range(3):
        size, step = image.shape[axis], target_mm / spacing_mm[axis]
        if abs(step - 1) < 1e-3:
            continue
        count = max(1, round(size / step))
        centres = (np.arange(count) + 0.5 - count / 2) * step + size / 2 - 0.5
        weights = linear_weights(size, centres, max(step, 1.0))
        moved = np.moveaxis(image, axis, 0)
        flat = weights @ np.ascontiguousarray(moved).reshape(size, -1)
        image = np.moveaxis(flat.reshape(count, *moved.shape[1:]), 0, axis)
        nearest = np.clip(np.rint(centres), 0, size - 1).astype(int)
        label = np.take(label, nearest, axis=axis)
        spacing[axis] = target_mm
    return np.ascontiguousarray(image), np.ascontiguousarray(label), (spacing[0], spacing[1], spacing[2])


def linear_weights(size: int, centres: np.ndarray, width: float) -> sparse.csr_matrix:
    """Weights of `size` source voxels for output voxels at `centres` (source indices): a triangle of +-`width`."""
    rows, columns, values = [], [], []
    for row, centre in enumerate(np.clip(centres, 0, size - 1)):
        first = max(0, int(np.floor(centre - width)))
        last = min(size - 1, int(np.ceil(centre + width)))
        near = np.arange(first, last + 1)
        weight = np.maximum(0.0, 1.0 - np.abs(near - centre) / width)
        rows += [row] * len(near)
        columns += near.tolist()
        values += (weight / weight.sum()).tolist()
    return sparse.csr_matrix((np.array(values, np.float32), (rows, columns)), shape=(len(centres), size))
