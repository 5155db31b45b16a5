"""Models that come with the package, and the list of all that are there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from uscl_med3d import InputError, Segmenter
from uscl_med3d.core.io import read_json, write_text
from uscl_med3d.user import models, shipped


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


def test_list_of_models(package: Path, run, finished: Path) -> None:
    shown = {(model["kind"], model["name"]): model for model in json.loads(run("models", "--json").out)}
    assert shown["shipped", "adapted"]["segments"] and shown["shipped", "adapted"]["file"] == str(
        package / "adapted.safetensors"
    )
    assert shown["run", "full_tuning"]["validation_dice"] == 61.0
    assert ("run", "nearest_key_frame") not in shown
    text = run("models").out
    assert "adapted" in text and "image use" in text


def test_unknown_names_are_answered_with_those_there(package: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="adapted, base"):
        shipped.choose_shipped("adaptd")
