"""The benchmark's report of encoders, on made-up measurements."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from uscl_med3d.bench import encoder as bench
from uscl_med3d.bench import worker as bench_worker
from uscl_med3d.nets.fastsam3d import FastSam3DEncoder


def row(workload: str, side: str, seconds: float) -> dict:
    return {
        "workload": workload,
        "side": side,
        "cpu_s": 2 * seconds,
        "wall_s": seconds,
        "peak_mb": 100.0,
        "gflop": 9.0,
    }


def test_encoders_are_compared_with_both_sam_med3d():
    rows = [
        row("forward", "reference", 8.0),
        row("forward", "ours", 2.0),
        row("forward", "fastsam3d", 1.0),
        row("forward", "fastsam3d_segments", 0.5),
        row("further_click", "ours", 1.0),
    ]
    text = bench.describe_encoders(rows, SimpleNamespace(threads=2, repeats=3), 0.0)
    assert (
        "| FastSAM3D student | float32 | 9.0 | 2.000 | 1.000 | 100 | 8.00 | 8.00 | 2.00 | 2.00 | 4.50 | 1.50 |"
        in text
    )
    assert "8.75 times" in text


def test_students_of_the_benchmark_are_the_official_one():
    with torch.device("meta"):
        models = {
            side: bench_worker.build("vit_b_ori", side, "") for side in ("fastsam3d", "fastsam3d_segments")
        }
    for side, model in models.items():
        assert isinstance(model.image_encoder, FastSam3DEncoder)
        assert (model.image_encoder.config.sparse_attention == "segments") == (side == "fastsam3d_segments")
        assert sum(value.numel() for value in model.image_encoder.parameters()) == 45_639_936
