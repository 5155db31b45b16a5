"""Official base weights inside a method: our (d, h, w) crops and clicks give the official numbers."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.prompts import Prompts
from uscl_med3d.data import official_grid
from uscl_med3d.data.official_grid import Volume
from uscl_med3d.methods.fastsam3d import FastSam3DMethod
from uscl_med3d.methods.sam_med3d import SamMed3DMethod, load_base
from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d, save_checkpoint


@pytest.fixture(scope="module")
def facts(shared):
    return json.loads((shared / "reference/sam_med3d_pipeline.tiny.json").read_text())


@pytest.fixture(scope="module")
def tensors(shared):
    return load_file(shared / "reference/sam_med3d_pipeline.tiny.safetensors")


@pytest.fixture(scope="module")
def weights(facts, tensors, tmp_path_factory):
    """The fixture's weights with an official card, and with none."""
    network = build_sam_med3d(SamMed3DConfig(**facts["config"]))
    state = {k.removeprefix("state/"): v.float() for k, v in tensors.items() if k.startswith("state/")}
    network.load_state_dict(state, strict=True)
    folder = tmp_path_factory.mktemp("weights")
    save_checkpoint(network, folder / "official.safetensors", "official")
    save_checkpoint(network, folder / "ours.safetensors")
    return folder


def job(facts, axes="dhw", given="all"):
    model = SimpleNamespace(model_dump=lambda: facts["config"])
    return SimpleNamespace(model=model, prompts=Prompts(clicks_given=given, click_axes=axes))


@pytest.mark.parametrize("name", ["axial", "oblique"])
def test_official_numbers_from_our_axes(name, facts, tensors, weights):
    part = facts["volumes"][name]["points_3"]
    canonical = Volume(tensors[f"{name}/canonical.image"].numpy(), torch.eye(4).double().numpy())
    window = official_grid.cut_window(canonical, part["roi_first_canonical_index"], 128).array
    crop = torch.from_numpy(window.transpose(2, 1, 0).copy()).float()[None, None]
    points = torch.tensor([[click["roi_xyz"][::-1] for click in part["clicks"]]]).float()
    labels = torch.tensor([[click["label"] for click in part["clicks"]]])

    def predict(base, kind=SamMed3DMethod):
        method = kind(load_base(job(facts), base), job(facts).prompts, torch.device("cpu"))
        with torch.inference_mode():
            state = method.encode(crop)
            for count in (1, 2, 3):
                logits = method.click(state, points[:, :count], labels[:, :count])
        return state.mask[0, 0].permute(2, 1, 0), logits[0, 0].permute(2, 1, 0) > 0

    low, mask = predict(weights / "official.safetensors")
    wanted = tensors[f"{name}/points_3/low_res.2"]
    torch.testing.assert_close(low, wanted, atol=1e-3 * float(wanted.abs().max()), rtol=0)
    content = tuple(slice(*ends) for ends in part["roi_content_box"])
    recorded = tensors[f"{name}/points_3/roi.mask_box"].bool()
    assert (mask[content] != recorded).sum() <= 1e-3 * (mask[content] | recorded).sum()
    # Without the card the same weights are fed as ours: another mask.
    other = predict(weights / "ours.safetensors")[1][content]
    assert 2 * (other & recorded).sum() / (other.sum() + recorded.sum()) < 0.9
    # FastSAM3D's rule of the newest click is another one, too.
    assert not torch.equal(predict(weights / "official.safetensors", FastSam3DMethod)[1], mask)


def test_a_wrong_combination_is_an_error(facts, weights):
    with pytest.raises(InputError, match=r"(?s)click_axes: hdw.*official weights were trained"):
        load_base(job(facts, "hdw"), weights / "official.safetensors")
    load_base(job(facts, "hdw"), weights / "ours.safetensors")


def test_crops_are_placed_as_the_weights_saw_them(facts, weights):
    """Official windows stick out of the volume; ours are moved inside."""
    methods = {
        name: SamMed3DMethod(
            load_base(job(facts), weights / f"{name}.safetensors"), job(facts).prompts, torch.device("cpu")
        )
        for name in ("official", "ours")
    }
    place, shape = (3, 100, 190), (20, 200, 200)
    assert methods["official"].place_crop(place, place, shape, 128) == (-61, 36, 126)
    assert methods["ours"].place_crop(place, place, shape, 128) == (-54, 36, 72)
    box = ((1, 10, 20), (4, 20, 40))
    assert methods["official"].place_crop(*box, shape, 128) == (-61, -49, -34)
    assert [methods[name].preprocessing for name in ("official", "ours")] == ["official", "ours"]


def test_pretext_tasks_see_our_axes(facts, weights):
    """The encoder that a task trains takes (d, h, w) and gives it back, whatever the weights want inside."""
    network = load_base(job(facts), weights / "official.safetensors").eval()
    crop = torch.randn(1, 1, 128, 128, 128, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        plain = network.image_encoder(crop.transpose(2, 4)).transpose(2, 4)
        network.image_encoder.register_forward_pre_hook(lambda _, given: (network.turn(given[0]),))
        network.image_encoder.register_forward_hook(lambda _, __, made: network.turn(made))
        torch.testing.assert_close(network.image_encoder(crop), plain)
