"""From tissue maps on the beam grid to log-compressed echoes.

Arrays are (a, b, f) = (depth sample, beam, frame). Scatterers, interfaces, attenuation exp(-2 alpha f z),
bone and gas shadows, point spread, receiver noise, time-gain compensation, log compression. The point spread
is constant in beams, so it widens with depth as a curved array's does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from uscl_med3d.core.params.simulate import Physics, Tissue
from uscl_med3d.simulate.probe import Fan
from uscl_med3d.simulate.reverberation import DB, fill_gas
from uscl_med3d.simulate.speckle import add_receiver_noise, add_side_lobes, make_speckle


@dataclass(frozen=True)
class Settings:
    """One sweep's scanner settings, drawn once."""

    dynamic_range_db: float
    gain_db: float
    noise_db: float
    tgc_db_cm_mhz: float
    tgc_error_db: np.ndarray  # per depth sample
    a_line_db: float
    b_lines: float
    contact_db: float


def draw_settings(rng: np.random.Generator, physics: Physics) -> Settings:
    """Draw the settings of one sweep."""
    error = gaussian_filter1d(rng.standard_normal(physics.axial_samples), physics.axial_samples / 10)
    return Settings(
        dynamic_range_db=rng.uniform(*physics.dynamic_range_db),
        gain_db=rng.uniform(*physics.gain_db),
        noise_db=rng.uniform(*physics.noise_db),
        tgc_db_cm_mhz=rng.uniform(*physics.tgc_db_cm_mhz),
        tgc_error_db=(physics.tgc_error_db * error / error.std()).astype(np.float32),
        a_line_db=rng.uniform(*physics.reverberation.a_line_db),
        b_lines=rng.uniform(*physics.reverberation.b_lines),
        contact_db=rng.uniform(*physics.contact_db),
    )


def render_echo(
    rng: np.random.Generator,
    fan: Fan,
    tissue: np.ndarray,
    textures: tuple[np.ndarray, np.ndarray],
    frame_step_mm: float,
    physics: Physics,
    tissues: dict[str, Tissue],
    settings: Settings,
) -> tuple[np.ndarray, np.ndarray]:
    """Complex echoes (a, b, f) before gain, and the gain in dB (a, 1, f), of a tissue-id map (a, b, f).

    `textures` are standard-normal fields: lumps (a, b, f), and streaks of the first n samples, (n, b, f).
    """
    names = list(tissues)
    level_db = look_up(tissues, "echo_db")[tissue]
    for field, texture in zip(("lumps_db", "streaks_db"), textures, strict=True):
        level_db[: len(texture)] += look_up(tissues, field)[tissue[: len(texture)]] * texture
    loss_db = accumulate_loss(tissue, names.index("bone"), fan, physics, tissues)
    loss_db += draw_wall_loss(rng, tissue.shape[1:], settings.contact_db, physics.wall_loss_db)
    coherent = reflect(look_up(tissues, "impedance_mrayl")[tissue], fan, physics.specular_power)
    coherent *= np.float32(physics.specular)
    sheets = np.maximum(textures[1] - 0.7, 0) * look_up(tissues, "streaks_db")[tissue[: len(textures[1])]]
    coherent[: len(sheets)] += sheets * np.float32(physics.streak_echo / 10)
    fill_gas(
        rng,
        fan,
        tissue,
        names,
        level_db,
        coherent,
        loss_db,
        physics.reverberation,
        settings.a_line_db,
        settings.b_lines,
    )
    add_ring_down(coherent, fan, physics)
    gain_db = compensate(loss_db, fan, physics, settings)
    transmission = np.exp(spread_loss(loss_db, physics.penumbra_beams) * -DB)
    level_db *= DB
    amplitude = np.exp(level_db, out=level_db)
    amplitude *= transmission
    coherent *= transmission
    axial, elevation = physics.axial_sd_mm / fan.depths_mm[1], physics.elevation_sd_mm / frame_step_mm
    echo = make_speckle(rng, amplitude, coherent, (axial, physics.lateral_sd_beams, elevation))
    add_side_lobes(echo, physics.side_lobe_db, physics.side_lobe_beams)
    add_receiver_noise(rng, echo, settings.noise_db)
    return echo, gain_db


def look_up(tissues: dict[str, Tissue], field: str) -> np.ndarray:
    """Values of one property in the order of the tissue ids."""
    return np.array([getattr(tissue, field) for tissue in tissues.values()], np.float32)


def accumulate_loss(
    tissue: np.ndarray, bone_id: int, fan: Fan, physics: Physics, tissues: dict[str, Tissue]
) -> np.ndarray:
    """Two-way loss in dB down each beam; a bone surface lets next to nothing through."""
    loss_db = look_up(tissues, "attenuation_db_cm_mhz")[tissue]
    loss_db *= np.float32(2 * physics.frequency_mhz * fan.depths_mm[1] / 10)
    bone = tissue == bone_id
    surface = bone[1:-2] & ~bone[:-3]
    loss_db[3:] += np.float32(physics.shadow_db) * surface  # two samples deeper: the surface itself is bright
    np.cumsum(loss_db, axis=0, out=loss_db)
    return np.minimum(loss_db, 90, out=loss_db)


def draw_wall_loss(
    rng: np.random.Generator, shape: tuple[int, int], contact_db: float, uneven_db: float
) -> np.ndarray:
    """Loss in dB per (beam, frame): uneven wall, and one side of the probe without contact for a while."""
    beams = np.linspace(0, 1, shape[0])
    side = beams if rng.uniform() < 0.5 else 1 - beams
    wander = gaussian_filter1d(rng.standard_normal(shape[1] + 60), 12)[30:-30]
    edge = 0.82 + 0.12 * wander / wander.std()
    uneven = gaussian_filter(rng.standard_normal(shape), (5, 4))
    loss_db = contact_db / (1 + np.exp((edge - side[:, None]) / 0.05)) + uneven_db * uneven / uneven.std()
    return loss_db.astype(np.float32)


def reflect(impedance: np.ndarray, fan: Fan, power: float) -> np.ndarray:
    """Mirror-like reflection where impedance changes along the beam, strongest at normal incidence."""
    change = np.zeros_like(impedance)
    change[1:] = np.abs(impedance[1:] - impedance[:-1])
    change[1:] /= impedance[1:] + impedance[:-1]
    smooth = impedance.copy()
    smooth[1:-1] += impedance[:-2]
    smooth[1:-1] += impedance[2:]
    along = np.zeros_like(smooth)
    along[2:-2] = (smooth[4:] - smooth[:-4]) * np.float32(1 / (4 * fan.depths_mm[1]))
    width_mm = (fan.radius_mm + fan.depths_mm) * (fan.angles_rad[1] - fan.angles_rad[0])
    across = np.zeros_like(smooth)
    across[:, 2:-2] = (smooth[:, 4:] - smooth[:, :-4]) / (4 * width_mm[:, None, None]).astype(np.float32)
    along *= along
    across *= across
    across += along
    across += np.float32(1e-6)
    along /= across  # squared cosine of the angle of incidence
    np.power(along, np.float32(power), out=along)
    return np.multiply(change, along, out=along)


def add_ring_down(coherent: np.ndarray, fan: Fan, physics: Physics) -> None:
    """Bright bands right below the probe: the pulse echoes between its lens and the skin (in place)."""
    depth = fan.depths_mm.astype(np.float32)
    bands = np.exp(-depth / physics.ring_down_mm) * (0.55 + 0.45 * np.cos(2 * np.pi * depth / 2.1))
    coherent += (physics.ring_down * bands).astype(np.float32)[:, None, None]


def spread_loss(loss_db: np.ndarray, beams: int) -> np.ndarray:
    """Soften shadow edges: a focused aperture sees past a small obstacle. Mean over 2 * beams + 1 beams."""
    padded = np.pad(loss_db, ((0, 0), (beams, beams), (0, 0)), mode="edge")
    total = padded[:, : loss_db.shape[1]].copy()
    for shift in range(1, 2 * beams + 1):
        total += padded[:, shift : shift + loss_db.shape[1]]
    return np.multiply(total, np.float32(1 / (2 * beams + 1)), out=total)


def compensate(loss_db: np.ndarray, fan: Fan, physics: Physics, settings: Settings) -> np.ndarray:
    """Gain in dB (a, 1, f): a ramp, its error, and an adaptive share of the slowly varying mean loss."""
    ramp = (2 * physics.frequency_mhz * settings.tgc_db_cm_mhz / 10 * fan.depths_mm[:, None]).astype(
        np.float32
    )
    usual = np.minimum(loss_db, ramp[:, :, None] + 12).mean(axis=1)
    usual = gaussian_filter1d(usual, physics.adaptive_span_mm / fan.depths_mm[1], axis=0)
    gain = ramp + physics.adaptive_gain * (usual - ramp) + settings.tgc_error_db[:, None]
    return gain[:, None, :].astype(np.float32)


def compress(echo: np.ndarray, gain_db: np.ndarray, settings: Settings) -> np.ndarray:
    """Grey values 0..255 (float32) of complex echoes: envelope, gain, logarithm, dynamic range."""
    level = echo.real**2
    level += echo.imag**2
    np.log10(level, out=level)
    level *= 10
    level += gain_db
    level += np.float32(settings.gain_db)
    level *= np.float32(255 / settings.dynamic_range_db)
    return np.clip(level, 0, 255, out=level)
