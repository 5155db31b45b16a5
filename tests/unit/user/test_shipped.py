"""Models that come with the package, and the list of all that are there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from uscl_med3d import InputError, Segmenter
from uscl_med3d.core.io import read_json, write_text
from uscl_med3d.user import models, shipped
from uscl_med3d.user.model_list import list_models


@pytest.fixture
def package(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped models, made from the runs of a finished scale."""
    monkeypatch.chdir(finished)
    folder = tmp_path / "shipped"
    for name, run in (("base", "sam_med3d"), ("adapted", "uscl_med3d_r32_both_vcl")):
        shipped.ship(models.choose_run(run, "phantom"), name, "abdomen", folder)
    monkeypatch.setattr(shipped, "FOLDER", folder)
    return folder


def test_a_shipped_model_predicts_what_its_run_does(
    package: Path, finished: Path, tmp_path: Path, clips, monkeypatch
) -> None:
    clip = clips.draw()
    masks = []
    for folder, name in ((finished, "uscl_med3d_r32_both_vcl"), (tmp_path, None)):
        monkeypatch.chdir(folder)
        segmenter = Segmenter.load(name)
        segmenter.encode(clip, (1.0, 1.0))
        segmenter.click((40, 32, 12))
        masks.append(segmenter.mask())
    assert segmenter.choice.name == "adapted" and segmenter.choice.validation_dice == 64.0
    np.testing.assert_array_equal(*masks)


def test_own_runs_come_before_shipped_models(package: Path) -> None:
    assert models.choose(None, None, None, "phantom").name == "uscl_med3d_r32_both_vcl"
    assert models.choose("base", None, None, "phantom").base == package / "base.safetensors"
    assert models.choose(None, None, None, "elsewhere").name == "adapted"


def test_an_adapter_is_shipped_only_beside_its_base(finished: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(finished)
    with pytest.raises(InputError, match="base model that is not shipped"):
        shipped.ship(models.choose_run("full_tuning", "phantom"), "x", "abdomen", tmp_path)
    assert not list(tmp_path.iterdir())


def test_cards_say_what_a_model_is(package: Path) -> None:
    card = read_json(package / "adapted.json")
    assert card["base"] == "base" and "simulated" in card["learned_from"] and card["validation_dice"] == 64.0
    assert card["image_use"] is None


def test_a_run_on_own_sweeps_is_not_shipped_as_one_on_simulated_ones(finished, tmp_path, monkeypatch) -> None:
    shutil.copytree(finished, tmp_path / "own")
    monkeypatch.chdir(tmp_path / "own")
    file = Path("results/phantom/params/all.json")
    file.write_text(json.dumps(read_json(file) | {"cohort": "data/mine.csv"}))
    shipped.ship(models.choose_run("sam_med3d", "phantom"), "mine", "abdomen", tmp_path / "shipped")
    assert read_json(tmp_path / "shipped/mine.json")["learned_from"] == shipped.OWN_SWEEPS


def test_image_use_is_that_of_the_most_clicks_on_ultrasound(package: Path, finished: Path) -> None:
    choice = models.choose_run("full_tuning", "phantom")
    label = read_json(finished / "results/phantom/params/report.json")["methods"]["full_tuning"]["label"]
    file = finished / "results/phantom/image_use.csv"
    head = "method,dataset,points,dice_own,dice_other,difference,ci_low,ci_high,n_patients"
    rows = [
        f"{label},ultrasound,1,50,40,10,8,12,9",
        f"{label},ultrasound,10,70,40,30,28,32,9",
        f"{label},AMOS,10,9,8,1,0,2,9",
    ]
    write_text(file, "\n".join([head, *rows]) + "\n")
    try:
        assert shipped.read_image_use(choice) == {
            "clicks": 10,
            "difference": 30.0,
            "ci_low": 28.0,
            "ci_high": 32.0,
        }
    finally:
        file.unlink()


def test_the_file_of_a_shipped_model_is_that_model(package: Path) -> None:
    """`uscl-med3d models --json` names it."""
    for name in ("base", "adapted"):
        by_file, by_name = (
            models.choose(one, None, None, "phantom") for one in (package / f"{name}.safetensors", name)
        )
        assert (by_file.base, by_file.checkpoint) == (by_name.base, by_name.checkpoint)
        assert by_file.validation_dice == by_name.validation_dice


def test_the_file_of_a_base_model_that_takes_no_clicks_in_volumes_is_refused(tmp_path: Path) -> None:
    file = shipped.FOLDER / "mobile_sam.safetensors"
    with pytest.raises(InputError, match="sam_med3d, uscl_med3d"):
        models.choose(file, None, None, "phantom")
    for suffix in (".safetensors", ".json"):
        shutil.copyfile(file.with_suffix(suffix), tmp_path / f"mine{suffix}")
    with pytest.raises(InputError, match="weights of mobile_sam"):
        models.choose(tmp_path / "mine.safetensors", None, None, "phantom")


def test_list_of_models(package: Path, run, finished: Path) -> None:
    shown = {(model["kind"], model["name"]): model for model in json.loads(run("models", "--json").out)}
    assert shown["shipped", "adapted"]["segments"] and shown["shipped", "adapted"]["file"] == str(
        package / "adapted.safetensors"
    )
    assert shown["run", "full_tuning"]["validation_dice"] == 61.0
    assert ("run", "nearest_key_frame") not in shown
    text = run("models").out
    assert "adapted" in text and "image use" in text


def test_official_files_that_segment_takes_are_listed_as_such(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/external/seggpt-vit-large").mkdir(parents=True)
    for name in ("sam_vit_b_01ec64.pth", "seggpt-vit-large/model.safetensors"):
        (tmp_path / "data/external" / name).touch()
    found = {model.method: model.segments for model in list_models("phantom") if model.kind == "official"}
    assert found == {"SAM (ViT-B), official": True, "SegGPT, official": False}


def test_unknown_names_are_answered_with_those_there(package: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="adapted, base"):
        shipped.choose_shipped("adaptd")
