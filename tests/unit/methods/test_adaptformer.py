"""The AdaptFormer block against the official fixture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from uscl_med3d.nets.adaptformer import AdaptedBlock, BottleneckAdapter


def test_block_and_gradients_equal_the_official_ones(shared):
    tensors = load_file(shared / "reference" / "adaptformer.tiny.safetensors")
    state = {
        k.split("parallel_none.", 1)[1]: v.double() for k, v in tensors.items() if "state/parallel_none." in k
    }
    x = tensors["in/x"].double()
    dim, narrow = x.shape[-1], state["adaptmlp.down_proj.weight"].shape[0]
    block = nn.Module()
    block.norm1, block.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
    block.attn = Recorded(tensors["ref64/parallel_none.attn"])
    block.mlp = nn.Sequential()
    block.mlp.fc1, block.mlp.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
    block.mlp.forward = lambda y: block.mlp.fc2(F.gelu(block.mlp.fc1(y)))
    adapter = BottleneckAdapter(dim, narrow, 0.1, 0.1, torch.Generator())
    adapted = AdaptedBlock(block, adapter).double().eval()
    own = {name: value for name, value in state.items() if not name.startswith("attn.")}
    renamed = {f"mlp.{name}" if name.startswith("fc") else name: value for name, value in own.items()}
    adapted.load_state_dict(renamed, strict=True)
    out = adapted(x)
    torch.testing.assert_close(out, tensors["ref64/parallel_none.out"], atol=1e-9, rtol=0)
    (out * tensors["in/cotangent"].double()).sum().backward()
    for name, value in adapter.named_parameters():
        torch.testing.assert_close(
            value.grad, tensors[f"ref64/parallel_none.grad.adaptmlp.{name}"], atol=1e-8, rtol=0
        )


class Recorded(nn.Module):
    """Attention whose output is known."""

    def __init__(self, output: torch.Tensor) -> None:
        super().__init__()
        self.output = output

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output


def test_a_fresh_adapter_adds_nothing_and_its_start_is_seeded():
    x = torch.randn(2, 5, 8)
    first, second = (BottleneckAdapter(8, 3, 0.1, 0.1, torch.Generator().manual_seed(4)) for _ in range(2))
    assert (first.eval()(x) == 0).all()
    assert torch.equal(first.down_proj.weight, second.down_proj.weight)


def test_dropout_acts_while_training_only():
    adapter = BottleneckAdapter(8, 64, 1.0, 0.5, torch.Generator().manual_seed(0))
    with torch.no_grad():
        adapter.up_proj.weight.fill_(1.0)
    x = torch.randn(4, 8)
    assert torch.equal(adapter.eval()(x), adapter(x))
    assert not torch.equal(adapter.train()(x), adapter(x))
