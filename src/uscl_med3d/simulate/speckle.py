"""Fully developed speckle: circular complex Gaussian scatterers seen through a point spread function.

The envelope is Rayleigh distributed (mean/SD 1.91) where the tissue is homogeneous. Arrays are (a, b, f) =
(depth sample, beam, frame).
"""

from __future__ import annotations

import numpy as np


def kernel(sd: float) -> np.ndarray:
    """Gaussian amplitude kernel of unit energy, so that filtering keeps the speckle's mean power."""
    reach = max(1, int(np.ceil(2.2 * sd)))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sd) ** 2)
    return (weights / np.sqrt((weights**2).sum())).astype(np.float32)


def filter_axis(values: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    """Symmetric convolution along one axis with zeros outside."""
    reach = len(weights) // 2
    moved = np.moveaxis(values, axis, 0)
    result = moved * weights[reach]
    for shift in range(1, reach + 1):
        result[shift:] += moved[:-shift] * weights[reach + shift]
        result[:-shift] += moved[shift:] * weights[reach + shift]
    return np.moveaxis(result, 0, axis)


def make_speckle(
    rng: np.random.Generator,
    amplitude: np.ndarray,
    coherent: np.ndarray,
    widths: tuple[float, float, float],
) -> np.ndarray:
    """Complex echoes of random scatterers and mirror-like reflectors; `widths` are SDs in samples."""
    scatter = np.empty(amplitude.shape, np.complex64)
    for part in (scatter.real, scatter.imag):
        part[...] = rng.standard_normal(amplitude.shape, dtype=np.float32)
        part *= amplitude
    scatter *= np.float32(np.sqrt(0.5))
    scatter.real += coherent
    for axis, width in enumerate(widths):
        scatter = filter_axis(scatter, kernel(width), axis)
    return scatter


def add_side_lobes(echo: np.ndarray, level_db: float, beams: int) -> None:
    """Add to each beam a little of its 2 * beams + 1 neighbours, in place: a faint haze in fluid."""
    total = np.cumsum(np.pad(echo, ((0, 0), (beams + 1, beams), (0, 0))), axis=1)
    haze = total[:, 2 * beams + 1 :] - total[:, : -2 * beams - 1]
    # Echoes of different beams have independent phases, so their sum grows with the root of their number.
    echo += haze * np.float32(10 ** (level_db / 20) / np.sqrt(2 * beams + 1))


def add_receiver_noise(rng: np.random.Generator, echo: np.ndarray, noise_db: float) -> None:
    """Add complex noise in place. Gain meets it, attenuation does not: deep shadows are not quite black.

    One noise plane is rolled anew for every frame, which costs less than fresh numbers and looks the same.
    """
    plane = rng.standard_normal((*echo.shape[:2], 2), dtype=np.float32) * np.float32(
        10 ** (noise_db / 20) / np.sqrt(2)
    )
    turning = plane.view(np.complex64)[:, :, 0]
    rolls = rng.integers(0, echo.shape[:2], (echo.shape[2], 2))
    for frame, roll in enumerate(rolls):
        echo[:, :, frame] += np.roll(turning, tuple(roll), axis=(0, 1))
