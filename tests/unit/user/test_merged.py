"""Adapters added to the weights that they adapt: the same network as with separate ones, without peft."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import uscl_med3d
from uscl_med3d.core.errors import InputError
from uscl_med3d.nets.sam_med3d.checkpoint import export_state
from uscl_med3d.user import models

LORA = "uscl_med3d_r32_both_vcl"


@pytest.fixture
def choice(finished, monkeypatch):
    monkeypatch.chdir(finished)
    return models.choose(LORA, None, None, "phantom")


def predict(method):
    torch.manual_seed(0)
    size = method.network.config.image_size
    with torch.inference_mode():
        state = method.start(method.embed(100 * torch.rand(1, 1, size, size, size)))
        for number in (1, 2):
            logits = method.click(state, torch.full((1, number, 3), size / 2), torch.ones(1, number).long())
    return logits


def test_merged_and_separate_adapters_are_one_network(choice):
    merged, separate = models.load_method(choice), models.load_method(choice, "separate")
    assert merged.tuning is None and separate.tuning is not None
    mine, its = export_state(merged.network), export_state(separate.network)
    assert set(mine) == set(its) and all(torch.equal(mine[name], its[name]) for name in its)
    torch.testing.assert_close(predict(merged), predict(separate), rtol=1e-4, atol=1e-4)
    base = models.load_method(models.choose("sam_med3d", None, None, "phantom"))
    assert (predict(merged) - predict(base)).abs().max() > 1e-2  # the adapters do something


def test_a_decoder_adapter_on_a_pretrained_encoder_stays_separate(finished, monkeypatch):
    monkeypatch.chdir(finished)
    chosen = models.choose("uscl_med3d_r32_decoder_vcl", None, None, "phantom")
    assert models.load_method(chosen).tuning is not None


def test_peft_is_not_imported(choice):
    code = (
        "import sys; from uscl_med3d.user import models;"
        f"models.load_method(models.choose({LORA!r}, None, None, 'phantom'));"
        "assert 'peft' not in sys.modules and 'transformers' not in sys.modules"
    )
    here = str(Path(uscl_med3d.__file__).parents[1])
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": here})


@pytest.mark.parametrize(
    ("fact", "value"), [("pretraining", "None"), ("method", "lora_attention"), ("rank", "8")]
)
def test_what_separate_adapters_refuse_merged_ones_refuse(choice, fact, value, tmp_path):
    tensors, said = _read(choice.checkpoint)
    belongs = json.loads(said["belongs_to"])
    assert belongs == models.load_method(choice, "separate").tuning.belongs and belongs[fact] != value
    wrong = tmp_path / "wrong.safetensors"
    save_file(tensors, wrong, {"belongs_to": json.dumps(belongs | {fact: value})})
    for adapters in ("separate", "merged"):
        with pytest.raises(InputError) as error:
            models.load_method(replace(choice, checkpoint=wrong), adapters)
        assert f"{fact}: {value}" in str(error.value)


@pytest.mark.parametrize("fault", ["base", "layer"])
def test_adapters_of_something_else_are_refused(choice, fault, tmp_path):
    wrong = tmp_path / "wrong.safetensors"
    if fault == "base":
        shutil.copy(choice.base, wrong)
        tensors = {name: value + 1 for name, value in _read(choice.base)[0].items()}
        save_file(tensors, wrong)
        chosen = replace(choice, base=wrong)
    else:
        tensors, said = _read(choice.checkpoint)
        del tensors[next(iter(tensors))]
        save_file(tensors, wrong, said)
        chosen = replace(choice, checkpoint=wrong)
    with pytest.raises(InputError) as error:
        models.load_method(chosen)
    assert "lora_A" in str(error.value) if fault == "layer" else "base" in str(error.value)


def _read(path):
    with safe_open(str(path), framework="pt") as stream:
        return {name: stream.get_tensor(name) for name in stream.keys()}, stream.metadata()  # noqa: SIM118
