"""Named random streams: one master seed, and an independent stream for every (stage, patient, sweep, ...).

A stream depends on its names only, never on the order in which streams are asked for, so parallel and serial
runs draw the same numbers.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


Seeds = tuple[int, *tuple[str | int, ...]]
"""A master seed, and the first names of the streams under it."""


def derive(seed: int, *names: str | int) -> int:
    """The 63-bit seed of the stream `names` under the master `seed`."""
    text = "/".join([str(int(seed)), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def derive_training(seed: int, training_seed: int) -> int:
    """Master seed of what is random in one repetition of a training: the start of what it learns, order, crops."""
    return derive(seed, "training_seed", training_seed)


def rng(seed: int, *names: str | int) -> np.random.Generator:
    """NumPy generator of the stream `names`."""
    return np.random.default_rng(derive(seed, *names))


def torch_generator(seed: int, *names: str | int) -> torch.Generator:
    """CPU torch generator of the stream `names`."""
    import torch

    return torch.Generator().manual_seed(derive(seed, *names))


def prepare_torch(seed: int, threads: int, *names: str | int) -> None:
    """Make this process deterministic: seed, torch threads (a parameter, because they change float sums)."""
    import torch

    torch.manual_seed(derive(seed, *names) % 2**63)
    torch.set_num_threads(threads)
    # As use_deterministic_algorithms(True, warn_only=True), without its import of the compiler, a second in every job.
    torch.set_deterministic_debug_mode("warn")
