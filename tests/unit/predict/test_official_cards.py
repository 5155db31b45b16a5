"""Pictures through our path and through the facts of each card: the same input, the same mask."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file

from uscl_med3d import cli
from uscl_med3d.nets.mobile_sam import build_mobile_sam
from uscl_med3d.nets.recognise import recognise, sam_architecture
from uscl_med3d.nets.sam import build_sam
from uscl_med3d.nets.seggpt import prepare_frames
from uscl_med3d.predict.official_cards import CARDS, describe_card
from uscl_med3d.user.official import load_official

FIXTURES = {"sam": "sam_vit_b", "mobile_sam": "tinysam", "tinysam": "tinysam", "sam_med2d": "sam_med2d"}
"""MobileSAM's fixture is its encoder alone; TinySAM's whole network has the same tensors."""
CLICKS = [(30, 12, 1), (12, 30, 0)]
MEAN, STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])


@pytest.fixture(scope="module")
def folder(shared, tmp_path_factory):
    """A weights file of each model under its official name, with a card where the tensors do not tell all."""
    made = tmp_path_factory.mktemp("weights")
    for model, fixture in FIXTURES.items():
        tensors = load_file(shared / f"reference/{fixture}.tiny.safetensors")
        state = {k.removeprefix("state/"): v for k, v in tensors.items() if k.startswith("state/")}
        card = {"preprocessing": "official"}
        if model in ("mobile_sam", "tinysam"):
            card |= {"model": model, "architecture": tiny_vit_architecture()}
        save_file(state, made / f"{model}.safetensors")
        (made / f"{model}.json").write_text(json.dumps(card))
        torch.save({"model": state}, made / f"{model}.pth")
    return made


def tiny_vit_architecture():
    from dataclasses import replace

    from uscl_med3d.nets.mobile_sam import describe
    from uscl_med3d.nets.sam import OFFICIAL_DECODER
    from uscl_med3d.nets.tiny_vit import TINY_VIT_5M

    return describe(
        replace(OFFICIAL_DECODER, image_size=128, grid=8, prompt_dim=32, decoder_mlp_dim=64, iou_head_dim=32),
        replace(
            TINY_VIT_5M,
            image_size=128,
            widths=(16, 24, 32, 40),
            depths=(1, 1, 2, 1),
            num_heads=(2, 2, 4, 5),
            window_sizes=(3, 3, 5, 3),
            out_channels=32,
            num_classes=0,
        ),
    )


@pytest.fixture
def picture(shared):
    """Colours (rows, columns, 3), not square."""
    raw = load_file(shared / "reference/sam_vit_b.tiny.safetensors")["in/raw_image_uint8"].numpy()
    assert raw.shape[0] != raw.shape[1]
    return raw


def by_facts(model, network, picture, clicks):
    """The mask by the card's sentences, in plain NumPy, Pillow and torch."""
    rows, columns = picture.shape[:2]
    side = network.config.image_size
    if model == "sam_med2d":
        values = (picture[..., ::-1] - MEAN) / STD
        if max(rows, columns) < side:
            top, left = (side - rows) // 2, (side - columns) // 2
            square = np.zeros((side, side, 3))
            square[top : top + rows, left : left + columns] = values
            points = [(column + left, row + top) for column, row, _ in clicks]
        else:
            y, x = (np.arange(side) * n // side for n in (rows, columns))
            square = values[y][:, x]
            points = [(column * side / columns, row * side / rows) for column, row, _ in clicks]
    else:
        scale = side / max(rows, columns)
        height, width = int(rows * scale + 0.5), int(columns * scale + 0.5)
        small = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
        square = np.zeros((side, side, 3))
        square[:height, :width] = (np.asarray(small) - MEAN) / STD
        points = [(column * width / columns, row * height / rows) for column, row, _ in clicks]
    image = torch.from_numpy(square).float().permute(2, 0, 1)[None]
    labels = torch.tensor([[label for _, _, label in clicks]])
    mask = None
    with torch.inference_mode():
        embedding = network.image_encoder(image)
        for count in range(1, len(clicks) + 1):
            several = count == 1 or model == "sam_med2d" or model == "tinysam"
            given = (torch.tensor([points[:count]]).float(), labels[:, :count])
            masks, quality = network.decode(embedding, given, masks=mask, multimask_output=several)
            low = masks[:, int(quality.argmax())][:, None]
            mask = low.sigmoid() if model == "sam_med2d" else low
    whole = F.interpolate(low, (side, side), mode="bilinear", align_corners=False)
    if model == "sam_med2d":
        part = whole[..., top : top + rows, left : left + columns] if max(rows, columns) < side else whole
    else:
        part = whole[..., :height, :width]
    return (F.interpolate(part, (rows, columns), mode="bilinear", align_corners=False)[0, 0] > 0).numpy()


@pytest.mark.parametrize("model", sorted(FIXTURES))
@pytest.mark.parametrize("size", ["as it is", "large"])
def test_a_picture_gives_the_mask_of_the_facts(model, size, folder, picture, tmp_path, capsys):
    picture = picture if size == "as it is" else np.tile(picture, (2, 2, 1))
    Image.fromarray(picture).save(tmp_path / "picture.png")
    points = [argument for x, y, label in CLICKS for argument in ("--point", f"{x},{y},0,{label}")]
    weights = folder / f"{model}.safetensors"
    code = cli.main(
        [
            "segment",
            str(tmp_path / "picture.png"),
            "--weights",
            str(weights),
            *points,
            "--allow-empty",
            "-o",
            str(tmp_path / "m.nii.gz"),
        ]
    )
    told = capsys.readouterr().err
    assert code == 0 and f"{model}, fed as" in told and "single slices" in told, told
    found = np.asarray(nibabel.load(tmp_path / "m.nii.gz").dataobj)[..., 0].T > 0
    network = load_official(weights, None).network
    wanted = by_facts(model, network, picture, CLICKS)
    assert wanted.any() and not wanted.all()
    assert (found != wanted).sum() <= 1e-3 * (found | wanted).sum() + 1
    # A picture with its colours in another order is another picture.
    swapped = by_facts(model, network, picture[..., ::-1].copy(), CLICKS)
    assert (swapped != wanted).sum() > (found != wanted).sum()


@pytest.mark.parametrize("model", ["sam", "sam_med2d"])
def test_architectures_are_read_off_tensors(model, folder, shared):
    """Small and official ones; without a card, in a torch file under the wrapper of the authors."""
    loaded = load_official(folder / f"{model}.pth", None)
    assert loaded.model == model
    name = {"sam": "sam_vit_b", "sam_med2d": "sam_med2d"}[model]
    keys = json.loads((shared / f"reference/{name}.keys.json").read_text())["state_dict"]
    state = {key: torch.empty(fact["shape"], device="meta") for key, fact in keys.items()}
    assert recognise(state) == model
    with torch.device("meta"):
        built = build_sam(sam_architecture(state)).state_dict()
    assert {k: v.shape for k, v in built.items()} == {k: v.shape for k, v in state.items()}
    from uscl_med3d.nets.sam import PRESETS

    assert sam_architecture(state) == PRESETS[name]


def test_mobilesam_and_tinysam_are_told_apart_by_name_or_card(folder, shared, tmp_path):
    from uscl_med3d.core.errors import InputError
    from uscl_med3d.nets.mobile_sam import OFFICIAL

    torch.manual_seed(0)
    network = build_mobile_sam(OFFICIAL)
    for name, model in (("mobile_sam.pt", "mobile_sam"), ("tinysam.pth", "tinysam")):
        torch.save(network.state_dict(), tmp_path / name)
        assert load_official(tmp_path / name, None).model == model
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    with pytest.raises(InputError, match="in common"):
        load_official(tmp_path / "weights.pth", None)


def test_seggpt_is_fed_by_its_card():
    """Bicubic with antialiasing to the square, then the statistics of its card; Pillow agrees within a grey level."""
    grey = np.random.default_rng(0).integers(0, 256, (60, 90)).astype(np.uint8)
    found = prepare_frames(torch.from_numpy(grey)[None], (48, 48))[0]
    wanted = np.asarray(Image.fromarray(grey).resize((48, 48), Image.Resampling.BICUBIC)) / 255
    for channel, (mean, std) in enumerate(zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)):
        assert np.abs(found[channel].numpy() * std + mean - wanted).max() < 1.5 / 255


def test_every_base_model_of_the_recipes_has_a_card():
    from uscl_med3d.core.params.foundation import BASE_MODELS

    assert set(CARDS) >= set(BASE_MODELS)
    assert describe_card("sam", "ours") == {"preprocessing": "ours"}
    assert describe_card("sam", "official")["official"]["input_size"] == (1024, 1024)
