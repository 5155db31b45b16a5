"""S5: what a method costs to train and to use. Counted, not measured, so that equal programs give equal bytes; frames
per second alone are measured and go into a file of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from uscl_med3d.core.io import write_csv
from uscl_med3d.core.seeds import prepare_torch
from uscl_med3d.methods.stills import find_still_method
from uscl_med3d.methods.stills.base import Batch, ClickedMethod, Start, StillMethod, WholeMethod

COUNTED = ["method", "image_size", "parameters", "trained", "training_mb", "gflop"]
MEASURED = ["method", "frames_per_second", "repeats"]
BYTES = 4  # of a float32
ADAM = 2  # numbers that the optimiser keeps per trained one
REPEATS = 12
WARM_UP = 3
MEBI = 2**20


def run_deploy(job: Any, classes: int, base: Path, counted_csv: Path, measured_csv: Path) -> None:
    """Write parameters, training memory and arithmetic of all methods, and (apart) their speed on this machine.

    Args:
        classes: structures of the image sets. base: weights of the base SAM.
    """
    counted, measured = [], []
    for name, entry in job.samus.methods.items():
        if entry.role == "control":
            continue
        prepare_torch(job.seed, job.threads, "stills", "deploy", name)
        names = tuple(f"class {number}" for number in range(classes))
        start = Start(entry.image_size, names, entry.options, base if entry.base else None)
        method = find_still_method(entry.module).build(start)
        picture = make_picture(entry.image_size)
        trained = sum(value.numel() for value in trained_parameters(method))
        memory = training_bytes(method, entry.image_size) / MEBI if trained else float("nan")
        total = sum(value.numel() for value in method.network.parameters())
        flop = count_flop(method, picture) / 1e9
        counted.append(
            [entry.label, entry.image_size, total, trained, round(memory, 2), float(f"{flop:.4g}")]
        )
        measured.append([entry.label, round(1 / median_seconds(partial(use, method, picture)), 1), REPEATS])
    write_csv(counted_csv, pd.DataFrame(counted, columns=COUNTED))
    write_csv(measured_csv, pd.DataFrame(measured, columns=MEASURED))


def make_picture(side: int) -> Tensor:
    """A grey picture (1, 3, side, side) of the method's own size, so that stretching costs nothing."""
    values = np.random.default_rng(0).integers(0, 256, (side, side)).astype(np.float32)
    return torch.from_numpy(values)[None, None].expand(1, 3, -1, -1)


def use(method: StillMethod, picture: Tensor) -> None:
    """One picture and one click, or one picture for methods without clicks."""
    size = (picture.shape[-2], picture.shape[-1])
    with torch.inference_mode():
        if isinstance(method, WholeMethod):
            method.segment(picture)
        else:
            assert isinstance(method, ClickedMethod)
            middle = torch.tensor([[[size[0] / 2, size[1] / 2]]])
            method.click(method.embed(picture), size, middle, torch.ones(1, 1, dtype=torch.long))


def count_flop(method: StillMethod, picture: Tensor) -> int:
    """Floating-point operations of products and convolutions for one picture and one click."""
    method.network.eval()
    use(method, picture)  # what is computed once and kept does not count
    with FlopCounterMode(display=False) as counter:
        use(method, picture)
    return int(counter.get_total_flops())


def trained_parameters(method: StillMethod) -> list[nn.Parameter]:
    """Parameters that training changes."""
    names = set(method.trained_names())
    return [value for name, value in method.network.named_parameters() if name in names]


def training_bytes(method: StillMethod, side: int, batch_size: int = 1) -> int:
    """Bytes that a training step holds: weights, gradients, the optimiser's numbers, and what the backward pass needs.

    Memory of single operations and of the allocator is not in it.
    """
    network = method.network
    trained = trained_parameters(method)
    ids = {id(value) for value in trained}
    for value in network.parameters():
        value.requires_grad_(id(value) in ids)
    weights = {value.untyped_storage().data_ptr() for value in network.parameters()}
    # The storages themselves, so that none is freed and its address given to another.
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage
        return tensor

    network.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = method.loss(make_batch(side, batch_size))["loss"]
    loss.backward()
    network.zero_grad()
    network.eval()
    numbers = sum(value.numel() for value in network.parameters())
    return BYTES * (numbers + (1 + ADAM) * sum(value.numel() for value in trained)) + sum(
        storage.nbytes() for storage in kept.values()
    )


def make_batch(side: int, batch_size: int) -> Batch:
    """Noise with a square of label 1 in its middle, and a click there."""
    labels = torch.zeros(batch_size, side, side, dtype=torch.long)
    labels[:, side // 3 : 2 * side // 3, side // 3 : 2 * side // 3] = 1
    return Batch(
        images=make_picture(side).expand(batch_size, -1, -1, -1),
        labels=labels,
        chosen=torch.ones(batch_size, dtype=torch.long),
        points=torch.full((batch_size, 1, 2), side / 2),
        signs=torch.ones(batch_size, 1, dtype=torch.long),
    )


def median_seconds(work: Callable[[], None]) -> float:
    """Median wall time of one call."""
    times = []
    for number in range(WARM_UP + REPEATS):
        began = time.perf_counter()
        work()
        if number >= WARM_UP:
            times.append(time.perf_counter() - began)
    return float(np.median(times))
