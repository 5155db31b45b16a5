"""`uscl-med3d export`: other tools load what it writes, and compute the same."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from uscl_med3d.core.errors import InputError
from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d, load_checkpoint
from uscl_med3d.user import models, shipped
from uscl_med3d.user.cards import find_rows, write_model_card
from uscl_med3d.user.export import export, onnx_model
from uscl_med3d.user.segmenter import Segmenter

LORA = "uscl_med3d_r32_both_vcl"
MISSING = [name for name in onnx_model.PACKAGES if find_spec(name) is None]


def embed(network, side):
    torch.manual_seed(0)
    with torch.no_grad():
        return network.image_encoder(torch.randn(1, 1, side, side, side))


@pytest.fixture(scope="module")
def expected(finished):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(finished)
        method = models.load_method(models.choose(LORA, None, None, "phantom"), "separate")
    return embed(method.network.eval(), method.network.config.image_size)


def make_network(values):
    return build_sam_med3d(SamMed3DConfig(**values)).eval()


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_official_files_hold_the_merged_weights(suffix, here, tmp_path, expected):
    export("official", LORA, None, None, "phantom", tmp_path / "out", None)
    facts = json.loads((tmp_path / "out/sam_med3d.json").read_text())
    network = make_network(facts["job"]["model"])
    load_checkpoint(network, tmp_path / f"out/sam_med3d.{suffix}")
    torch.testing.assert_close(embed(network, network.config.image_size), expected, rtol=1e-4, atol=1e-5)
    assert "swapped" in facts["prompts"]["coordinates"] and "z-score" in facts["preprocessing_steps"][-1]
    assert facts["preprocessing"] == "ours"
    content = torch.load(tmp_path / "out/sam_med3d.pth", weights_only=True)
    assert list(content) == ["model_state_dict"] and not any(
        "lora" in name for name in content["model_state_dict"]
    )


def test_an_exported_model_segments_as_its_run(here, tmp_path, clips, run):
    assert run("export", "--format", "official", "--weights", LORA, "--out", tmp_path / "out").code == 0
    masks = []
    for weights in (LORA, tmp_path / "out/sam_med3d.safetensors"):
        segmenter = Segmenter.load(weights, scale="phantom")
        segmenter.encode(clips.draw())
        segmenter.click((40, 32, 12))
        masks.append(segmenter._predict("object"))
    np.testing.assert_allclose(*masks, atol=1e-3)


def test_peft_loads_the_adapter_on_the_base(here, tmp_path, expected):
    from peft import PeftModel

    export("peft", LORA, None, None, "phantom", tmp_path / "out", None)
    network = make_network(json.loads((tmp_path / "out/base.json").read_text())["model"])
    load_checkpoint(network, here / "results/phantom/checkpoints/foundation/sam_med3d.safetensors")
    before = embed(network, network.config.image_size)
    network = PeftModel.from_pretrained(network, str(tmp_path / "out")).eval()
    found = embed(network.base_model.model, network.base_model.model.config.image_size)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert (before - expected).abs().max() > 1e-2


def test_a_model_without_adapters_has_no_peft_format(here, tmp_path):
    with pytest.raises(InputError, match="without LoRA"):
        export("peft", "full_tuning", None, None, "phantom", tmp_path / "out", None)
    assert not (tmp_path / "out").exists()


def test_missing_onnx_packages_are_named(here, tmp_path, monkeypatch):
    def find_all_but_one(name, package=None):
        return None if name == "onnxscript" else find_spec(name, package)

    monkeypatch.setattr("importlib.util.find_spec", find_all_but_one)
    with pytest.raises(InputError, match=r"(?s)not installed: .*onnxscript.*uscl-med3d\[export\]"):
        export("onnx", LORA, None, None, "phantom", tmp_path / "out", None)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(bool(MISSING), reason=f"`make env` installs {', '.join(MISSING)}")
def test_onnx_computes_what_torch_does(here, tmp_path, expected):
    import onnxruntime

    export("onnx", LORA, None, None, "phantom", tmp_path / "out", None)
    facts = json.loads((tmp_path / "out/model.json").read_text())
    assert max(facts["largest_difference_to_torch"].values()) <= 1e-4
    side = facts["encoder"]["image"][-1]
    torch.manual_seed(0)
    session = onnxruntime.InferenceSession(tmp_path / "out/encoder.onnx")
    (found,) = session.run(None, {"image": torch.randn(1, 1, side, side, side).numpy()})
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-3, atol=1e-4)
    # Tracing leaves nothing behind in the network's caches.
    segmenter = Segmenter.load(LORA)
    segmenter.encode(np.random.default_rng(0).integers(0, 255, (12, 32, 32)).astype(np.uint8))
    segmenter.click((16, 16, 6))
    assert segmenter.mask().shape == (12, 32, 32)


def test_monai_runs_the_bundle(here, tmp_path, clips):
    from monai.bundle import run as run_bundle

    folder = tmp_path / "out"
    export("monai-bundle", LORA, None, None, "phantom", folder, None)
    source = clips.video(tmp_path / "in.mp4", clips.draw())
    run_bundle(
        config_file=str(folder / "configs/inference.json"),
        meta_file=str(folder / "configs/metadata.json"),
        bundle_root=str(folder),
        input=str(source),
        output=str(tmp_path / "mask.npy"),
        prompts={"liver": [[40, 32, 12, 1], [60, 50, 5, 0]]},
    )
    segmenter = Segmenter.load(LORA)
    segmenter.encode(source)
    segmenter.click((40, 32, 12), name="liver")
    segmenter.click((60, 50, 5), 0, "liver")
    found = np.load(tmp_path / "mask.npy")
    assert (found != segmenter.mask()).mean() < 1e-3  # merged weights round differently
    metadata = json.loads((folder / "configs/metadata.json").read_text())
    for key in ("version", "monai_version", "pytorch_version", "task", "network_data_format"):
        assert metadata[key]


def test_cards_say_what_was_run(here, tmp_path):
    export("peft", LORA, None, None, "phantom", tmp_path / "out", None)
    card = (tmp_path / "out/MODEL_CARD.md").read_text()
    assert "**Simulated data.**" in card and "Not a medical device" in card
    row = (
        "| table1 | method USCL-Med3D, points 1, class liver | 51.2 | 40.5 to 62.8 | 24 | 24 | 12.2 | ball |"
    )
    assert row in card.splitlines() and "64.0" in card and "Other" not in card and "nan" not in card
    data = (tmp_path / "out/DATA_CARD.md").read_text()
    assert "| abdomen | train | 1 | 1 | 1 | 1 | 0 |" in data and "p1" not in data and "| liver | 3 |" in data
    assert "takes their place: 1" in data


def test_the_card_of_a_shipped_model_says_what_it_came_with(tmp_path):
    write_model_card(tmp_path / "card.md", shipped.choose_shipped("uscl_med3d"), None)
    text, card = (tmp_path / "card.md").read_text(), shipped.read_cards()["uscl_med3d"]
    assert card["learned_from"] in text and "Not known here" not in text
    assert "tuned on: pleural_effusion" in text
    write_model_card(tmp_path / "base.md", shipped.choose_shipped("sam_med3d"), None)
    assert "tuned on" not in (tmp_path / "base.md").read_text()
    assert f"{card['validation_dice']:.1f}" in text and f"{card['image_use']['difference']:.1f}" in text


def test_a_users_own_cohort_is_not_called_simulated(finished, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(finished, tmp_path / "own")
    monkeypatch.chdir(tmp_path / "own")
    file = tmp_path / "own/results/phantom/params/all.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"cohort": "data/mine.csv"}))
    export("peft", LORA, None, None, "phantom", tmp_path / "out", None)
    for name in ("MODEL_CARD.md", "DATA_CARD.md"):
        text = (tmp_path / "out" / name).read_text()
        assert "imulated" not in text and "user's own cohort" in text


def test_only_a_runs_own_rows_are_shown(here):
    results = here / "results/phantom"
    assert [table for table, _ in find_rows(models.choose(LORA, None, None, "phantom"), results)] == [
        "table1"
    ]
    assert not list(find_rows(models.choose("uscl_med3d_r32_decoder_vcl", None, None, "phantom"), results))


def test_a_folder_with_files_is_not_overwritten(here, tmp_path, run):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    done = run("export", "--format", "official", "--weights", LORA, "--out", tmp_path / "out")
    assert done.code == 2 and "new folder" in done.err and (tmp_path / "out/mine.txt").read_text() == "mine"
