"""Encoder and decoder as ONNX, checked against torch."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import write_json
from uscl_med3d.core.seeds import torch_generator
from uscl_med3d.nets.sam_med3d import attention
from uscl_med3d.nets.sam_med3d.prompt_encoder import RandomPositions
from uscl_med3d.user.export.official import describe_preprocessing, describe_prompts, merge
from uscl_med3d.user.models import Choice

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-4
"""Largest difference to torch, over the largest value of the output."""
_CLICKS = (1, 5)


class Decoder(nn.Module):
    """One prediction: prompts on an embedding to masks at full size and at low resolution."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, embedding: Tensor, points: Tensor, labels: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(1, c, g, g, g), (1, n, 3), (1, n), (1, 1, 4g, 4g, 4g) -> (1, 1, s, s, s), (1, 1, 4g, 4g, 4g)."""
        low, _ = self.network.decode(embedding, (points, labels), masks=mask)
        return self.network.upsample(low), low


def write(choice: Choice, folder: Path) -> str:
    """Write encoder.onnx, decoder.onnx and model.json; returns how to use them.

    Raises:
        InputError: where packages are missing, or onnxruntime computes something else than torch.
    """
    check_packages()
    from uscl_med3d.nets.lora import merge_lora

    network = merge_lora(merge(choice)).eval()
    with torch.no_grad(), _exportable(network):
        inputs = make_inputs(network, _CLICKS[0])
        clicks = torch.export.Dim("clicks", min=1, max=64)
        _export(
            network.image_encoder, (inputs["image"],), folder / "encoder.onnx", ["image"], ["embedding"], None
        )
        decoder_inputs = tuple(
            make_inputs(network, 2)[name] for name in ("embedding", "points", "labels", "mask")
        )
        _export(
            Decoder(network),
            decoder_inputs,
            folder / "decoder.onnx",
            ["embedding", "points", "labels", "mask"],
            ["logits", "low_resolution_logits"],
            ({}, {1: clicks}, {1: clicks}, {}),
        )
    differences = measure_differences(network, folder)
    worst = max(differences.values())
    if worst > TOLERANCE:
        raise InputError(
            file=folder,
            found=f"a difference of {worst:.1e} between onnxruntime and torch",
            expected=f"at most {TOLERANCE:.0e} of the largest value",
            remedy="report a bug",
        )
    side = network.config.image_size
    write_json(
        folder / "model.json",
        {
            "preprocessing": describe_preprocessing(choice),
            "prompts": describe_prompts(choice),
            "encoder": {"image": [1, 1, side, side, side], "embedding": list(inputs["embedding"].shape)},
            "decoder": {
                "points": [1, "clicks", 3],
                "labels": [1, "clicks"],
                "mask": list(inputs["mask"].shape),
                "logits": [1, 1, side, side, side],
                "object": "logits above zero",
            },
            "types": "float32; labels int64",
            "ingest": choice.ingest.model_dump(mode="json"),
            "largest_difference_to_torch": {
                name: float(f"{value:.2e}") for name, value in differences.items()
            },
        },
    )
    return USAGE


def check_packages() -> None:
    """Raises `InputError` naming what is not installed."""
    from importlib.util import find_spec

    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(
            file="--format onnx",
            found=f"not installed: {', '.join(missing)}",
            expected=", ".join(PACKAGES),
            remedy="pip install 'uscl-med3d[export]'",
        )


def make_inputs(network: Any, clicks: int) -> dict[str, Tensor]:
    """Random but fixed inputs of encoder and decoder."""
    config, random = network.config, torch_generator(0, "onnx", str(clicks))
    side, low = config.image_size, config.mask_size
    image = torch.randn(1, 1, side, side, side, generator=random)
    labels = (torch.arange(clicks)[None] % 2 == 0).long()
    return {
        "image": image,
        "embedding": network.image_encoder(image),
        "points": torch.randint(0, side, (1, clicks, 3), generator=random).float(),
        "labels": labels,
        "mask": torch.randn(1, 1, low, low, low, generator=random),
    }


@torch.no_grad()
def measure_differences(network: Any, folder: Path) -> dict[str, float]:
    """Largest difference of onnxruntime to torch, over torch's largest value, per output and number of clicks."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {
        name: onnxruntime.InferenceSession(
            str(folder / f"{name}.onnx"), options, providers=["CPUExecutionProvider"]
        )
        for name in ("encoder", "decoder")
    }
    found = {}
    for clicks in _CLICKS:
        inputs = make_inputs(network, clicks)
        embedding = torch.from_numpy(sessions["encoder"].run(None, {"image": inputs["image"].numpy()})[0])
        found["encoder"] = _compare(embedding, inputs["embedding"])
        fed = {name: inputs[name].numpy() for name in ("embedding", "points", "labels", "mask")}
        outputs = sessions["decoder"].run(None, fed)
        expected = Decoder(network)(*(inputs[name] for name in fed))
        for output, value in zip(outputs, expected, strict=True):
            key = f"decoder, {clicks} clicks"
            found[key] = max(found.get(key, 0.0), _compare(torch.from_numpy(output), value))
    return found


def _export(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    names: list[str],
    outputs: list[str],
    shapes: Any,
) -> None:
    program = torch.onnx.export(
        module.eval(),
        inputs,
        dynamo=True,
        input_names=names,
        output_names=outputs,
        dynamic_shapes=shapes,
        verbose=False,
    )
    assert program is not None  # with dynamo
    program.save(str(path), external_data=False)


@contextlib.contextmanager
def _exportable(network: Any) -> Iterator[None]:
    """Within the context attention and positions are plain formulas, and nothing is checked or cached: a graph cannot."""
    attend, positions = attention.attend, network.prompt_encoder.pe_layer
    parts = (network.image_encoder, network.prompt_encoder)
    grid_positions = network.prompt_encoder.get_dense_pe()
    side = network.config.mask_size
    # Interpolation weights are cached at their first use, which must not be the tracing.
    network.upsample(torch.zeros(1, 1, side, side, side))
    network.prompt_encoder.get_dense_pe = lambda: grid_positions
    attention.attend = _attend_plainly
    positions.forward = lambda unit: _encode_plainly(positions, unit)
    for part in parts:
        part._check = lambda *_: None
    try:
        yield
    finally:
        attention.attend = attend
        del positions.forward, network.prompt_encoder.get_dense_pe
        for part in parts:
            del part._check


def _encode_plainly(positions: RandomPositions, unit: Tensor) -> Tensor:
    phase = (2 * math.pi) * ((2 * unit - 1) @ positions.positional_encoding_gaussian_matrix)
    return torch.cat([phase.sin(), phase.cos(), phase.sin()], -1)


def _attend_plainly(q: Tensor, k: Tensor, v: Tensor, rows: Tensor | None) -> Tensor:
    logits = q @ k.transpose(-2, -1)
    if rows is not None:
        logits = (logits.unflatten(2, (rows.shape[2], -1)) + rows.unsqueeze(3)).flatten(2, 3)
    return logits.softmax(-1) @ v


def _compare(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


USAGE = """# Using these files

`encoder.onnx` takes one normalised cube, `decoder.onnx` an embedding with all clicks and the previous low-resolution logits
(zeros at first). `model.json` states preprocessing, shapes, the order of click coordinates, and differences to torch.

```python
import numpy as np, onnxruntime
encoder = onnxruntime.InferenceSession("encoder.onnx")
decoder = onnxruntime.InferenceSession("decoder.onnx")
(embedding,) = encoder.run(None, {"image": cube})          # cube: float32, z-scored over voxels > 0
logits, low = decoder.run(None, {"embedding": embedding, "points": points, "labels": labels, "mask": zeros})
```
"""
