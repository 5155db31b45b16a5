"""One measurement of the encoder benchmark: one side, one workload, one process.

Reads a job as JSON from the command line and prints the result as JSON on the last line.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from uscl_med3d.core.params.methods import Modules
from uscl_med3d.nets.fastsam3d import OFFICIAL_STUDENT, build_fastsam3d
from uscl_med3d.nets.fastsam3d.config import SparseAttention
from uscl_med3d.nets.sam_med3d import PRESETS, SamMed3D, build_sam_med3d, lora_targets

LORA_RANK = 32
CLASSES, CLICKS = 5, 10
_MATMUL_SIDE = 2048
_LEAST_SECONDS, _MOST_RUNS = 2.0, 50


def main() -> None:
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    model = build(job["preset"], job["side"], job["reference"])
    run = WORKLOADS[job["workload"]](model, job["batch"], job["side"])
    before = peak_bytes()
    rates = [matmul_gflops(torch.float32)]
    # The first run warms up and is counted, because counting operations slows it down.
    with FlopCounterMode(display=False) as counter:
        output = run()
    peak = peak_bytes()
    times = [timed(run) for _ in range(job["repeats"])]
    # Short workloads are repeated more often, because single runs of milliseconds scatter.
    while sum(wall for _, wall in times) < _LEAST_SECONDS and len(times) < _MOST_RUNS:
        times.append(timed(run))
    cpu_s, wall_s = zip(*times, strict=True)
    rates.append(matmul_gflops(torch.float32))
    if output is not None and job["output"]:
        torch.save(output.float(), job["output"])
    result = {
        "runs": len(times),
        "cpu_s": statistics.median(cpu_s),
        "wall_s": statistics.median(wall_s),
        "peak_mb": max(peak, peak_bytes()) / 1e6,
        "before_mb": before / 1e6,
        "gflop": counter.get_total_flops() / 1e9,
        "matmul_gflops": statistics.mean(rates),
    }
    print(json.dumps(result))


def build(preset: str, side: str, reference: str) -> SamMed3D:
    """The same seeded network for both sides; `reference` is the file of the padded reference.

    The sides `fastsam3d` and `fastsam3d_segments` have the official student's encoder instead, the second one
    with sparse attention.
    """
    torch.manual_seed(0)
    if side.startswith("fastsam3d"):
        attention: SparseAttention = "segments" if side == "fastsam3d_segments" else "none"
        student = replace(OFFICIAL_STUDENT, sparse_attention=attention)
        model = build_fastsam3d(student, PRESETS[preset])
    else:
        model = build_sam_med3d(PRESETS[preset])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Norms stay as they are; everything else, zero-initialised tables included, gets noise.
            if "norm" not in name and "neck" not in name:
                parameter.normal_(0, 0.02)
    if side == "reference":
        padded = load_module(reference)
        padded.use_plain_decoder(padded.use_padded_encoder(model))
    return model.eval()


def load_module(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("padded_reference", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def forward(model: SamMed3D, batch: int, side: str) -> Callable[[], Tensor]:
    volume = volumes(model, batch)

    def run() -> Tensor:
        with torch.no_grad():
            return model.image_encoder(volume)

    return run


def forward_bfloat16(model: SamMed3D, batch: int, side: str) -> Callable[[], Tensor]:
    exact = forward(model, batch, side)

    def run() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return exact()

    return run


def forward_backward(model: SamMed3D, batch: int, side: str) -> Callable[[], None]:
    volume = volumes(model, batch)

    def run() -> None:
        model.zero_grad(set_to_none=True)
        model.image_encoder(volume).square().mean().backward()

    return run


def lora_step(modules: Modules) -> Callable[[SamMed3D, int, str], Callable[[], None]]:
    """One optimiser step: encode, one click, loss on the voxels of the volume, backward, AdamW."""

    def prepare(model: SamMed3D, batch: int, side: str) -> Callable[[], None]:
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(r=LORA_RANK, lora_alpha=LORA_RANK, target_modules=lora_targets(model, modules))
        get_peft_model(model, config)
        adapters = [p for p in model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(adapters, lr=1e-4)
        volume, target = volumes(model, batch), (volumes(model, batch) > 0).float()
        mask = torch.zeros(batch, 1, *[model.config.mask_size] * 3)

        def run() -> None:
            embedding = model.image_encoder(volume)
            low, _ = model.decode(embedding, points=clicks(model, batch, 0), masks=mask)
            loss = nn.functional.binary_cross_entropy_with_logits(model.upsample(low), target)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()

        return run

    return prepare


def evaluation(model: SamMed3D, batch: int, side: str) -> Callable[[], Tensor]:
    """Ten clicks, five classes, one volume. Both sides encode once; the reference decodes class by class."""
    volume = volumes(model, 1)

    def run() -> Tensor:
        with torch.no_grad():
            embedding = model.image_encoder(volume)
            low = torch.zeros(CLASSES, 1, *[model.config.mask_size] * 3)
            for click in range(CLICKS):
                points, labels = clicks(model, CLASSES, click)
                parts = [slice(None)] if side == "ours" else [slice(c, c + 1) for c in range(CLASSES)]
                decoded = [
                    model.decode(embedding, points=(points[p], labels[p]), masks=low[p])[0] for p in parts
                ]
                full = [model.upsample(masks) for masks in decoded]
                low = torch.cat(decoded)
            return torch.cat(full)

    return run


def further_click(model: SamMed3D, batch: int, side: str) -> Callable[[], Tensor]:
    with torch.no_grad():
        embedding = model.image_encoder(volumes(model, batch))
    mask = torch.zeros(batch, 1, *[model.config.mask_size] * 3)

    def run() -> Tensor:
        with torch.no_grad():
            return model.decode(embedding, points=clicks(model, batch, 1), masks=mask)[0]

    return run


WORKLOADS = {
    "forward": forward,
    "forward_bfloat16": forward_bfloat16,
    "forward_backward": forward_backward,
    "lora_encoder": lora_step("encoder"),
    "lora_decoder": lora_step("decoder"),
    "lora_both": lora_step("both"),
    "evaluation": evaluation,
    "further_click": further_click,
}


def volumes(model: SamMed3D, batch: int) -> Tensor:
    side = model.config.image_size
    return torch.randn(batch, 1, side, side, side, generator=torch.Generator().manual_seed(1))


def clicks(model: SamMed3D, batch: int, number: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2 + number)
    points = torch.randint(model.config.image_size, (batch, 1, 3), generator=generator)
    return points.float(), torch.ones(batch, 1)


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """CPU-seconds of all threads, and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    run()
    return time.process_time() - cpu, time.perf_counter() - wall


def matmul_gflops(dtype: torch.dtype) -> float:
    """This machine's matrix-product rate right now, by the wall clock; the best of five."""
    a, b = (torch.randn(_MATMUL_SIDE, _MATMUL_SIDE).to(dtype) for _ in range(2))
    return 2e-9 * _MATMUL_SIDE**3 / min(timed(lambda: a @ b)[1] for _ in range(5))


def peak_bytes() -> int:
    """Highest resident memory of this process so far (Linux counts in kibibytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
