"""A short training of a small SAM-Med3D as a script: prints the SHA-256 of its weights. Argument: numerics."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from uscl_med3d.core import numerics

STEPS = 12


def train() -> str:
    """SHA-256 of the trained weights."""
    import hashlib

    import torch

    from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d

    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = build_sam_med3d(
        SamMed3DConfig(
            image_size=16,
            patch_size=4,
            embed_dim=48,
            depth=2,
            num_heads=4,
            global_blocks=(1,),
            window_size=3,
            mlp_ratio=2.0,
            prompt_dim=48,
            mask_channels=8,
            decoder_mlp_dim=64,
            decoder_heads=4,
            decoder_depth=2,
            iou_head_depth=2,
            iou_head_dim=48,
            num_multimask_outputs=3,
            relative_position="upstream",
        )
    )
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    for _ in range(STEPS):
        image, points = torch.randn(2, 1, 16, 16, 16), torch.rand(2, 2, 3) * 15
        masks = network(image, points=(points, torch.ones(2, 2, dtype=torch.long)))[0]
        loss = (network.upsample(masks).sigmoid() - 0.3).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    values = network.state_dict().values()
    return hashlib.sha256(b"".join(value.numpy().tobytes() for value in values)).hexdigest()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder, "job.json")
        job.write_text(json.dumps({"numerics": sys.argv[1]}), encoding="utf-8")
        numerics.pin_job(["finetune", "--params", str(job)])
    hashed = train()
    sys.stdout.write(json.dumps({"sha256": hashed, "kernels": numerics.describe_kernels()}))
