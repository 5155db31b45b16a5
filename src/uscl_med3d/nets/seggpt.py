"""SegGPT in-context segmentation: the `transformers` model, its image processing, and prompts in groups.

One code path for the official checkpoint (`BAAI/seggpt-vit-large`) and for the small
model trained here: same class, same processing. No torchvision.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from transformers import SegGptConfig, SegGptForImageSegmentation

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic

# Per-channel statistics of ImageNet, with which SegGPT normalises images and masks alike
# (huggingface/transformers: src/transformers/image_utils.py, IMAGENET_DEFAULT_MEAN and IMAGENET_DEFAULT_STD).
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def build_seggpt(config: Mapping[str, Any]) -> SegGptForImageSegmentation:
    """SegGPT with random weights from the fields of a `SegGptConfig` (a config.json may be passed as it
    is)."""
    return SegGptForImageSegmentation(SegGptConfig(**dict(config)))


def image_size(model: SegGptForImageSegmentation) -> tuple[int, int]:
    """(height, width) of one image: the canvas of the configuration holds the prompt above the target."""
    canvas = model.config.image_size
    canvas = (canvas, canvas) if isinstance(canvas, int) else tuple(canvas)
    return canvas[0] // 2, canvas[1]


def prepare_frames(frames: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Grey frames (n, h, w) in 0..255 -> model input (n, 3, H, W): bicubic resize, then ImageNet
    statistics."""
    images = frames.float()[:, None] / 255
    if images.shape[-2:] != size_hw:
        images = F.interpolate(images, size_hw, mode="bicubic", antialias=True, align_corners=False).clamp(
            0, 1
        )
    return normalise(images.expand(-1, 3, -1, -1))


def prepare_masks(masks: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Binary masks (n, h, w) -> mask images (n, 3, H, W): white on black, nearest-neighbour resize,
    normalised."""
    images = masks.float()[:, None]
    if images.shape[-2:] != size_hw:
        images = F.interpolate(images, size_hw, mode="nearest-exact")
    return normalise(images.expand(-1, 3, -1, -1))


def normalise(images: Tensor) -> Tensor:
    """Images (n, 3, h, w) in 0..1 -> zero mean and unit variance by the ImageNet statistics."""
    return (images - _channels(IMAGENET_MEAN, images)) / _channels(IMAGENET_STD, images)


def read_scores(canvas: Tensor) -> Tensor:
    """Predicted canvases (n, 3, 2H, W) -> scores (n, H, W) of the target, 0..1: how white, mean of the
    channels."""
    image = canvas[:, :, canvas.shape[2] // 2 :]
    image = image * _channels(IMAGENET_STD, image) + _channels(IMAGENET_MEAN, image)
    return image.clamp(0, 1).mean(dim=1)


def predict_canvas(
    model: SegGptForImageSegmentation,
    targets: Tensor,
    prompt_images: Tensor,
    prompt_masks: Tensor,
    weights: Tensor,
    embedding_type: str,
) -> Tensor:
    """Segment every target with its own group of prompts.

    Args:
        targets: (n, 3, H, W) prepared frames.
        prompt_images, prompt_masks: (n, k, 3, H, W) prepared prompts.
        weights: (n, k) share of each prompt in the feature ensemble; rows sum to 1 (1/k is SegGPT's own
        ensemble). embedding_type: "instance" or "semantic", SegGPT's type token.

    Returns:
        (n, 3, 2H, W) predicted canvases, normalised like the prompts: the mask image of the weightiest
        prompt above that of the target.

    The ensemble is that of Wang et al. 2023 (SegGPT, section 3.3): after every attention layer the features
    of the target are averaged over the prompts. The `transformers` version averages over the whole batch, so
    it takes one target at a time, and at the merging layer it also averages the image stream with the mask
    stream; here each target has its own group and the streams stay apart.
    """
    prompts = weights.shape[1]
    with _ensemble(model, weights):
        outputs = model.model(
            pixel_values=targets[:, None].expand(-1, prompts, -1, -1, -1).flatten(0, 1),
            prompt_pixel_values=prompt_images.flatten(0, 1),
            prompt_masks=prompt_masks.flatten(0, 1),
            embedding_type=embedding_type,
        )
    # The target half is equal within a group, so one canvas of each is decoded: that of the weightiest
    # prompt.
    rows = torch.arange(len(targets), device=weights.device) * prompts + weights.argmax(dim=1)
    features = torch.cat(outputs.intermediate_hidden_states, dim=-1)[rows]
    return model.decoder(features)


@contextlib.contextmanager
def _ensemble(model: SegGptForImageSegmentation, weights: Tensor) -> Iterator[None]:
    """While active, attention outputs of the target half are averaged within each group of prompts."""
    count, prompts = weights.shape
    if prompts == 1:
        yield
        return
    merge_index = model.config.merge_index

    def hook_for(index: int) -> Callable[..., tuple[Tensor, ...]]:
        streams = 2 if index <= merge_index else 1

        def average(_module: Any, _inputs: Any, output: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            attention = output[0]
            half = attention.shape[1] // 2
            prompt, target = attention[:, :half], attention[:, half:]
            groups = target.reshape(streams, count, prompts, -1)
            mean = (groups * weights[None, :, :, None]).sum(dim=2, keepdim=True).expand_as(groups)
            return (torch.cat([prompt, mean.reshape(target.shape)], dim=1), *output[1:])

        return average

    layers = model.model.encoder.layers
    handles = [layer.attention.register_forward_hook(hook_for(index)) for index, layer in enumerate(layers)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _channels(values: tuple[float, float, float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, 3, 1, 1)


def save_seggpt(model: SegGptForImageSegmentation, embedding_type: str, path: str | Path) -> None:
    """Write weights and configuration into one safetensors file, atomically; equal models give equal
    bytes."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    # One metadata entry only: safetensors does not keep the order of several.
    about = {"embedding_type": embedding_type, "config": model.config.to_diff_dict()}
    with atomic(path) as temporary:
        save_file(tensors, temporary, metadata={"seggpt": json.dumps(about, sort_keys=True)})


def load_seggpt(path: str | Path) -> tuple[SegGptForImageSegmentation, str]:
    """Read what `save_seggpt` wrote: (model in evaluation mode, embedding type); `InputError` if it is not
    that."""
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["seggpt"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model = build_seggpt(about["config"])
        model.load_state_dict(tensors)
    except Exception as error:
        raise InputError(
            file=path,
            found=f"{type(error).__name__}: {str(error)[:400]}",
            expected="SegGPT weights with their configuration, as the stage foundation writes them",
            remedy="run the stage foundation again",
        ) from error
    return model.eval(), about["embedding_type"]


@torch.no_grad()
def start_by_similarity(model: SegGptForImageSegmentation, scale: float) -> None:
    """Start attention by looking at what is alike and near, instead of everywhere.

    Trained from random weights, SegGPT spends most of a short training without looking at the prompt at all.
    Two choices of the start shorten that: keys are made by the same weights as queries (times `scale` each),
    and the position embeddings are waves that are the same in the prompt's and in the target's half of the
    canvas. Only the start is changed; every weight is trained as usual.
    """
    for layer in model.model.encoder.layers:
        weight, bias = layer.attention.qkv.weight, layer.attention.qkv.bias
        size = weight.shape[1]
        weight[:size] *= scale
        weight[size : 2 * size] = weight[:size]
        bias[size : 2 * size] = bias[:size]
    positions = model.model.embeddings.position_embeddings
    side = round((positions.shape[1] - 1) ** 0.5)
    # The grid of positions is stretched over the canvas, which is twice as high as one image.
    rows = 2 * (torch.arange(side) + 0.5) / side % 1
    columns = (torch.arange(side) + 0.5) / side
    waves = []
    for place, axis in ((rows, 0), (columns, 1)):
        frequency = torch.linspace(0.5, 3.0, positions.shape[2] // 4)
        phase = 3.14159 * place[:, None] * frequency
        pair = torch.cat([phase.sin(), phase.cos()], dim=1)
        waves.append(pair[:, None].expand(-1, side, -1) if axis == 0 else pair[None].expand(side, -1, -1))
    positions[0, 1:] = 0.5 * torch.cat(waves, dim=2).reshape(side * side, -1)
