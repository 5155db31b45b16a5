"""From tissue maps on the beam grid to log-compressed echoes.

Arrays are (a, b, f) = (depth sample, beam, frame). Fully developed speckle is circular complex Gaussian scatterer
noise filtered with the point spread function; its width is constant in beams, so it widens with depth as a curved
array's does. Attenuation is exp(-2 alpha f z); bone and gas reflect nearly everything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from uscl_med3d.core.params.simulate import Physics, Tissue
from uscl_med3d.simulate.probe import Fan

GAS = (
    "gas",
    "lung",
    "lung_mirror",
)  # what these do behind their surface is not transmission but reverberation
OPAQUE = (*GAS, "bone")
DB = np.float32(np.log(10) / 20)


@dataclass(frozen=True)
class Settings:
    """The knobs of one sweep, drawn once."""

    dynamic_range_db: float
    gain_db: float
    noise_db: float
    tgc_db_cm_mhz: float
    tgc_error_db: np.ndarray  # per depth sample
    a_line_db: float
    b_lines: float


def draw_settings(rng: np.random.Generator, physics: Physics) -> Settings:
    """One sweep's scanner settings."""
    error = gaussian_filter1d(rng.standard_normal(physics.axial_samples), physics.axial_samples / 10)
    return Settings(
        dynamic_range_db=rng.uniform(*physics.dynamic_range_db),
        gain_db=rng.uniform(*physics.gain_db),
        noise_db=rng.uniform(*physics.noise_db),
        tgc_db_cm_mhz=rng.uniform(*physics.tgc_db_cm_mhz),
        tgc_error_db=(physics.tgc_error_db * error / error.std()).astype(np.float32),
        a_line_db=rng.uniform(*physics.a_line_db),
        b_lines=rng.uniform(*physics.b_lines),
    )


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
    rng: np.random.Generator, amplitude: np.ndarray, coherent: np.ndarray, widths: tuple[float, float, float]
) -> np.ndarray:
    """Complex echoes: random scatterers plus mirror-like ones, blurred by the point spread (sd in samples)."""
    scatter = np.empty(amplitude.shape, np.complex64)
    for part in (scatter.real, scatter.imag):
        part[...] = rng.standard_normal(amplitude.shape, dtype=np.float32)
        part *= amplitude
    scatter *= np.float32(np.sqrt(0.5))
    scatter.real += coherent
    for axis, width in enumerate(widths):
        scatter = filter_axis(scatter, kernel(width), axis)
    return scatter


def look_up(tissues: dict[str, Tissue], field: str) -> np.ndarray:
    """Values of one property in the order of the tissue ids."""
    return np.array([getattr(tissue, field) for tissue in tissues.values()], np.float32)


def reflect(impedance: np.ndarray, fan: Fan, power: float) -> np.ndarray:
    """Mirror-like reflection where impedance changes along the beam, strongest at normal incidence."""
    step_mm = fan.depths_mm[1]
    change = np.zeros_like(impedance)
    change[1:] = np.abs(impedance[1:] - impedance[:-1]) / (impedance[1:] + impedance[:-1])
    smooth = impedance.copy()
    smooth[2:-2] = (
        impedance[:-4] + impedance[1:-3] + impedance[2:-2] + impedance[3:-1] + impedance[4:]
    ) * 0.2
    along = np.zeros_like(smooth)
    along[2:-2] = (smooth[4:] - smooth[:-4]) / np.float32(4 * step_mm)
    width_mm = ((fan.radius_mm + fan.depths_mm) * (fan.angles_rad[1] - fan.angles_rad[0])).astype(np.float32)
    across = np.zeros_like(smooth)
    across[:, 2:-2] = (smooth[:, 4:] - smooth[:, :-4]) / (4 * width_mm[:, None, None])
    cosine = along**2 / (along**2 + across**2 + np.float32(1e-6))
    return change * cosine**power


def spread_loss(loss_db: np.ndarray, beams: int) -> np.ndarray:
    """Soften shadow edges: a focused aperture sees past a small obstacle. Running mean over 2 * beams + 1 beams."""
    padded = np.pad(loss_db, ((0, 0), (beams, beams), (0, 0)), mode="edge")
    total = sum(padded[:, i : i + loss_db.shape[1]] for i in range(2 * beams + 1))
    return total / np.float32(2 * beams + 1)


def fill_gas(
    rng: np.random.Generator,
    fan: Fan,
    tissue: np.ndarray,
    names: list[str],
    level_db: np.ndarray,
    coherent: np.ndarray,
    loss_db: np.ndarray,
    settings: Settings,
) -> None:
    """Replace what lies behind a gas surface by reverberation: A-lines, B-lines, mirrored or dirty haze (in place)."""
    opaque = np.isin(np.arange(len(names)), [names.index(name) for name in OPAQUE])[tissue]
    first = opaque.argmax(axis=0)  # (b, f)
    kind = np.take_along_axis(tissue, first[None], axis=0)[0]
    gas = np.isin(kind, [names.index(name) for name in GAS]) & opaque.any(axis=0)
    step_mm = np.float32(fan.depths_mm[1])
    beam, frame = np.nonzero(gas)
    start = first[beam, frame]
    entry_db = loss_db[np.maximum(start - 1, 0), beam, frame]
    mirror = kind[beam, frame] == names.index("lung_mirror")
    aerated = kind[beam, frame] == names.index("lung")
    lines = draw_b_lines(rng, fan, gas.shape, settings.b_lines)[beam, frame]
    flicker = rng.standard_normal(len(beam), dtype=np.float32)
    depth = np.arange(tissue.shape[0], dtype=np.float32)[:, None]
    beyond_mm = (depth - start) * step_mm
    inside = beyond_mm >= 0
    haze = (
        np.where(mirror, -6.0, np.where(aerated, -11.0, -6.0))
        + np.where(aerated, 13 * lines, 0)
        + 1.5 * flicker
    )
    fade = np.where(mirror, 1.6, np.where(aerated, 1.7 - 1.3 * lines, 2.2)).astype(np.float32)
    haze_db = haze.astype(np.float32) - fade * beyond_mm / 10
    period_mm = np.maximum(start * step_mm, 8)
    order = np.rint(beyond_mm / period_mm)
    off_mm = beyond_mm - order * period_mm
    line_db = settings.a_line_db - 5.0 * order - 12 * lines
    a_line = np.exp(-0.5 * (off_mm / 0.9) ** 2 + line_db * DB) * ((order >= 1) & aerated)
    surface = np.exp(-0.5 * (beyond_mm / 0.8) ** 2) * np.where(aerated, 2.2, 1.2)
    where = (slice(None), beam, frame)
    level_db[where] = np.where(inside, haze_db, level_db[where])
    coherent[where] = np.where(inside, (a_line + surface).astype(np.float32), coherent[where])
    loss_db[where] = np.where(inside, entry_db, loss_db[where])


def draw_b_lines(rng: np.random.Generator, fan: Fan, shape: tuple[int, int], count: float) -> np.ndarray:
    """Strength 0..1 of B-lines per (beam, frame): a few vertical rays that last some frames."""
    beams, frames = shape
    total = np.zeros(shape, np.float32)
    for _ in range(rng.poisson(count * 4)):
        centre = rng.uniform(0, beams) + rng.normal(0, 0.3) * np.arange(frames)
        life = np.exp(-0.5 * ((np.arange(frames) - rng.uniform(0, frames)) / rng.uniform(2, 8)) ** 2)
        width = rng.uniform(1.2, 5)
        total += (
            rng.uniform(0.4, 1) * life * np.exp(-0.5 * ((np.arange(beams)[:, None] - centre) / width) ** 2)
        )
    return np.minimum(total, 1)


def render(
    rng: np.random.Generator,
    fan: Fan,
    tissue: np.ndarray,
    textures: tuple[np.ndarray, np.ndarray],
    frame_step_mm: float,
    physics: Physics,
    tissues: dict[str, Tissue],
    settings: Settings,
) -> np.ndarray:
    """Echo level in dB after time-gain compensation, (a, b, f), of a tissue-id map of the same shape.

    `textures` are two standard-normal fields (lumps, streaks) of the same shape.
    """
    step_cm = np.float32(fan.depths_mm[1] / 10)
    names = list(tissues)
    level_db = look_up(tissues, "echo_db")[tissue]
    for field, texture in zip(("lumps_db", "streaks_db"), textures, strict=True):
        level_db += look_up(tissues, field)[tissue] * texture
    loss_db = look_up(tissues, "attenuation_db_cm_mhz")[tissue]
    loss_db *= np.float32(2 * physics.frequency_mhz) * step_cm
    bone = tissue == names.index("bone")
    loss_db[1:] += np.float32(physics.shadow_db) * (bone[1:] & ~bone[:-1])
    np.cumsum(loss_db, axis=0, out=loss_db)
    np.minimum(loss_db, 90, out=loss_db)
    coherent = reflect(look_up(tissues, "impedance_mrayl")[tissue], fan, physics.specular_power)
    coherent *= np.float32(physics.specular)
    fill_gas(rng, fan, tissue, names, level_db, coherent, loss_db, settings)
    gain_db = compensate(loss_db, step_cm, fan, physics, settings)
    loss_db = spread_loss(loss_db, 2)
    transmission = np.exp(-loss_db * DB)
    level_db *= DB
    amplitude = np.exp(level_db, out=level_db) * transmission
    coherent *= transmission
    widths = (
        physics.axial_sd_mm / fan.depths_mm[1], physics.lateral_sd_beams, physics.elevation_sd_mm / frame_step_mm
    )  # fmt: skip
    echo = make_speckle(rng, amplitude, coherent, widths)
    power = echo.real**2
    power += echo.imag**2
    # Receiver noise is exponential in power and meets the gain, not the attenuation: deep shadows are not quite black.
    noise = rng.standard_exponential(power.shape[:2], dtype=np.float32)[:, :, None]
    turn = rng.integers(0, power.shape[1], power.shape[2])
    for frame, shift in enumerate(turn):
        power[:, :, frame] += np.roll(noise[:, :, 0], shift, axis=1) * np.float32(
            10 ** (settings.noise_db / 10)
        )
    level = np.log10(power, out=power)
    level *= 10
    level += gain_db
    return level


def compensate(
    loss_db: np.ndarray, step_cm: np.float32, fan: Fan, physics: Physics, settings: Settings
) -> np.ndarray:
    """Gain per (depth, 1, frame): a fixed ramp, an error, and an adaptive share of the slowly varying mean loss."""
    depth_cm = np.arange(loss_db.shape[0], dtype=np.float32)[:, None] * step_cm
    ramp = 2 * physics.frequency_mhz * settings.tgc_db_cm_mhz * depth_cm
    mean = gaussian_filter1d(
        np.minimum(loss_db, ramp[:, :, None] + 12).mean(axis=1),
        physics.adaptive_span_mm / fan.depths_mm[1],
        axis=0,
    )
    gain = ramp + physics.adaptive_gain * (mean - ramp) + settings.tgc_error_db[:, None]
    return gain[:, None, :].astype(np.float32)


def compress(level_db: np.ndarray, settings: Settings) -> np.ndarray:
    """Grey values 0..255 (float32) of an echo level."""
    grey = (level_db + np.float32(settings.gain_db)) * np.float32(255 / settings.dynamic_range_db)
    return np.clip(grey, 0, 255, out=grey)
