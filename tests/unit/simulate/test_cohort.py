"""The raw files of the cohort."""

from __future__ import annotations

import csv
import os
import pickle
import subprocess
import sys
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image

from uscl_med3d.core.io import load_volume, sha256
from uscl_med3d.core.receipts import hash_tree
from uscl_med3d.simulate.cohort import draw_sweep, list_sweeps, simulate_cohort

TARGETS = {
    "chest": {"pleural_effusion"},
    "abdomen_right": {"liver", "kidney", "ascites"},
    "abdomen_left": {"spleen", "kidney", "ascites"},
}


@pytest.fixture(scope="module")
def rows(raw):
    with open(raw / "cohort.csv", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_default_scale_has_the_papers_patients_and_enough_for_testing(phantom):
    rows = list_sweeps(phantom.cohort)
    patients = {(row["patient"], row["group"], row["split"]) for row in rows}
    developing = [group for _, group, split in patients if split in ("train", "val")]
    assert (developing.count("chest"), developing.count("abdomen")) == (25, 14)
    testing = [group for _, group, split in patients if split == "test"]
    assert min(testing.count("chest"), testing.count("abdomen")) >= 24
    assert len({row["sweep"] for row in rows}) == len(rows) == 125


def test_a_patient_has_one_split(rows):
    splits = {}
    for row in rows:
        splits.setdefault(row["patient"], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert {split for found in splits.values() for split in found} == {"train", "val", "test"}


def test_every_view_shows_its_targets_inside_the_fan(raw, rows, tiny):
    for row in rows:
        truth, _ = load_volume(raw / row["reference"])
        found = {name for name, value in tiny.classes.items() if (truth == value).sum() > 500}
        assert found == TARGETS[row["view"]], row["sweep"]
        frames = decode(raw / row["video"])
        seen = frames.max(axis=0) > 0
        everywhere = truth.max(axis=0) > 0
        assert everywhere[~seen].sum() < 0.05 * everywhere.sum(), "only deep black fluid is never lit"


def test_video_matches_truth_and_key_frames(raw, rows, tiny):
    for row in rows:
        truth, spacing = load_volume(raw / row["reference"])
        assert decode(raw / row["video"]).shape == truth.shape
        assert spacing[1] == spacing[2] == pytest.approx(float(row["spacing_mm"]), abs=1e-4)
        assert row["frame_spacing_mm"] == ""
        files = sorted((raw / row["key_frames"]).glob("frame_*.png"))
        assert len(files) == tiny.cohort.annotator.key_frames
        counts = dict.fromkeys(TARGETS[row["view"]], 0)
        for file in files:
            drawn = np.asarray(Image.open(file))
            true = truth[int(file.stem.removeprefix("frame_"))]
            assert drawn.shape == true.shape and drawn.dtype == np.uint8
            assert set(np.unique(drawn)) <= {0, *(tiny.classes[name] for name in counts)}
            both = ((drawn > 0) & (drawn == true)).sum()
            assert 0.85 < 2 * both / ((drawn > 0).sum() + (true > 0).sum()) < 1, (
                "close to the truth, not equal"
            )
            for name in counts:
                counts[name] += bool((drawn == tiny.classes[name]).any())
        assert min(counts.values()) >= 2


def test_pixels_outside_the_fan_are_motionless(raw, rows):
    frames = decode(raw / rows[0]["video"]).astype(int)
    corner = frames[:, :30, :30]
    assert corner.max() > 100, "the grey bar"
    assert corner.std(axis=0).max() < 6


def test_workers_and_order_do_not_change_a_byte(raw, tiny, tmp_path):
    cohort = tiny.cohort.model_copy(update={"workers": 2})
    (tmp_path / "keep.txt").write_text("not mine")
    simulate_cohort(SimpleNamespace(seed=tiny.seed, classes=tiny.classes, cohort=cohort), tmp_path)
    first = {file.relative_to(raw): sha256(file) for file in raw.rglob("*") if file.is_file()}
    second = {file.relative_to(tmp_path): sha256(file) for file in tmp_path.rglob("*") if file.is_file()}
    assert second.pop((tmp_path / "keep.txt").relative_to(tmp_path))
    assert first == second


MAKE_AGAIN = """
import pickle, sys
from pathlib import Path
from uscl_med3d.simulate.cohort import simulate_cohort

if __name__ == "__main__":
    simulate_cohort(pickle.loads(Path(sys.argv[1]).read_bytes()), sys.argv[2])
"""


def test_made_three_times_it_is_the_same(raw, tiny, tmp_path):
    """Once more in processes of their own, whose memory is filled with other patterns."""
    job, hashes = tmp_path / "job", [hash_tree(raw)]
    job.write_bytes(pickle.dumps(tiny))
    for pattern in ("1", "170"):
        made = tmp_path / pattern
        environment = os.environ | {"MALLOC_PERTURB_": pattern}
        subprocess.run([sys.executable, "-c", MAKE_AGAIN, str(job), str(made)], check=True, env=environment)
        hashes.append(hash_tree(made))
    assert len(set(hashes)) == 1


def test_a_failure_keeps_what_was_there(raw, tiny, tmp_path, monkeypatch):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "old.mp4").write_text("old")
    monkeypatch.setattr("uscl_med3d.simulate.cohort.write_video", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        simulate_cohort(tiny, tmp_path)
    assert [file.name for file in tmp_path.rglob("*")] == ["videos", "old.mp4"]


def test_seed_changes_the_patients(tiny):
    row = list_sweeps(tiny.cohort)[0]
    first, _ = draw_sweep(row, tiny.cohort, tiny.classes, 1)
    second, _ = draw_sweep(row, tiny.cohort, tiny.classes, 2)
    assert first.frames.shape != second.frames.shape or (first.labels != second.labels).any()


def decode(file) -> np.ndarray:
    with av.open(str(file)) as container:
        return np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])
