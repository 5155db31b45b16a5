"""Base models that come with the program: copied, checked, compared with a training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file
from tiny_cohort import ROOT, make_job, tiny_job

from uscl_med3d.core import shipped
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json, sha256, write_json
from uscl_med3d.core.params import load_job, slice_job, validate
from uscl_med3d.core.params.files import overlay, read_defaults
from uscl_med3d.foundation import make, sam, ship

__all__ = ["make_job"]

FILES = sorted((ROOT / "src/uscl_med3d/shipped").glob("*_curve.csv"))
MODELS = [file.stem.removesuffix("_curve") for file in FILES]
TINY = {
    "image_size": 16,
    "embed_dim": 16,
    "depth": 1,
    "num_heads": 2,
    "global_blocks": [0],
    "window_size": 2,
    "prompt_dim": 16,
    "mask_channels": 4,
    "decoder_mlp_dim": 16,
    "decoder_depth": 1,
    "iou_head_dim": 8,
}


def tiny(**changes: object) -> object:
    return tiny_job(
        "foundation_sam", **{f"foundation__sam__architecture__{key}": x for key, x in TINY.items()}, **changes
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped models with a tiny SAM."""
    job = tiny()
    sam.train(job, {}, None, tmp_path / "sam.safetensors", tmp_path / "sam.csv")
    write_json(tmp_path / "job.json", job.model_dump(mode="json", exclude={"run", "method"}))
    folder = tmp_path / "shipped"
    folder.mkdir()
    ship.halve(tmp_path / "sam.safetensors", folder / "sam.safetensors")
    shutil.copy(tmp_path / "sam.csv", folder / "sam_curve.csv")
    facts = read_json(tmp_path / "sam.json")
    card = ship.describe("sam", tmp_path / "job.json", pd.read_csv(tmp_path / "sam.csv"), facts)
    write_json(folder / "sam.json", card | {"sha256": sha256(folder / "sam.safetensors")})
    monkeypatch.setattr(shipped, "FOLDER", folder)
    return folder


def run(job: object, folder: Path) -> Path:
    weights = folder / "out.safetensors"
    make("sam", job, {}, None, weights, folder / "out.csv")
    return weights


def test_shipped_weights_are_copied_and_are_the_trained_ones_in_half_precision(folder, tmp_path):
    weights = run(tiny(foundation__sam__weights="shipped"), tmp_path)
    assert sha256(weights) == sha256(folder / "sam.safetensors")
    trained, copied = load_file(tmp_path / "sam.safetensors"), load_file(weights)
    assert trained.keys() == copied.keys()
    for name, value in trained.items():
        assert torch.equal(copied[name], value.half()), name
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "sam.csv").read_bytes()
    facts = read_json(tmp_path / "out.json")
    assert facts["weights"] == "shipped" and facts["sha256"] == sha256(weights)


def test_halving_twice_gives_equal_bytes(tmp_path, folder):
    ship.halve(tmp_path / "sam.safetensors", tmp_path / "again.safetensors")
    assert sha256(tmp_path / "again.safetensors") == sha256(folder / "sam.safetensors")


def test_damaged_and_missing_files_are_named(folder, tmp_path):
    with (folder / "sam.safetensors").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(InputError, match=r"sam\.safetensors[\s\S]*SHA-256"):
        run(tiny(foundation__sam__weights="shipped"), tmp_path)
    (folder / "sam.safetensors").unlink()
    with pytest.raises(InputError, match="no such file"):
        run(tiny(foundation__sam__weights="shipped"), tmp_path)
    assert not (tmp_path / "out.safetensors").exists()


def test_another_architecture_is_refused_by_name(folder, tmp_path):
    job = tiny(foundation__sam__weights="shipped", foundation__sam__architecture__mlp_ratio=2.0)
    with pytest.raises(InputError, match=r"architecture\.mlp_ratio: 2\.0"):
        run(job, tmp_path)


def test_image_use_is_the_last_row_of_the_curve():
    curve = pd.DataFrame(
        {
            "stage": ["dense", "clicks"],
            "first_click_dice": [None, 60.0],
            "first_click_other_image": [None, 40.0],
            "last_click_dice": [None, 80.0],
            "last_click_other_image": [None, 65.0],
        }
    )
    found = ship.image_use(curve)
    assert found["first_click"]["difference"] == 20.0 and found["last_click"]["difference"] == 15.0
    assert not found["passes"]
    assert ship.image_use(curve.drop(columns=["last_click_other_image"])) is None


@pytest.fixture(scope="module")
def scale():
    values = yaml.safe_load((ROOT / "workflow/scales/foundation.yaml").read_text())
    return validate(overlay(read_defaults(ROOT), values), "foundation.yaml")


@pytest.mark.parametrize("model", MODELS)
def test_shipped_files_are_whole_and_made_by_the_recipe_that_is_written_down(model, scale, tmp_path):
    card = shipped.check(model)
    job = slice_job(scale, f"foundation_{model}")
    assert card["recipe"] == shipped.hash_recipe(job), "train it again, or restore its recipe"
    file = tmp_path / "job.json"
    file.write_text(
        json.dumps(slice_job(validate(read_defaults(ROOT), "params.yaml"), f"foundation_{model}"))
    )
    shipped.check_fit(model, card, shipped.describe_network(load_job(f"foundation_{model}", file), model))


def test_shipped_base_models_are_small():
    sizes = [shipped.list_files(model).weights.stat().st_size for model in MODELS]
    assert len(sizes) == 7 and sum(sizes) < 30e6
