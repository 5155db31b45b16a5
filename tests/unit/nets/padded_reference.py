"""Plain reference of SAM-Med3D: padding written out, explicit bias additions, explicit softmax.

It follows the official operations one by one and is as slow as they are. Tests hold the fast implementation
against it, and the benchmark measures against it. It owns no weights: `use_padded_encoder` and
`use_plain_decoder` make a built model run it.
"""

from __future__ import annotations

import types

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def padded_attention(
    x: Tensor, qkv: nn.Module, proj: nn.Module, tables: tuple[Tensor, Tensor, Tensor], heads: int, mode: str
) -> Tensor:
    """Attention over one window of tokens (n, w, w, w, dim), with every padding token present.

    `tables` are the relative-position tables (2 w - 1, c) for depth, height and width; `mode` is upstream or
    decomposed.
    """
    n, w, dim = x.shape[0], x.shape[1], x.shape[-1]
    q, k, v = qkv(x).reshape(n, w**3, 3, heads, -1).permute(2, 0, 3, 1, 4).reshape(3, n * heads, w**3, -1)
    attention = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    steps = torch.arange(w)
    gathered = [table[steps[:, None] - steps[None, :] + (w - 1)] for table in tables]
    grid = q.reshape(n * heads, w, w, w, -1)
    rel_d = torch.einsum("bdhwc,dkc->bdhwk", grid, gathered[0])
    rel_h = torch.einsum("bdhwc,hkc->bdhwk", grid, gathered[1])
    rel_w = torch.einsum("bdhwc,wkc->bdhwk", grid, gathered[2])
    if mode == "decomposed":
        addends = rel_d[..., :, None, None], rel_h[..., None, :, None], rel_w[..., None, None, :]
    else:
        # The official indexing: for height and width, the query's last axis lands on the key's first and
        # middle axis, and all three terms run over the key's last coordinate.
        addends = rel_d[:, :, :, :, None, None], rel_h[:, :, :, None, :, None], rel_w[:, :, :, None, None, :]
    attention = attention.view(n * heads, w, w, w, w, w, w) + addends[0] + addends[1] + addends[2]
    attention = attention.view(n * heads, w**3, w**3).softmax(dim=-1)
    out = (attention @ v).view(n, heads, w, w, w, -1).permute(0, 2, 3, 4, 1, 5).reshape(n, w, w, w, -1)
    assert out.shape[-1] == dim
    return proj(out)


def padded_windows(x: Tensor, window: int) -> tuple[Tensor, int]:
    """Zero-pad (b, g, g, g, dim) to a multiple of the window, cut: (b * count**3, w, w, w, dim), side."""
    b, g, dim = x.shape[0], x.shape[1], x.shape[-1]
    pad = -g % window
    x = F.pad(x, (0, 0, 0, pad, 0, pad, 0, pad))
    side, count = g + pad, (g + pad) // window
    x = x.view(b, count, window, count, window, count, window, dim)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, window, window, window, dim), side


def joined_windows(x: Tensor, window: int, side: int, g: int) -> Tensor:
    """Inverse of `padded_windows`, with the padding cut off."""
    count = side // window
    b = x.shape[0] // count**3
    x = x.view(b, count, count, count, window, window, window, -1).permute(0, 1, 4, 2, 5, 3, 6, 7)
    return x.reshape(b, side, side, side, -1)[:, :g, :g, :g]


def reference_attention(layer: nn.Module, x: Tensor) -> Tensor:
    """What an `Attention` layer must return for (b, g, g, g, dim), computed with padding written out."""
    tables = (layer.rel_pos_d, layer.rel_pos_h, layer.rel_pos_w)
    windows, side = padded_windows(x, layer.window)
    out = padded_attention(windows, layer.qkv, layer.proj, tables, layer.heads, layer.relative_position)
    return joined_windows(out, layer.window, side, layer.grid)


def use_padded_encoder(model: nn.Module) -> nn.Module:
    """Make the encoder of a built SamMed3D run the reference: plain convolutions and padded attention."""
    for block in model.image_encoder.blocks:
        block.attn.forward = types.MethodType(reference_attention, block.attn)
    encoder = model.image_encoder

    def forward(x: Tensor) -> Tensor:
        x = encoder.patch_embed.proj(x).permute(0, 2, 3, 4, 1) + encoder.pos_embed
        for block in encoder.blocks:
            x = block(x)
        narrow, norm1, mix, norm2 = encoder.neck
        x = channel_norm(narrow(x.permute(0, 4, 1, 2, 3)), norm1)
        return channel_norm(mix(x), norm2)

    encoder.forward = forward
    return model


def channel_norm(x: Tensor, norm: nn.Module) -> Tensor:
    """Channels-first normalisation as written upstream."""
    mean = x.mean(1, keepdim=True)
    variance = (x - mean).pow(2).mean(1, keepdim=True)
    x = (x - mean) / torch.sqrt(variance + norm.eps)
    return norm.weight[:, None, None, None] * x + norm.bias[:, None, None, None]


def use_plain_decoder(model: nn.Module) -> nn.Module:
    """Make prompt encoder and mask decoder run the reference: convolutions, explicit attention, all masks."""
    prompt, decoder = model.prompt_encoder, model.mask_decoder
    for module in decoder.transformer.modules():
        if hasattr(module, "out_proj"):
            module.forward = types.MethodType(_plain_projected_attention, module)

    def embed_mask(masks: Tensor | None, batch: int) -> Tensor:
        if masks is None:
            return prompt.no_mask_embed.weight.reshape(1, -1, 1, 1, 1).expand(batch, -1, *[prompt.grid] * 3)
        conv1, norm1, _, conv2, norm2, _, conv3 = prompt.mask_downscaling
        x = F.gelu(channel_norm(conv1(masks), norm1))
        return conv3(F.gelu(channel_norm(conv2(x), norm2)))

    def forward(
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        batch = sparse_prompt_embeddings.shape[0]
        first = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight]).expand(batch, -1, -1)
        tokens = torch.cat([first, sparse_prompt_embeddings], 1)
        if image_embeddings.shape[0] != batch:
            image_embeddings = image_embeddings.repeat_interleave(batch, 0)
        source = image_embeddings + dense_prompt_embeddings
        positions = image_pe.repeat_interleave(batch, 0).flatten(2).permute(0, 2, 1)
        states, image = decoder.transformer(source.flatten(2).permute(0, 2, 1), positions, tokens)
        image = image.transpose(1, 2).reshape(source.shape)
        conv1, norm, _, conv2, _ = decoder.output_upscaling
        upscaled = F.gelu(conv2(F.gelu(channel_norm(conv1(image), norm))))
        weights = [mlp(states[:, 1 + m]) for m, mlp in enumerate(decoder.output_hypernetworks_mlps)]
        masks = (torch.stack(weights, 1) @ upscaled.flatten(2)).view(batch, -1, *upscaled.shape[2:])
        quality = decoder.iou_prediction_head(states[:, 0])
        chosen = slice(1, None) if multimask_output else slice(0, 1)
        return masks[:, chosen], quality[:, chosen]

    prompt._embed_mask = embed_mask
    prompt.get_dense_pe = prompt._encode_grid
    decoder.forward = forward
    model.upsample = lambda masks: F.interpolate(
        masks, size=[model.config.image_size] * 3, mode="trilinear", align_corners=False
    )
    return model


def _plain_projected_attention(self: nn.Module, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    def split(x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)

    q, k, v = split(self.q_proj(q)), split(self.k_proj(k)), split(self.v_proj(v))
    attention = (q @ k.permute(0, 1, 3, 2) / q.shape[-1] ** 0.5).softmax(dim=-1)
    return self.out_proj((attention @ v).transpose(1, 2).flatten(2))
