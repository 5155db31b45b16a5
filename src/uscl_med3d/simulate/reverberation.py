"""What a scanner shows behind gas: no anatomy, but echoes between the gas and the probe.

A-lines repeat at multiples of the distance from skin to pleura; B-lines are rays from the pleura that hardly
fade; behind the diaphragm the liver is mirrored into the lung; bowel gas casts a dirty shadow.
"""

from __future__ import annotations

import numpy as np

from uscl_med3d.core.params.simulate import Reverberation
from uscl_med3d.simulate.probe import Fan

DB = np.float32(np.log(10) / 20)


def fill_gas(
    rng: np.random.Generator,
    fan: Fan,
    tissue: np.ndarray,
    names: list[str],
    level_db: np.ndarray,
    coherent: np.ndarray,
    loss_db: np.ndarray,
    model: Reverberation,
    a_line_db: float,
    b_lines: float,
) -> None:
    """Overwrite scatter level, mirror-like echoes and loss behind the first gas of each beam, in place.

    All arrays are (a, b, f) = (depth sample, beam, frame); `tissue` holds indices into `names`.
    """
    gases = [names.index(name) for name in model.gases]
    opaque = np.isin(np.arange(len(names)), [*gases, names.index("bone")])[tissue]
    first = opaque.argmax(axis=0)  # (b, f)
    kind = np.take_along_axis(tissue, first[None], axis=0)[0]
    beam, frame = np.nonzero(np.isin(kind, gases) & opaque.any(axis=0))
    start, kind = first[beam, frame], kind[beam, frame]
    aerated = kind == names.index("lung")
    rays = draw_b_lines(rng, fan, tissue.shape[1:], b_lines)[beam, frame] * aerated
    haze, fade, surface = (
        look_up_gas(model, names, field)[kind] for field in ("haze_db", "fade_db_cm", "surface")
    )
    step_mm = np.float32(fan.depths_mm[1])
    beyond_mm = (np.arange(tissue.shape[0], dtype=np.float32)[:, None] - start) * step_mm
    inside = beyond_mm >= 0
    flicker = 1.5 * rng.standard_normal(len(beam), dtype=np.float32)
    fade_db = fade * (1 - np.float32(model.b_line_persistence) * rays) * beyond_mm * np.float32(0.1)
    haze_db = haze + np.float32(model.b_line_db) * rays + flicker - fade_db
    # The echo travels probe - gas - probe - gas - probe: it returns from twice the depth, and so on.
    period_mm = np.maximum(start * step_mm, 8)
    order = np.rint(beyond_mm / period_mm)
    off_mm = beyond_mm - order * period_mm
    drop_db = model.a_line_drop_db * order + model.a_line_drop_db * 2 * rays
    wobble = draw_a_line_strength(rng, tissue.shape[1:])[beam, frame]
    line = np.exp(-0.5 * (off_mm / model.line_sd_mm) ** 2 + (a_line_db + wobble - drop_db) * DB)
    line *= (order >= 1) & aerated
    line += surface * np.exp(-0.5 * (beyond_mm / model.line_sd_mm) ** 2)
    where = (slice(None), beam, frame)
    entry_db = loss_db[np.maximum(start - 1, 0), beam, frame]
    for target, value in ((level_db, haze_db), (coherent, line), (loss_db, entry_db)):
        target[where] = np.where(inside, value, target[where])


def look_up_gas(model: Reverberation, names: list[str], field: str) -> np.ndarray:
    """Property of each gas by tissue id (zero for other tissues)."""
    return np.array([getattr(model.gases[n], field) if n in model.gases else 0 for n in names], np.float32)


def draw_a_line_strength(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """dB per (beam, frame): A-lines are bright where the pleura is hit squarely, so they come in patches."""
    beams, frames = (np.arange(size, dtype=np.float32) for size in shape)
    total = np.full(shape, -9.0, np.float32)
    for _ in range(3):
        across = np.exp(-0.5 * ((beams - rng.uniform(0, shape[0])) / rng.uniform(6, 18)) ** 2)
        along = np.exp(-0.5 * ((frames - rng.uniform(0, shape[1])) / rng.uniform(6, 25)) ** 2)
        total += 11 * across[:, None] * along
    return np.minimum(total, 4)


def draw_b_lines(rng: np.random.Generator, fan: Fan, shape: tuple[int, int], count: float) -> np.ndarray:
    """Strength 0..1 of B-lines per (beam, frame); about `count` are visible at a time."""
    beams, frames = (np.arange(size, dtype=np.float32) for size in shape)
    total = np.zeros(shape, np.float32)
    for _ in range(rng.poisson(count * 4)):
        centre = rng.uniform(0, shape[0]) + rng.normal(0, 0.3) * frames
        life = np.exp(-0.5 * ((frames - rng.uniform(0, shape[1])) / rng.uniform(2, 8)) ** 2)
        ray = np.exp(-0.5 * ((beams[:, None] - centre) / rng.uniform(1.2, 5)) ** 2)
        total += rng.uniform(0.4, 1) * life * ray
    return np.minimum(total, 1)
