"""Same numbers as the official code, on the reference tensors it produced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from uscl_med3d.nets.sam_med3d import PRESETS, SamMed3D, build_sam_med3d

PRECISIONS = {"ref32": (torch.float32, 1e-5), "ref64": (torch.float64, 1e-9)}
GRADIENT_TOLERANCE = {"ref32": 1e-4, "ref64": 1e-9}
CASES = ["1pt_mask", "1pt_nomask", "3pt_mask", "3pt_padlabel_nomask", "0pt_mask"]


class Official:
    """The official inputs, weights and outputs at one precision."""

    def __init__(self, tensors: dict[str, Tensor], model: SamMed3D, kind: str) -> None:
        self.dtype, self.tolerance = PRECISIONS[kind]
        self.model, self.kind, self.tensors = model, kind, tensors

    def given(self, name: str) -> Tensor:
        return self.tensors[f"in/{name}"].to(self.dtype)

    def check(self, name: str, found: Tensor, tolerance: float | None = None) -> None:
        expected = self.tensors.get(f"{self.kind}/{name}")
        if expected is None:
            assert f"ref32/{name}" in self.tensors, f"the reference has no {name}"
            return
        assert found.shape == expected.shape
        if expected.numel():
            error = (found - expected).abs().max() / expected.abs().max()
            assert error <= (tolerance or self.tolerance), f"{name} is off by {error:.1e}"

    def prompts(self, case: str) -> dict[str, Tensor | tuple[Tensor, Tensor] | None]:
        points, labels = self.given("points"), self.given("labels")
        given = {
            "1pt": (points[:, :1], labels[:, :1]),
            "3pt": (points, labels),
            "0pt": None,
        }[case[:3]]
        if "padlabel" in case:
            given = (points, self.given("labels_with_pad"))
        return {"points": given, "boxes": None, "masks": None if "nomask" in case else self.given("mask")}


@pytest.fixture(scope="module", params=list(PRECISIONS))
def upstream(
    request: pytest.FixtureRequest,
    official: dict[str, Tensor],
    official_model: Callable[[torch.dtype], SamMed3D],
) -> Iterator[Official]:
    kind = request.param
    yield Official(official, official_model(PRECISIONS[kind][0]), kind)


@pytest.fixture(scope="module")
def embedding(upstream: Official) -> Tensor:
    with torch.no_grad():
        return upstream.model.image_encoder(upstream.given("image"))


def test_full_size_names_and_shapes_are_official(shared: Path) -> None:
    expected = json.loads((shared / "reference" / "sam_med3d.keys.json").read_text())["state_dict"]
    with torch.device("meta"):
        model = build_sam_med3d(PRESETS["vit_b_ori"])
    assert [(name, list(x.shape)) for name, x in model.state_dict().items()] == [
        (name, tensor["shape"]) for name, tensor in expected.items()
    ]
    assert sum(x.numel() for x in model.parameters()) == 100_509_232


def test_encoder_stages(upstream: Official) -> None:
    encoder, image = upstream.model.image_encoder, upstream.given("image")
    x = encoder.patch_embed(image)
    upstream.check("patch_embed", x)
    x = x + encoder.pos_embed
    upstream.check("block0.attn", encoder.blocks[0].attn(encoder.blocks[0].norm1(x))[:1])
    for index, block in enumerate(encoder.blocks):
        x = block(x)
        upstream.check(f"block{index}", x)
    upstream.check("encoder", encoder(image))


def test_neck_modules_are_usable_on_their_own(upstream: Official) -> None:
    encoder = upstream.model.image_encoder
    x = upstream.tensors["ref32/block3"].to(upstream.dtype).movedim(-1, 1)
    if upstream.kind == "ref64":
        x = upstream.tensors["ref64/block3"].movedim(-1, 1)
    for name, layer in zip(["conv1", "norm1", "conv2"], encoder.neck, strict=False):
        x = layer(x)
        upstream.check(f"neck.{name}", x)


def test_encoder_on_a_volume_that_ends_in_zeros(upstream: Official) -> None:
    image = upstream.given("image").clone()
    image[..., upstream.model.config.image_size * 5 // 8 :] = 0
    upstream.check("encoder_zero_padded", upstream.model.image_encoder(image))


def test_dense_positions(upstream: Official) -> None:
    upstream.check("dense_pe", upstream.model.prompt_encoder.get_dense_pe())


@pytest.mark.parametrize("case", CASES)
def test_prompts_and_masks(upstream: Official, embedding: Tensor, case: str) -> None:
    model = upstream.model
    sparse, dense = model.prompt_encoder(**upstream.prompts(case))
    upstream.check(f"{case}.sparse", sparse)
    if f"ref32/{case}.dense" in upstream.tensors:
        upstream.check(f"{case}.dense", dense)
    for several, suffix in ((False, "single"), (True, "multi")):
        masks, quality = model.mask_decoder(
            image_embeddings=embedding,
            image_pe=model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=several,
        )
        upstream.check(f"{case}.iou_{suffix}", quality)
        if f"ref32/{case}.masks_{suffix}" in upstream.tensors:
            upstream.check(f"{case}.masks_{suffix}", masks)


def test_two_way_transformer_stages(upstream: Official, embedding: Tensor) -> None:
    model = upstream.model
    sparse, dense = model.prompt_encoder(**upstream.prompts("1pt_mask"))
    decoder = model.mask_decoder
    first = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight]).expand(2, -1, -1)
    queries = torch.cat([first, sparse], 1)
    keys = (embedding + dense).flatten(2).transpose(1, 2)
    positions = model.prompt_encoder.get_dense_pe().flatten(2).transpose(1, 2)
    tokens, image = queries, keys
    for index, layer in enumerate(decoder.transformer.layers):
        tokens, image = layer(tokens, image, queries, positions)
        upstream.check(f"1pt_mask.twoway{index}.0", tokens)
        upstream.check(f"1pt_mask.twoway{index}.1", image)
    tokens, image = decoder.transformer(keys, positions, queries)
    upstream.check("1pt_mask.twoway_final.0", tokens)
    upstream.check("1pt_mask.twoway_final.1", image)


def test_chain_of_three_clicks(upstream: Official, embedding: Tensor) -> None:
    model, mask = upstream.model, torch.zeros_like(upstream.given("mask"))
    points, labels = upstream.given("points"), upstream.given("labels")
    for click in range(3):
        newest = (points[:, click : click + 1], labels[:, click : click + 1])
        mask, _ = model.decode(embedding, points=newest, masks=mask)
    upstream.check("click_chain3", mask)
    upstream.check("click_chain3.upsampled_first", model.upsample(mask[:1]))


def test_gradients(upstream: Official) -> None:
    encoder = upstream.model.image_encoder
    image = upstream.given("image").clone().requires_grad_()
    encoder.zero_grad()
    (encoder(image) * upstream.given("cotangent")).sum().backward()
    tolerance = GRADIENT_TOLERANCE[upstream.kind]
    upstream.check("grad.image", image.grad[:1], tolerance)
    names = [name for name, _ in encoder.named_parameters() if f"ref32/grad.{name}" in upstream.tensors]
    assert len(names) >= 21
    for name in names:
        upstream.check(f"grad.{name}", encoder.get_parameter(name).grad, tolerance)
