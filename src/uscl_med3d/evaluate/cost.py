"""What a method costs at inference: parameters, operations, seconds per volume and click, memory.

One method per process, one volume for all of them: the first sweep of the test split, and of its classes the
one that lies in the most frames. What "per volume" means depends on how a method is prompted:

- `clicks`: one crop around the first click, as the evaluation does it; cutting, encoding and upsampling count;
- `slice_clicks`: every slice that contains the target, with one click in each of them;
- `none`, `key_frames`: the whole volume with all its classes, once; there are no further clicks.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uscl_med3d.clicks.crops import centre_crop_on, cut
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import write_json
from uscl_med3d.core.params.measure import Measure
from uscl_med3d.core.seeds import prepare_torch, rng
from uscl_med3d.data.sweeps import load_sweep, read_splits
from uscl_med3d.evaluate.cases import Item, list_sweep_items
from uscl_med3d.methods.base import ClickMethod, Method, SliceMethod, Weights, WholeMethod
from uscl_med3d.methods.registry import find_method
from uscl_med3d.predict.crops import CropPrediction
from uscl_med3d.predict.slices import SliceEmbeddings


@dataclass(frozen=True)
class Subject:
    """The volume that is segmented: intensities (d, h, w), a target in it, and its key frames if it has any."""

    case: str
    name: str
    volume: np.ndarray
    target: np.ndarray
    key_frames: np.ndarray | None


@dataclass(frozen=True)
class Pass:
    """Seconds of one pass over the volume."""

    first: float
    further: list[float]


def measure_cost(job: Any, volumes_dir: Path, splits_csv: Path, weights: Weights, cost_json: Path) -> None:
    """Measure the run of `job` (slice `measure`) in this process, which must have done nothing else before.

    Peak memory is the highest resident memory of the whole process, Python, torch and volume included; nothing
    is subtracted, but what was resident before the method was loaded is written beside it. A measurement that fails is
    written as such (`failed`, with its reason): the report goes on without it.

    Raises:
        InputError: for missing or unsuitable files.
    """
    try:
        found = _measure(job, volumes_dir, splits_csv, weights)
    except InputError:
        raise
    except Exception as error:  # whatever a method raises
        reason = f"{type(error).__name__}: {error}"[:300]
        print(f"warning: the cost of {job.run.id} was not measured: {reason}", file=sys.stderr)
        found = {"run": job.run.id, "method": job.run.method, "failed": reason}
    write_json(cost_json, found)


def _measure(job: Any, volumes_dir: Path, splits_csv: Path, weights: Weights) -> dict[str, Any]:
    prepare_torch(job.seed, job.threads, "cost", job.run.id)
    subject = choose_subject(job, volumes_dir, splits_csv)
    before_mb = peak_memory_mb()
    method = find_method(job.method.module or job.run.method).load(job, weights)
    clicks = make_clicks(subject, job)
    gflop = count_gflop(_make_encoding(method, subject, clicks, job))
    run = _make_pass(method, subject, clicks, job)
    passes = [run() for _ in repeat(run, job.measure)]
    peak_mb = peak_memory_mb()
    on_gpu = job.device == "cuda"
    return {
        "run": job.run.id,
        "method": job.run.method,
        "takes": method.takes,
        "works_on": method.works_on,
        "case": subject.case,
        "class": subject.name,
        "shape_dhw": list(subject.volume.shape),
        "clicks_per_volume": _clicks_per_volume(method, subject),
        "total_parameters": sum(value.numel() for value in method.network.parameters()),
        "trainable_parameters": _count_trainable(method) if job.method.trained else None,
        "encoder_gflop": gflop,
        "first_click_seconds": statistics.median(one.first for one in passes),
        "further_click_seconds": _median([seconds for one in passes for seconds in one.further]),
        "passes": len(passes),
        "peak_memory_mb": peak_mb,
        "before_loading_mb": before_mb,
        "peak_gpu_memory_mb": round(torch.cuda.max_memory_allocated() / 2**20, 1) if on_gpu else None,
        "device": job.device,
        "threads": job.threads,
        "torch": torch.__version__,
    }


def choose_subject(job: Any, volumes_dir: Path, splits_csv: Path) -> Subject:
    """The first sweep of the test split, with its longest target; a ball stands in where nothing is annotated."""
    settings = job.evaluate
    found: list[Item] = []
    for item in list_sweep_items(
        volumes_dir,
        splits_csv,
        None,
        ("test", "val"),
        job.classes,
        settings.min_target_voxels,
        settings.untracked_distance,
    ):
        if isinstance(item, Item):
            if found and item.case != found[0].case:
                break
            found.append(item)
    if found:
        item = max(found, key=lambda one: int(one.truth.any((1, 2)).sum()))
        return Subject(item.case, item.name, item.image, item.truth, item.key_frames)
    sweep = load_sweep(volumes_dir, read_splits(splits_csv)["sweep"].min())
    return Subject(sweep.id, "ball in the middle", sweep.image, _ball(sweep.image.shape), None)


def make_clicks(subject: Subject, job: Any) -> list[tuple[int, int, int, int]]:
    """As many clicks as the evaluation gives, drawn from the target, the first one in the middle of the list.

    Further ones lie within the crop around the first, which is all that a method of crops sees of a larger target.
    """
    voxels = np.argwhere(subject.target)
    random = rng(job.seed, "cost", subject.case, subject.name)
    d, h, w = (int(at) for at in voxels[len(voxels) // 2])
    origin = np.array(centre_crop_on((d, h, w), subject.volume.shape, job.model.image_size))
    seen = voxels[((voxels >= origin) & (voxels < origin + job.model.image_size)).all(1)]
    further = seen[random.integers(len(seen), size=job.evaluate.clicks - 1)]
    return [(d, h, w, 1), *((int(d), int(h), int(w), 1) for d, h, w in further)]


def repeat(run: Callable[[], Pass], settings: Measure) -> Iterator[int]:
    """How often to measure: many times if it is quick, because short passes scatter; an untimed pass goes before."""
    run()
    begun = time.perf_counter()
    for index in range(settings.most_passes):
        yield index
        spent = time.perf_counter() - begun
        enough = spent > settings.enough_seconds and index + 1 >= settings.least_passes
        if enough or spent > settings.most_seconds:
            return


def count_gflop(run: Callable[[], object]) -> float:
    """Floating-point operations of matrix products, convolutions and attention, in units of 10⁹."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 1e9


def peak_memory_mb() -> float:
    """Highest resident memory of this process so far (Linux counts in kibibytes)."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _make_encoding(method: Method, subject: Subject, clicks: list, job: Any) -> Callable[[], object]:
    """What has to be computed once per volume."""
    if isinstance(method, ClickMethod):
        size, first = job.model.image_size, clicks[0][:3]
        origin = method.place_crop(first, first, subject.volume.shape, size)
        crop = cut(subject.volume, origin, job.model.image_size, fill=0).astype(np.float32)
        return lambda: method.embed(torch.from_numpy(crop)[None, None])
    if isinstance(method, SliceMethod):
        return lambda: SliceEmbeddings(method).embed(subject.volume, _slices(subject))
    assert isinstance(method, WholeMethod)
    return lambda: _segment(method, subject, job)


def _make_pass(method: Method, subject: Subject, clicks: list, job: Any) -> Callable[[], Pass]:
    if isinstance(method, ClickMethod):
        return lambda: _click_crop(method, subject, clicks, job)
    if isinstance(method, SliceMethod):
        return lambda: _click_slices(method, subject, clicks, job)

    assert isinstance(method, WholeMethod)

    def segment() -> Pass:
        with _Watch(job) as watch:
            _segment(method, subject, job)
        return Pass(watch.seconds, [])

    return segment


def _click_crop(method: ClickMethod, subject: Subject, clicks: list, job: Any) -> Pass:
    size, further = job.model.image_size, []
    with _Watch(job) as first:
        origin = method.place_crop(clicks[0][:3], clicks[0][:3], subject.volume.shape, size)
        prediction = CropPrediction(method, [subject.volume], [origin], size)
        prediction.predict([clicks[:1]])
    for count in range(2, len(clicks) + 1):
        with _Watch(job) as watch:
            prediction.predict([clicks[:count]])
        further.append(watch.seconds)
    return Pass(first.seconds, further)


def _click_slices(method: SliceMethod, subject: Subject, clicks: list, job: Any) -> Pass:
    slices, further = _slices(subject), []
    points = torch.tensor(
        [[np.argwhere(subject.target[index])[0].tolist()] * len(clicks) for index in slices]
    ).float()
    labels = torch.ones(points.shape[:2], dtype=torch.long)
    with torch.inference_mode():
        with _Watch(job) as first:
            embedding = SliceEmbeddings(method).embed(subject.volume, slices)
            state = method.start(embedding, (subject.volume.shape[1], subject.volume.shape[2]))
            method.click(state, points[:, :1], labels[:, :1]).cpu()
        for count in range(2, len(clicks) + 1):
            with _Watch(job) as watch:
                method.click(state, points[:, :count], labels[:, :count]).cpu()
            further.append(watch.seconds)
    return Pass(first.seconds, further)


def _segment(method: WholeMethod, subject: Subject, job: Any) -> np.ndarray:
    key_frames = subject.key_frames if method.takes == "key_frames" else None
    if method.takes == "key_frames" and key_frames is None:
        key_frames = np.full(subject.volume.shape, 255, dtype=np.uint8)
        middle = len(key_frames) // 2
        key_frames[middle] = subject.target[middle]
    return method.segment(subject.volume, key_frames, job.classes, None)


def _slices(subject: Subject) -> list[int]:
    return np.flatnonzero(subject.target.any((1, 2))).tolist()


def _clicks_per_volume(method: Method, subject: Subject) -> int:
    """What one click per target costs the user in this volume."""
    if method.takes != "clicks":
        return 0
    return len(_slices(subject)) if method.works_on == "slice" else 1


def _count_trainable(method: Method) -> int:
    return sum(value.numel() for value in method.prepare_training())


def _ball(shape: tuple[int, int, int]) -> np.ndarray:
    """A ball in the middle of a volume, at least a voxel of it however thin the volume is."""
    grid = np.stack([*np.indices(shape)], -1) - (np.array(shape) - 1) / 2
    return (grid**2).sum(-1) <= max(min(shape) / 4, 1) ** 2


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None


class _Watch:
    """Seconds inside the context; on a GPU, until its work is done."""

    def __init__(self, job: Any) -> None:
        self.on_gpu, self.seconds = job.device == "cuda", 0.0

    def __enter__(self) -> _Watch:
        if self.on_gpu:
            torch.cuda.synchronize()
        self.begun = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        if self.on_gpu:
            torch.cuda.synchronize()
        self.seconds = time.perf_counter() - self.begun
