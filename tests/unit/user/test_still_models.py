"""Models for single pictures that come with the package: what is said of them, where they work and where not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_cohort import ROOT

from uscl_med3d import InputError, Segmenter
from uscl_med3d.core.io import read_json, sha256, write_json
from uscl_med3d.core.params import load_job
from uscl_med3d.core.shipped import hash_recipe
from uscl_med3d.data.images2d import open_set
from uscl_med3d.methods.stills.samus import SamusStill
from uscl_med3d.stills.score import score_item
from uscl_med3d.user import models, shipped, still_models

RESULTS = ROOT / "results/usgra"
NAMES = [file.stem for file in sorted(still_models.FOLDER.glob("*.safetensors"))]
WORDS = still_models.Words("lines", "Nobody, 2025", "CC0", "drawn by hand")


@pytest.fixture
def still(tmp_path, monkeypatch):
    """A picture in a folder without results."""
    monkeypatch.chdir(tmp_path)
    picture = np.random.RandomState(0).randint(0, 255, (150, 220)).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "still.png")
    return tmp_path / "still.png"


@pytest.fixture
def scale(tmp_path, monkeypatch):
    """What `ship` needs of a finished scale: the landed table and parameters, and any weights."""
    monkeypatch.chdir(tmp_path)
    here = tmp_path / "results/usgra"
    for part in ("tables/stills.csv", "params/stills.json"):
        (here / part).parent.mkdir(parents=True)
        shutil.copy(RESULTS / part, here / part)
    weights = here / "checkpoints/stills/samus.safetensors"
    weights.parent.mkdir(parents=True)
    save_file({"a": torch.tensor([0.1, 70.0]), "steps": torch.tensor(3)}, weights)
    facts = {"model": "samus", "preprocessing": "official", "learned_from": "8 images of x"}
    write_json(weights.with_suffix(".json"), facts | {"sha256": sha256(weights)})
    return here


def change_table(scale, **values):
    file = scale / "tables/stills.csv"
    rows = pd.read_csv(file)
    mine = (rows["method"] == "SAMUS") & (rows["class"] == "all") & (rows["points"] == 1)
    for column, value in values.items():
        rows.loc[mine, column] = value
    rows.to_csv(file, index=False)


@pytest.mark.parametrize("name", NAMES)
def test_the_card_says_what_the_landed_results_say(name):
    weights = still_models.FOLDER / f"{name}.safetensors"
    card, job = still_models.check(weights), read_json(RESULTS / "params/stills.json")
    assert card["recipe"] == hash_recipe(job), "train it again, or restore its recipe"
    rows = pd.read_csv(RESULTS / "tables/stills.csv")
    rows = rows[(rows["points"] == 1) & (rows["class"] == "all")].set_index("method")
    own, disc = rows.loc[card["title"]], rows.loc[job["stills"]["methods"]["disc"]["label"]]
    assert card["scores"]["all"]["dice"] == own["dice"] and card["control"]["dice"] == disc["dice"]
    assert card["image_use"]["difference"] == own["own_minus_other"]
    assert (card["image_use"]["ci_low"], card["image_use"]["ci_high"]) == (own["own_low"], own["own_high"])
    assert card["data"]["licence"] == "CC BY 4.0" and "Kandaouroff" in card["data"]["attribution"]
    assert {"paper", "code", "licence"} == set(card["source"]) and card["preprocessing"] == "official"


def test_shipped_weights_are_small_and_in_half_precision():
    assert NAMES == ["samus"]
    file = still_models.FOLDER / "samus.safetensors"
    assert file.stat().st_size < 5e6
    kinds = {value.dtype for value in load_file(file).values()}
    assert torch.float16 in kinds and not kinds & {torch.float32, torch.float64}


def test_a_picture_is_segmented_in_any_folder(still, run):
    done = run("segment", still, "--model", "samus", "--point", "110,70", "-o", "mask.npy", "--json")
    assert done.code == 0, done.err
    mask = np.load("mask.npy")
    assert mask.shape == (1, 150, 220) and mask[0, 70, 110] == 1 and 0 < mask.mean() < 0.9
    assert json.loads(done.out)["model"] == "samus"
    card = still_models.read_cards()["samus"]
    for said in (card["domain"], "hardly looks at the image", card["data"]["attribution"], card["limits"]):
        assert said in done.err
    assert f"{card['image_use']['difference']:.1f} points" in done.err


def test_real_pictures(shared, tmp_path, monkeypatch):
    """It learned from these, so this says that it is the trained network, and nothing about its accuracy."""
    monkeypatch.chdir(tmp_path)
    images = open_set("usgra", shared / "data/real/us2d_usgra_nerve_vessel")
    settings, dice = load_job("stills", RESULTS / "params/stills.json").stills, {}
    for trained in (True, False):
        method = SamusStill(Segmenter.load(model="samus", scale="nowhere").method)
        if not trained:
            for value in method.network.parameters():
                torch.nn.init.normal_(value, std=0.02, generator=torch.Generator().manual_seed(0))
        scored = [score_item(method, item, None, images, settings, 0) for item in images.items[::20]]
        dice[trained] = np.mean([score.dice for one in scored for _, score in one if score.points == 1])
    assert dice[True] > 35 > 25 > dice[False]


def test_without_its_name_nothing_changes(still, clips):
    """Neither a picture nor a clip gets it: the best shipped model for volumes is taken as before."""
    assert models.choose(None, None, None, "nowhere").name == shipped.choose_shipped(None).name
    assert "samus" not in shipped.read_cards()


def test_own_weights_come_first_and_nothing_else_is_said_of_them(scale, still, run):
    own = scale / "checkpoints/stills/samus.safetensors"
    shutil.copy(still_models.FOLDER / "samus.safetensors", own)
    shutil.copy(still_models.FOLDER / "samus.json", own.with_suffix(".json"))
    assert models.find_still("samus", "phantom") == own.relative_to(scale.parents[1])
    done = run("segment", still, "--model", "samus", "--point", "110,70", "-o", "mask.npy", "--allow-empty")
    assert done.code == 0 and "hardly" not in done.err
    own.unlink()
    assert models.find_still("samus", "phantom").parent == still_models.FOLDER


def test_it_is_listed_for_pictures_alone(still, run):
    (model,) = [one for one in json.loads(run("models", "--json").out) if one["name"] == "samus"]
    assert model["in_pictures"] and not model["segments"] and model["kind"] == "shipped"
    assert model["image_use"] == still_models.read_cards()["samus"]["image_use"]["difference"]
    assert "CC BY 4.0" in model["licence"] and Path(model["file"]).is_file()
    text = run("models").out
    assert "in pictures" in text and "--model samus" in text and "hardly looks at the image" in text


@pytest.mark.parametrize(
    "verb",
    [
        ("export", "--format", "onnx", "--out", "exported"),
        ("serve", "--port", "0"),
        ("view", "still.png", "--port", "0", "--no-browser"),
        ("segment", "still.png", "--point", "4,3"),
    ],
)
def test_by_weights_it_is_refused_and_the_right_command_is_said(verb, still, run):
    done = run(*verb, "--weights", "samus")
    assert done.code == 2 and "model for single pictures" in done.err and "--model samus" in done.err
    assert [file.name for file in still.parent.iterdir()] == ["still.png"]


def test_its_file_is_not_exported(still, run):
    file = still_models.FOLDER / "samus.safetensors"
    done = run("export", "--format", "official", "--out", "exported", "--weights", file)
    assert done.code == 2 and "samus, a model for single pictures" in done.err
    assert not (still.parent / "exported").exists()


def test_damaged_weights_are_refused(still, run, monkeypatch):
    folder = still.parent / "shipped_stills"
    shutil.copytree(still_models.FOLDER, folder)
    tensors = load_file(folder / "samus.safetensors")
    tensors["mask_decoder.iou_token.weight"] += 1
    save_file(tensors, folder / "samus.safetensors")
    monkeypatch.setattr(still_models, "FOLDER", folder)
    done = run("segment", still, "--model", "samus", "--point", "4,3", "-o", "mask.npy")
    assert done.code == 2 and "SHA-256" in done.err and not (still.parent / "mask.npy").exists()


def test_shipping_halves_the_weights_and_reads_the_scores(scale, tmp_path, run):
    words = [f"--{key.replace('_', '-')}={value}" for key, value in WORDS._asdict().items()]
    done = run("ship_still", "samus", *words, "--folder", tmp_path / "out")
    assert done.code == 0, done.err
    made, before = (
        load_file(folder / "samus.safetensors") for folder in (tmp_path / "out", scale / "checkpoints/stills")
    )
    assert torch.equal(made["a"], before["a"].half()) and made["steps"].dtype == torch.int64
    card = read_json(tmp_path / "out/samus.json")
    assert card["sha256"] == sha256(tmp_path / "out/samus.safetensors") != card["trained_sha256"]
    assert set(card["scores"]) == {"nerve", "vessel", "all"} and card["limits"] == WORDS.limits
    assert "hardly looks" in " ".join(still_models.describe(card))


def test_a_model_that_looks_is_not_said_to_look_hardly(scale, tmp_path):
    change_table(scale, dice=61.0, own_minus_other=30.0, own_low=25.0, own_high=35.0)
    _, card = still_models.ship("usgra", "samus", WORDS, tmp_path / "out")
    said = " ".join(still_models.describe(read_json(card)))
    assert "hardly" not in said and "30.0 points [25.0, 35.0]" in said and "Dice of 61.0" in said


def test_weights_of_another_card_and_missing_scores_are_refused(scale, tmp_path):
    rows = pd.read_csv(scale / "tables/stills.csv")
    rows[rows["method"] != "SAMUS"].to_csv(scale / "tables/stills.csv", index=False)
    with pytest.raises(InputError, match="no row of SAMUS"):
        still_models.ship("usgra", "samus", WORDS, tmp_path / "out")
    with (scale / "checkpoints/stills/samus.safetensors").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(InputError, match="SHA-256"):
        still_models.ship("usgra", "samus", WORDS, tmp_path / "out")
    (scale / "tables/stills.csv").unlink()
    with pytest.raises(InputError, match="no such file"):
        still_models.ship("usgra", "samus", WORDS, tmp_path / "out")
    assert not (tmp_path / "out").exists()
