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
        "nearest_key_frame", "shape_interpolation"
    }  # fmt: skip
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
