"""The collapsed padding key against attention with all padding written out."""

from __future__ import annotations

import math
from collections.abc import Callable

import padded_reference as padded
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from uscl_med3d.nets.sam_med3d.attention import Attention
from uscl_med3d.nets.sam_med3d.row_attention import attend

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def layers(draw: st.DrawFn) -> dict[str, object]:
    heads = draw(st.integers(1, 3))
    return {
        "dim": heads * draw(st.integers(1, 5)),
        "heads": heads,
        "grid": draw(st.integers(1, 5)),
        "window": draw(st.integers(1, 7)),
        "relative_position": draw(st.sampled_from(["upstream", "decomposed"])),
    }


def make(
    arguments: dict[str, object], randomise: Callable[..., nn.Module], seed: int, scale: float
) -> Attention:
    layer = randomise(Attention(**arguments).double(), seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter *= scale
    return layer


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float(((found - expected).abs().max() / expected.abs().max().clamp_min(1e-30)).detach())


@QUICK
@given(layers(), st.integers(1, 2), st.integers(0, 2**16), st.sampled_from([1.0, 4.0]))
def test_equals_written_out_padding(
    randomise: Callable[..., nn.Module], arguments: dict[str, object], batch: int, seed: int, scale: float
) -> None:
    layer = make(arguments, randomise, seed, scale)
    generator = torch.Generator().manual_seed(seed + 1)
    g = layer.grid
    x = torch.randn(batch, g, g, g, arguments["dim"], generator=generator, dtype=torch.float64)
    with torch.no_grad():
        assert relative_error(layer(x), padded.reference_attention(layer, x)) < 1e-10


@QUICK
@given(layers(), st.integers(0, 2**16))
def test_gradients_equal_written_out_padding(
    randomise: Callable[..., nn.Module], arguments: dict[str, object], seed: int
) -> None:
    layer = make(arguments, randomise, seed, 1.0)
    generator = torch.Generator().manual_seed(seed + 1)
    g = layer.grid
    x = torch.randn(2, g, g, g, arguments["dim"], generator=generator, dtype=torch.float64).requires_grad_()
    cotangent = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    wanted = [x, *layer.parameters()]
    found = torch.autograd.grad((layer(x) * cotangent).sum(), wanted)
    expected = torch.autograd.grad((padded.reference_attention(layer, x) * cotangent).sum(), wanted)
    # Gradients that cancel to nothing (one token attends to itself only) are compared to the largest one.
    largest = max(float(gradient.abs().max()) for gradient in expected)
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).abs().max()) <= 1e-10 * largest


def test_documented_example() -> None:
    """The example of docs/encoder.md: one token in a window of 2, q = 2, k = 1, v = 5, biases 0, 0, 1."""
    layer = Attention(dim=1, heads=1, grid=1, window=2, relative_position="upstream").double()
    with torch.no_grad():
        layer.qkv.weight.copy_(torch.tensor([[2.0], [1], [4]]))
        layer.qkv.bias.copy_(torch.tensor([0.0, 0, 1]))
        layer.rel_pos_h[1] = 1
        layer.proj.weight.fill_(1)
        layer.proj.bias.zero_()
        found = layer(torch.ones(1, 1, 1, 1, 1, dtype=torch.float64)).item()
    e2, e4 = math.exp(2), math.exp(4)
    assert found == pytest.approx((5 * e4 + e2 + 6) / (e4 + e2 + 6), rel=1e-12)


@pytest.mark.parametrize("mode", ["upstream", "decomposed"])
def test_modes_and_padding_matter(randomise: Callable[..., nn.Module], mode: str) -> None:
    """The reference itself would notice a wrong mode or forgotten padding."""
    arguments = {"dim": 6, "heads": 2, "grid": 3, "window": 5, "relative_position": mode}
    layer = make(arguments, randomise, 3, 1.0)
    x = torch.randn(1, 3, 3, 3, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    right = padded.reference_attention(layer, x)
    tables = tuple(table[2:-2] for table in (layer.rel_pos_d, layer.rel_pos_h, layer.rel_pos_w))
    unpadded = padded.padded_attention(x, layer.qkv, layer.proj, tables, 2, mode)
    assert relative_error(unpadded, right) > 1e-2
    layer.relative_position = "decomposed" if mode == "upstream" else "upstream"
    assert relative_error(padded.reference_attention(layer, x), right) > 1e-2


def test_large_logits_stay_finite_and_exact(randomise: Callable[..., nn.Module]) -> None:
    arguments = {"dim": 8, "heads": 2, "grid": 3, "window": 6, "relative_position": "upstream"}
    layer = make(arguments, randomise, 7, 30.0)
    x = torch.randn(1, 3, 3, 3, 8, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    x.requires_grad_()
    out = layer(x)
    assert relative_error(out, padded.reference_attention(layer, x)) < 1e-9
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(out.sum(), [x, *layer.parameters()]))


def test_padding_key_follows_an_adapter_that_answers_to_zero(randomise: Callable[..., nn.Module]) -> None:
    """A wrapped layer is asked for its answer to a zero token; its bias alone would be wrong."""

    class Shifted(nn.Module):
        def __init__(self, inner: nn.Linear) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x) + 0.7

    arguments = {"dim": 6, "heads": 2, "grid": 2, "window": 4, "relative_position": "upstream"}
    layer = make(arguments, randomise, 1, 1.0)
    x = torch.randn(1, 2, 2, 2, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    before = layer(x)
    layer.qkv = Shifted(layer.qkv)
    assert relative_error(layer(x), padded.reference_attention(layer, x)) < 1e-12
    assert relative_error(layer(x), before) > 1e-3


@pytest.mark.parametrize("heads", [1, 5])
def test_row_attention_gradients_by_finite_differences(heads: int) -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = [(1, heads, 4, 3), (1, heads, 5, 3), (1, heads, 5, 2), (1, heads, 2, 5)]
    inputs = [torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in sizes]
    assert torch.autograd.gradcheck(attend, inputs, fast_mode=True)


def test_row_attention_equals_the_fused_call() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v, rows = (
        torch.randn(2, 3, *s, generator=generator) for s in ((64, 8), (70, 8), (70, 8), (16, 70))
    )
    mask = rows.repeat_interleave(4, 2)
    expected = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
    torch.testing.assert_close(attend(q, k, v, rows), expected, rtol=1e-5, atol=1e-6)
