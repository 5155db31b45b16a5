from __future__ import annotations

import filecmp
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import load_volume
from uscl_med3d.pseudolabel.propagate import FRAME_COLUMNS, QUALITY_COLUMNS, pseudolabel


@pytest.fixture
def out(job, cohort, weights, tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    pseudolabel(job, cohort.volumes, cohort.splits, weights, folder)
    return folder


def test_records_every_frame_class_and_sweep(out: Path) -> None:
    frames = pd.read_csv(out / "frames.csv")
    assert list(frames.columns) == FRAME_COLUMNS
    assert len(frames) == 2 * 2 * 9
    assert frames.equals(frames.sort_values(["sweep", "class", "frame"], ignore_index=True))
    sweeps = pd.read_csv(out / "sweeps.csv").set_index("sweep")
    assert list(sweeps.index) == ["a", "b", "bare"]
    assert sweeps.loc["bare", "reason"] == "no key frames" and not sweeps.loc["bare", "accepted"]
    assert not (out / "bare.nii.gz").exists()
    assert (out / "review" / "a.png").stat().st_size > 1000


def test_rejected_frames_are_255_and_human_frames_are_kept(out: Path, cohort) -> None:
    frames = pd.read_csv(out / "frames.csv")
    for name in pd.read_csv(out / "sweeps.csv").query("accepted")["sweep"]:
        labels, spacing = load_volume(out / f"{name}.nii.gz")
        assert spacing == (1.0, 2.0, 2.0)
        verdict = frames[frames["sweep"] == name].groupby("frame")["accepted"].all()
        assert not verdict.all() or name == "b"
        for frame, accepted in verdict.items():
            assert (labels[frame] == 255).all() == (not accepted)
        keys = load_volume(cohort.volumes / name / "key_frames.nii.gz")[0]
        for frame in frames[(frames["sweep"] == name) & (frames["reason"] == "human key frame")][
            "frame"
        ].unique():
            np.testing.assert_array_equal(labels[frame], keys[frame])


def test_held_out_key_frames_are_predicted_not_copied(out: Path) -> None:
    frames = pd.read_csv(out / "frames.csv").query("sweep == 'a' and frame == 4")
    assert (frames["reason"] != "human key frame").all()


def test_quality_has_both_references_and_all_methods(out: Path) -> None:
    quality = pd.read_csv(out / "quality.csv")
    assert list(quality.columns) == QUALITY_COLUMNS
    assert set(quality["method"]) == {"seggpt", "nearest_key_frame", "shape_interpolation"}
    assert set(quality["reference"]) == {"held_out_key_frame", "true_mask"}
    assert quality["dice"].between(0, 100).all()
    counts = quality.groupby(["sweep", "class", "frame", "reference"])["method"].nunique()
    assert (counts == 3).all()
    summary = json.loads((out / "summary.json").read_text())
    assert set(summary["quality"]["true_mask"]["seggpt_beats_alternatives"]) == {
        "nearest_key_frame",
        "shape_interpolation",
    }
    assert summary["sweeps"] == 3 and summary["sweeps_without_key_frames"] == 1


def test_test_sweeps_are_never_read(job, cohort, weights, tmp_path: Path) -> None:
    shutil.rmtree(cohort.volumes / "t")
    pseudolabel(job, cohort.volumes, cohort.splits, weights, tmp_path / "out")
    for name in ("frames", "sweeps", "quality"):
        assert "t" not in set(pd.read_csv(tmp_path / "out" / f"{name}.csv")["sweep"])


def test_equal_inputs_give_equal_bytes(job, cohort, weights, out: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    pseudolabel(job, cohort.volumes, cohort.splits, weights, again)
    files = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    for file in files:
        assert filecmp.cmp(out / file, again / file, shallow=False), file


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_only_a_changed_sweep_is_computed_again(
    job, cohort, weights, out: Path, tmp_path: Path, capfd
) -> None:
    def run(name: str) -> str:
        pseudolabel(job, cohort.volumes, cohort.splits, weights, tmp_path / name, tmp_path / "store")
        return capfd.readouterr().err

    assert "pseudolabel: 3 of 3 sweeps computed, 0 unchanged" in run("first")
    assert "pseudolabel: 0 of 3 sweeps computed, 3 unchanged" in run("second")
    assert contents(tmp_path / "first") == contents(tmp_path / "second") == contents(out)
    cohort.write("a", "train", [1, 5, 6], [4])
    assert "pseudolabel: 1 of 3 sweeps computed, 2 unchanged" in run("third")
    pseudolabel(job, cohort.volumes, cohort.splits, weights, tmp_path / "without")
    assert contents(tmp_path / "third") == contents(tmp_path / "without") != contents(out)
    assert len(list((tmp_path / "store").iterdir())) == 3
    job.pseudolabel = job.pseudolabel.model_copy(update={"score_threshold": 0.4})
    assert "pseudolabel: 3 of 3 sweeps computed" in run("fourth")
    assert not list(tmp_path.glob(".tmp-*"))


def test_an_interrupted_run_goes_on(job, cohort, weights, out: Path, tmp_path: Path, capfd) -> None:
    kept = cohort.volumes / "bare/image.nii.gz"
    kept.rename(tmp_path / "kept")
    with pytest.raises(InputError):
        pseudolabel(job, cohort.volumes, cohort.splits, weights, tmp_path / "first", tmp_path / "store")
    (tmp_path / "kept").rename(kept)
    capfd.readouterr()
    pseudolabel(job, cohort.volumes, cohort.splits, weights, tmp_path / "second", tmp_path / "store")
    assert "pseudolabel: 1 of 3 sweeps computed, 2 unchanged" in capfd.readouterr().err
    assert contents(tmp_path / "second") == contents(out)


def test_labels_before_the_gate_are_kept_for_review(out: Path) -> None:
    for name in ("a", "b"):
        proposed = load_volume(out / "review" / f"{name}.nii.gz")[0]
        assert not (proposed == 255).any()
        accepted = load_volume(out / f"{name}.nii.gz")[0]
        np.testing.assert_array_equal(accepted[accepted != 255], proposed[accepted != 255])


def test_method_chooses_the_training_labels(job, cohort, weights, tmp_path: Path) -> None:
    gate = job.pseudolabel.gate.model_copy(update={"min_consistency": 0.0, "max_frames_outside": 9})
    job.pseudolabel = job.pseudolabel.model_copy(update={"method": "nearest_key_frame", "gate": gate})
    pseudolabel(job, cohort.volumes, cohort.splits, weights, tmp_path / "out")
    labels = load_volume(tmp_path / "out" / "a.nii.gz")[0]
    keys = load_volume(cohort.volumes / "a" / "key_frames.nii.gz")[0]
    np.testing.assert_array_equal(labels[2], keys[1])
    assert pd.read_csv(tmp_path / "out" / "frames.csv")["confidence"].isna().all()


def test_unusable_weights_are_named(job, cohort, tmp_path: Path) -> None:
    broken = tmp_path / "seggpt.safetensors"
    broken.write_bytes(b"not a model")
    with pytest.raises(InputError, match=r"seggpt\.safetensors") as caught:
        pseudolabel(job, cohort.volumes, cohort.splits, broken, tmp_path / "out")
    assert "run the stage foundation again" in str(caught.value)
    assert not (tmp_path / "out").exists()
