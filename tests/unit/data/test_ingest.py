"""The stage as a whole: raw files in, volumes and a manifest out."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from raw_files import Cohort, draw_clip, draw_mask, write_mask

from uscl_med3d.core.io import load_volume, save_volume
from uscl_med3d.data.ingest import ingest
from uscl_med3d.data.sweeps import load_sweep, read_splits


def run(cohort: Cohort, job, name: str = "out") -> Path:
    out = cohort.folder.parent / name
    ingest(job, cohort.save(), out / "volumes", out / "splits.csv")
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_volume_of_a_sweep(cohort: Cohort, make_job) -> None:
    cohort.add("a", split="train")
    out = run(cohort, make_job())
    sweep = load_sweep(out / "volumes", "a")
    # The image is 60 x 60 pixels of 1 mm, hence 30 x 30 of 2 mm.
    assert sweep.image.shape == (10, 30, 30) and sweep.image.dtype == np.uint8
    expected = draw_clip()[:, 4:, 10:70].reshape(10, 30, 2, 30, 2).mean((2, 4))
    assert np.abs(sweep.image - expected).mean() < 2  # the codec is lossy
    assert sweep.fan.all()
    assert [entry["frame"] for entry in sweep.sidecar["key_frames"]] == [1, 4, 6, 8]
    for index in range(10):
        frame = sweep.key_frames[index]
        if index in (1, 4, 6, 8):
            np.testing.assert_array_equal(frame, draw_mask()[4:, 10:70][::2, ::2])
        else:
            assert (frame == 255).all()
    assert sweep.reference is None
    manifest = read_splits(out / "splits.csv")
    assert manifest.to_dict("records") == [
        {"patient": "p_a", "sweep": "a", "group": "abdomen", "view": "abdomen_right", "split": "train"}
    ]


def test_affine_and_sidecar_of_an_untracked_sweep(cohort: Cohort, make_job) -> None:
    cohort.add("a")
    out = run(cohort, make_job())
    header = nibabel.load(out / "volumes" / "a" / "image.nii.gz")
    np.testing.assert_array_equal(header.affine, np.diag([2.0, 2.0, 1.0, 1.0]))
    sidecar = load_sweep(out / "volumes", "a").sidecar
    assert sidecar["axis_without_millimetres"] == "d"
    assert sidecar["spacing_mm"] == {"d": None, "h": 2.0, "w": 2.0}
    assert sidecar["source_spacing_mm"] == {"d": None, "h": 1.0, "w": 1.0}
    assert sidecar["source"] == "videos/a.mp4" and len(sidecar["source_sha256"]) == 64
    assert sidecar["source_shape"] == [10, 64, 80] and sidecar["shape_dhw"] == [10, 30, 30]


def test_spacing_of_a_tracked_sweep_counts_reduced_frames(cohort: Cohort, make_job) -> None:
    cohort.add("a", frame_spacing_mm="0.5")
    out = run(cohort, make_job(max_frames=4))
    sweep = load_sweep(out / "volumes", "a")
    assert sweep.image.shape[0] == 4
    assert sweep.spacing_mm == (1.25, 2.0, 2.0)
    assert sweep.sidecar["axis_without_millimetres"] is None
    assert load_volume(out / "volumes" / "a" / "image.nii.gz")[1] == (1.25, 2.0, 2.0)


def test_unknown_pixel_size(cohort: Cohort, make_job) -> None:
    cohort.add("a", spacing_mm="")
    sweep = load_sweep(run(cohort, make_job()) / "volumes", "a")
    assert sweep.image.shape == (10, 40, 40)
    assert sweep.spacing_mm == (None, None, None)
    assert sweep.sidecar["axes_without_millimetres"] == ["d", "h", "w"]


def test_key_frames_follow_the_reduction_and_none_is_lost_silently(cohort: Cohort, make_job) -> None:
    cohort.add("a", split="train")
    write_mask(cohort.folder / "masks/a", 7, draw_mask(5))
    sweep = load_sweep(run(cohort, make_job(max_frames=5)) / "volumes", "a")
    assert [(entry["frame"], entry["index"]) for entry in sweep.sidecar["key_frames"]] == [
        (1, 0),
        (4, 2),
        (6, 3),
        (8, 4),
    ]
    assert [entry["frame"] for entry in sweep.sidecar["key_frames_not_used"]] == [7]
    assert set(np.unique(sweep.key_frames[3])) == {0, 3}


def test_reduction_by_mean_or_middle(cohort: Cohort, make_job) -> None:
    clip = draw_clip()
    clip[:, 4:, 10:70] = np.arange(30, 230, 20)[:, None, None]
    cohort.add("a", clip=clip)
    for reduction, expected in (("average", [40, 80, 120, 160, 200]), ("pick", [50, 90, 130, 170, 210])):
        out = run(cohort, make_job(max_frames=5, frame_reduction=reduction), reduction)
        image = load_sweep(out / "volumes", "a").image
        np.testing.assert_allclose(image[:, 5:25, 5:25].mean((1, 2)), expected, atol=3)


def test_roles_by_split(cohort: Cohort, make_job) -> None:
    for split in ("train", "val", "test"):
        cohort.add(split, split=split)
    out = run(cohort, make_job())
    for split, held in (("train", 1), ("val", 1), ("test", 4)):
        sweep = load_sweep(out / "volumes", split)
        assert len(sweep.key_frame_indices("held_out")) == held
        assert len(sweep.key_frame_indices("prompt")) == 4 - held
        assert not {1, 8} & set(sweep.key_frame_indices("held_out")) or split == "test"


def test_reference_on_the_same_grid(cohort: Cohort, make_job) -> None:
    reference = np.repeat(draw_mask(4)[None], 10, axis=0)
    reference[5:] = 0
    save_volume(cohort.folder / "truth/a.nii.gz", reference.astype(np.int16), (1.0, 1.0, 1.0))
    cohort.add("a", reference="truth/a.nii.gz")
    sweep = load_sweep(run(cohort, make_job()) / "volumes", "a")
    assert sweep.reference.dtype == np.uint8
    np.testing.assert_array_equal(sweep.reference, reference[:, 4:, 10:70][:, ::2, ::2])


def test_a_sweep_without_labels(cohort: Cohort, make_job) -> None:
    cohort.add("a", key_frames="", spacing_mm="")
    sweep = load_sweep(run(cohort, make_job()) / "volumes", "a")
    assert (sweep.key_frames == 255).all() and sweep.sidecar["key_frames"] == []


def test_splits_are_assigned_by_patient(cohort: Cohort, make_job) -> None:
    for patient in range(8):
        for side in ("right", "left"):
            cohort.add(
                f"s{patient}{side}", patient=f"p{patient}", view=f"abdomen_{side}", clip=draw_clip(9, 32, 32)
            )
    for row in cohort.rows:
        row["key_frames"] = ""
    manifest = read_splits(run(cohort, make_job()) / "splits.csv")
    assert manifest.groupby("patient")["split"].nunique().max() == 1
    assert manifest["split"].value_counts().to_dict() == {"train": 8, "val": 4, "test": 4}
    assert list(manifest["sweep"]) == sorted(manifest["sweep"])


def test_output_depends_on_neither_workers_nor_row_order(cohort: Cohort, make_job) -> None:
    for i in range(4):
        cohort.add(f"s{i}", clip=draw_clip(seed=i))
    alone = contents(run(cohort, make_job(workers=1), "alone"))
    cohort.rows.reverse()
    together = contents(run(cohort, make_job(workers=2), "together"))
    assert alone == together
    assert not [name for name in alone if ".tmp" in name]


def test_one_more_sweep_changes_no_other(cohort: Cohort, make_job) -> None:
    cohort.add("a", split="train")
    before = contents(run(cohort, make_job(), "before") / "volumes" / "a")
    cohort.add("b", split="val")
    assert contents(run(cohort, make_job(), "after") / "volumes" / "a") == before


def test_sweeps_that_left_the_cohort_leave_the_volumes(cohort: Cohort, make_job) -> None:
    cohort.add("a")
    cohort.add("b")
    out = run(cohort, make_job())
    cohort.rows.pop()
    run(cohort, make_job())
    assert [path.name for path in (out / "volumes").iterdir()] == ["a"]
    assert list(pd.read_csv(out / "splits.csv")["sweep"]) == ["a"]


def test_sidecar_maps_voxels_back_to_the_clip(cohort: Cohort, make_job) -> None:
    clip = draw_clip()
    clip[:, 4:, 10:70] = 40
    clip[:, 30:34, 20:24] = 250
    cohort.add("a", clip=clip)
    out = run(cohort, make_job())
    image = load_sweep(out / "volumes", "a").image
    grid = json.loads((out / "volumes/a/sidecar.json").read_text())["grid"]
    h, w = np.argwhere(image[0] > 150).mean(0) + 0.5
    assert grid["h_start_px"] + h * grid["h_step_px"] == pytest.approx(32, abs=0.6)
    assert grid["w_start_px"] + w * grid["w_step_px"] == pytest.approx(22, abs=0.6)
