"""How tissues look in CT and MR: levels, texture, blur, bias field and noise. Never ultrasound physics."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

# Hounsfield units without contrast agent, and the gain at full enhancement.
HOUNSFIELD: dict[str, tuple[float, float]] = {
    "air": (-1000, 0),
    "fat": (-105, 0),
    "visceral_fat": (-95, 5),
    "muscle": (55, 10),
    "bone": (420, 0),
    "disc": (90, 5),
    "vertebrae": (330, 0),
    "bowel": (25, 40),
    "liver": (58, 55),
    "spleen": (50, 75),
    "kidney": (32, 150),
    "stomach": (15, 40),
    "aorta": (42, 240),
    "postcava": (40, 130),
    "pancreas": (42, 55),
    "duodenum": (28, 45),
    "gallbladder": (8, 5),
    "inferior_vena_cava": (40, 130),
    "heart": (45, 130),
    "lung": (-800, 10),
    "trachea": (-960, 0),
    "esophagus": (35, 20),
    "ribs": (380, 0),
    "autochthon": (58, 10),
}

# Mean level (0..1) of T1, T1 with contrast agent, T2 and FLAIR.
BRAIN_CONTRASTS = ("t1", "t1ce", "t2", "flair")
BRAIN: dict[str, tuple[float, float, float, float]] = {
    "air": (0.0, 0.0, 0.0, 0.0),
    "skin": (0.8, 0.8, 0.6, 0.5),
    "skull": (0.12, 0.12, 0.1, 0.1),
    "csf": (0.18, 0.18, 0.95, 0.12),
    "grey_matter": (0.45, 0.48, 0.55, 0.5),
    "white_matter": (0.65, 0.66, 0.4, 0.4),
    "edema": (0.42, 0.44, 0.8, 0.85),
    "enhancing_tumor": (0.45, 0.95, 0.65, 0.72),
    "necrotic_core": (0.28, 0.3, 0.85, 0.45),
}


def _base(name: str) -> str:
    """Left and right share a tissue."""
    for part in ("kidney", "lung", "ribs", "autochthon"):
        if part in name:
            return part
    return name


def draw_ct_levels(rng: np.random.Generator, names: list[str]) -> np.ndarray:
    """Hounsfield level per tissue for one patient and contrast phase."""
    phase = rng.uniform(0, 1)
    levels: dict[str, float] = {}
    for name in names:
        base, gain = HOUNSFIELD[_base(name)]
        levels.setdefault(_base(name), base + gain * phase * rng.uniform(0.5, 1.2) + rng.normal(0, 8))
    return np.array([levels[_base(name)] for name in names], np.float32)


def draw_mr_levels(rng: np.random.Generator, names: list[str]) -> np.ndarray:
    """Arbitrary level 0..1 per tissue: sequences differ, so no organ has a fixed brightness."""
    levels = {"air": 0.0, "lung": 0.05, "trachea": 0.02, "bone": rng.uniform(0.05, 0.3)}
    bright = rng.uniform(0.6, 1.0) if rng.uniform() < 0.6 else rng.uniform(0.15, 0.4)
    levels |= {
        "fat": bright,
        "visceral_fat": bright * rng.uniform(0.9, 1.05),
        "muscle": rng.uniform(0.2, 0.4),
    }
    for name in names:
        levels.setdefault(_base(name), rng.uniform(0.15, 0.95))
    return np.array([levels[_base(name)] for name in names], np.float32)


def draw_brain_levels(rng: np.random.Generator, names: list[str], contrast: str) -> np.ndarray:
    """Level per tissue of one brain contrast."""
    column = BRAIN_CONTRASTS.index(contrast)
    return np.array([max(0.0, BRAIN[name][column] + rng.normal(0, 0.03)) for name in names], np.float32)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], cells: int) -> np.ndarray:
    """Smooth standard-normal-like noise of `shape` with about `cells` lumps per axis."""
    small = rng.standard_normal((cells,) * 3, dtype=np.float32)
    return zoom(small, [size / cells for size in shape], order=1, mode="nearest", grid_mode=False)[
        tuple(slice(size) for size in shape)
    ]


def make_ct(rng: np.random.Generator, tissue: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """int16 Hounsfield volume of a tissue-id map."""
    image = levels[tissue] + rng.uniform(4, 14) * smooth_noise(rng, tissue.shape, 20)
    image = gaussian_filter(image, rng.uniform(0.35, 0.8))
    noise = gaussian_filter(rng.standard_normal(tissue.shape, dtype=np.float32), rng.uniform(0.3, 0.7))
    image += rng.uniform(6, 30) * noise / noise.std()
    return np.clip(np.rint(image), -1024, 3000).astype(np.int16)


def make_mr(rng: np.random.Generator, tissue: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """int16 magnitude volume of a tissue-id map: texture, blur, bias field, Rician noise."""
    image = levels[tissue] * (1 + rng.uniform(0.03, 0.1) * smooth_noise(rng, tissue.shape, 20))
    image = gaussian_filter(image, (rng.uniform(0.4, 1.1), *[rng.uniform(0.35, 0.8)] * 2))
    image *= np.exp(rng.uniform(0.1, 0.35) * smooth_noise(rng, tissue.shape, 3))
    noise = rng.uniform(0.01, 0.05)
    parts = rng.standard_normal((2, *tissue.shape), dtype=np.float32) * np.float32(noise)
    image = np.hypot(image + parts[0], parts[1])
    return np.clip(np.rint(image * rng.uniform(300, 1500)), 0, 32000).astype(np.int16)
