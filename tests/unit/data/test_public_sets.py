"""Published ultrasound sets: folders of the same layout become cohorts that `ingest` takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK
from raw_files import draw_clip

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import load_volume
from uscl_med3d.data.cohort import read_cohort
from uscl_med3d.data.ingest import ingest
from uscl_med3d.data.public import LAYOUTS, write_cohort
from uscl_med3d.data.sweeps import load_sweep

CLASSES = {
    "tumour": 1,
    "left_ventricle": 2,
    "myocardium": 3,
    "left_atrium": 4,
    "thyroid": 5,
    "carotid_artery": 6,
    "jugular_vein": 7,
}


def save(path: Path, array: np.ndarray, spacing_xyz: tuple[float, float, float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = SimpleITK.GetImageFromArray(array.astype(np.uint8))
    image.SetSpacing(spacing_xyz)
    SimpleITK.WriteImage(image, str(path))


def draw_labels(values: tuple[int, ...]) -> np.ndarray:
    """Frames 2 to 8 of ten show a block of each value."""
    label = np.zeros((10, 64, 80), np.uint8)
    for n, value in enumerate(values):
        label[2:9, 20 + 10 * n : 28 + 10 * n, 24:56] = value
    return label


def write_abus(folder: Path) -> Path:
    for number, part in ((0, "Train"), (1, "Train"), (100, "Validation"), (130, "Test")):
        save(folder / part / f"DATA/DATA_{number:03d}.nrrd", draw_clip(seed=number), (0.2, 0.1, 0.5))
        save(folder / part / f"MASK/MASK_{number:03d}.nrrd", draw_labels((1,)), (0.2, 0.1, 0.5))
        (folder / part / "labels.csv").write_text("case_id,label\n")
    return folder


def write_camus(folder: Path) -> Path:
    for number, part in ((1, "training"), (2, "validation"), (3, "testing")):
        patient = f"patient{number:04d}"
        for view in ("2CH", "4CH"):
            stem = folder / "database_nifti" / patient / f"{patient}_{view}_half_sequence"
            save(stem.with_name(stem.name + ".nii.gz"), draw_clip(seed=number), (0.3, 0.3, 1.0))
            save(stem.with_name(stem.name + "_gt.nii.gz"), draw_labels((1, 2, 3)), (0.3, 0.3, 1.0))
        (folder / "database_split").mkdir(exist_ok=True)
        (folder / "database_split" / f"subgroup_{part}.txt").write_text(f"{patient}\n")
    return folder


def write_segthy(folder: Path) -> Path:
    root = folder / "US_volunteer_dataset/ground_truth_data"
    for number in range(1, 5):
        for side in ("left", "right"):
            name = f"{number:03d}_P1_1_{side}"
            save(root / f"US/{name}_US.nii", draw_clip(seed=number), (0.12, 0.12, 0.12))
            if (number, side) != (4, "right"):
                save(root / f"US_thyroid_label/{name}.nii", draw_labels((1, 4)), (0.12, 0.12, 0.12))
    return folder


WRITERS: dict[str, Callable[[Path], Path]] = {
    "tdsc_abus": write_abus,
    "camus": write_camus,
    "segthy": write_segthy,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_ingest_takes_the_cohort_of_a_published_set(layout: str, make_job, tmp_path: Path) -> None:
    folder, out = WRITERS[layout](tmp_path / "published"), tmp_path / "cohort/public.csv"
    write_cohort(layout, folder, out, CLASSES, 3)
    rows, errors = read_cohort(out)
    assert errors == [] and all(row.video.is_file() for row in rows)
    job = make_job(spacing_mm=0.2)
    job.classes = CLASSES
    ingest(job, out, tmp_path / "volumes", tmp_path / "splits.csv")
    manifest = pd.read_csv(tmp_path / "splits.csv")
    assert set(manifest["split"]) == {"train", "val", "test"}
    sweep = load_sweep(tmp_path / "volumes", rows[0].sweep)
    assert [entry["frame"] for entry in sweep.sidecar["key_frames"]] == [2, 5, 8]
    assert (sweep.reference > 0).any(axis=(1, 2)).tolist() == [False] * 2 + [True] * 7 + [False]


def test_abus_keeps_its_parts_and_oblong_pixels(tmp_path: Path) -> None:
    write_cohort("tdsc_abus", write_abus(tmp_path / "set"), tmp_path / "abus.csv", CLASSES, 5)
    rows, _ = read_cohort(tmp_path / "abus.csv")
    assert [(row.sweep, row.split) for row in rows] == [
        ("abus_000", "train"),
        ("abus_001", "train"),
        ("abus_100", "val"),
        ("abus_130", "test"),
    ]
    assert rows[0].spacing_mm == (0.1, 0.2) and rows[0].frame_spacing_mm == 0.5


def test_camus_has_two_views_and_no_distance_between_frames(tmp_path: Path) -> None:
    write_cohort("camus", write_camus(tmp_path / "set"), tmp_path / "camus.csv", CLASSES, 2)
    rows, _ = read_cohort(tmp_path / "camus.csv")
    assert [(row.view, row.split) for row in rows[:2]] == [("heart_2ch", "train"), ("heart_4ch", "train")]
    assert len(rows) == 6 and all(row.frame_spacing_mm is None for row in rows)
    reference, _ = load_volume(rows[0].reference)
    assert set(np.unique(reference)) == {0, 2, 3, 4}
    key_frames, _ = load_volume(rows[0].key_frames)
    assert [n for n in range(10) if (key_frames[n] != 255).any()] == [2, 8]


def test_segthy_joins_sides_and_takes_labelled_volumes(tmp_path: Path) -> None:
    write_cohort("segthy", write_segthy(tmp_path / "set"), tmp_path / "segthy.csv", CLASSES, 2)
    rows, _ = read_cohort(tmp_path / "segthy.csv")
    assert len(rows) == 7 and {row.patient for row in rows} == {f"segthy_{n:03d}" for n in range(1, 5)}
    reference, _ = load_volume(rows[0].reference)
    assert set(np.unique(reference)) == {0, 5, 6}  # published: 1 thyroid, 4 carotid artery of one side
    assert {row.view for row in rows} == {"neck_left", "neck_right"}


def no_mask(folder: Path) -> None:
    write_abus(folder)
    (folder / "Train/MASK/MASK_001.nrrd").unlink()


def broken_mask(folder: Path) -> None:
    write_abus(folder)
    (folder / "Train/MASK/MASK_001.nrrd").write_bytes(b"NRRD")


def other_labels(folder: Path) -> None:
    write_abus(folder)
    save(folder / "Train/MASK/MASK_001.nrrd", draw_labels((1, 9)), (0.2, 0.1, 0.5))


def two_lists(folder: Path) -> None:
    write_camus(folder)
    (folder / "database_split/subgroup_testing.txt").write_text("patient0001\n")


def traversal(folder: Path) -> None:
    write_camus(folder)
    (folder / "database_split/subgroup_testing.txt").write_text("../../patient0001\n")


@pytest.mark.parametrize(
    ("layout", "make", "found"),
    [
        ("tdsc_abus", lambda folder: None, "no training volume"),
        ("camus", write_abus, "no such file or folder"),
        ("segthy", write_camus, "no such file or folder"),
        ("busi", write_abus, "layout 'busi'"),
        ("tdsc_abus", no_mask, "no such file or folder"),
        ("tdsc_abus", broken_mask, "not readable as an image volume"),
        ("tdsc_abus", other_labels, "label value(s) 9"),
        ("camus", two_lists, "in two lists"),
        ("camus", traversal, "'../../patient0001'"),
    ],
)
def test_a_wrong_folder_is_one_clear_error_and_writes_nothing(
    tmp_path: Path, layout: str, make: Callable[[Path], object], found: str
) -> None:
    make(tmp_path / "set")
    with pytest.raises(InputError) as caught:
        write_cohort(layout, tmp_path / "set", tmp_path / "out/cohort.csv", CLASSES, 3)
    assert found in caught.value.found and caught.value.remedy
    assert not list((tmp_path / "out").glob("*"))


def test_every_structure_needs_a_value(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks left_atrium"):
        classes = {name: value for name, value in CLASSES.items() if name != "left_atrium"}
        write_cohort("camus", write_camus(tmp_path / "set"), tmp_path / "camus.csv", classes, 2)
