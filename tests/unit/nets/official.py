"""Comparing our networks with tensors that official code made (`<name>.tiny.safetensors`)."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}
GRADIENTS = {torch.float32: 1e-4, torch.float64: 1e-8}


class Official:
    """One fixture: `config`, and tensors by their names without the prefix."""

    def __init__(self, shared: Path, name: str) -> None:
        path = shared / "reference" / f"{name}.tiny.json"
        self.about = json.loads(path.read_text())
        self.config = self.about["config"]
        self.tensors = load_file(path.with_suffix(".safetensors"))

    def part(self, prefix: str) -> dict[str, Tensor]:
        start = f"{prefix}/"
        return {key.removeprefix(start): x for key, x in self.tensors.items() if key.startswith(start)}

    def given(self, name: str, dtype: torch.dtype) -> Tensor:
        value = self.tensors[f"in/{name}"]
        return value.to(dtype) if value.is_floating_point() else value

    def load(self, network: nn.Module, dtype: torch.dtype) -> nn.Module:
        network.load_state_dict(self.part("state"), strict=True)
        return network.to(dtype).eval()

    def expected(self, name: str, dtype: torch.dtype) -> Tensor | None:
        return self.tensors.get(f"ref{torch.finfo(dtype).bits}/{name}")

    def error(self, found: Tensor, name: str) -> float | None:
        """Largest difference relative to the largest value, or None when the fixture does not have it."""
        expected = self.expected(name, found.dtype)
        if expected is None:
            return None
        assert found.shape == expected.shape, f"{name}: {tuple(found.shape)} for {tuple(expected.shape)}"
        if not expected.numel():
            return 0.0
        return float((found.detach() - expected).abs().max()) / max(float(expected.abs().max()), 1e-12)

    def check(self, found: Tensor, name: str, tolerance: float | None = None) -> None:
        error = self.error(found, name)
        limit = tolerance or TOLERANCE[found.dtype]
        assert error is None or error < limit, f"{name}: off by {error:.1e} of its largest value"

    def check_gradients(self, network: nn.Module, trained: set[str], tolerance: float | None = None) -> int:
        """Compare `gradcheck.*` of every trained tensor; return how many there are upstream.

        A gradient that vanishes mathematically is only rounding, so it is compared to the largest one of all.
        """
        zero = set(self.about.get("mathematically_zero_gradients", []))
        reference = {n.removeprefix("gradcheck."): x for n, x in self._gradchecks(network).items()}
        largest = max(float(x[1]) for x in reference.values())
        gradients = {n: p.grad for n, p in network.named_parameters() if p.grad is not None and n in trained}
        negligible = 1e-9 * largest
        for name in reference.keys() - gradients.keys():  # what our decoder does not even compute
            assert float(reference[name][1]) <= negligible, f"no gradient for {name}"
        for name in gradients.keys() - reference.keys():
            assert float(gradients.pop(name).abs().sum()) <= negligible, f"a gradient for {name}"
        for name, gradient in gradients.items():
            flat = gradient.flatten()
            cosine = torch.cos(torch.arange(flat.numel(), dtype=flat.dtype))
            found = torch.stack([flat.sum(), flat.abs().sum(), (flat * cosine).sum()])
            scale = largest if f"gradcheck.{name}" in zero else float(reference[name][1])
            worst = float((found - reference[name]).abs().max()) / max(scale, 1e-12)
            limit = tolerance or GRADIENTS[flat.dtype]
            assert worst < limit, f"gradient of {name}: off by {worst:.1e}"
        return len(reference)

    def _gradchecks(self, network: nn.Module) -> dict[str, Tensor]:
        dtype = next(network.parameters()).dtype
        found = self.part(f"ref{torch.finfo(dtype).bits}")
        return {name: value for name, value in found.items() if name.startswith("gradcheck.")}


def names_of(shared: Path, name: str) -> dict[str, list[int]]:
    """Shapes of the official full-size state_dict."""
    listed = json.loads((shared / "reference" / f"{name}.keys.json").read_text())["state_dict"]
    return {key: value["shape"] for key, value in listed.items()}


def shapes(network: nn.Module) -> dict[str, list[int]]:
    return {key: list(value.shape) for key, value in network.state_dict().items()}
