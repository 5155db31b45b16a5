"""`uscl-med3d import_set`: a published set becomes a cohort table that the scale `public` names."""

from __future__ import annotations

import numpy as np
import SimpleITK
import yaml
from tiny_cohort import PARAMS, ROOT

from uscl_med3d.core import params as parameters
from uscl_med3d.data.cohort import read_cohort


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), str(path))


def write_abus(folder, clips):
    for number, part in ((0, "Train"), (1, "Train"), (100, "Validation"), (130, "Test")):
        label = np.zeros((24, 64, 80), np.uint8)
        label[5:15, 20:40, 24:50] = 1
        save(folder / part / f"DATA/DATA_{number:03d}.nrrd", clips.draw(seed=number))
        save(folder / part / f"MASK/MASK_{number:03d}.nrrd", label)
        (folder / part / "labels.csv").write_text("case_id,label\n")
    return folder


def test_a_set_becomes_a_cohort(tmp_path, clips, run, monkeypatch):
    monkeypatch.chdir(ROOT)
    folder = write_abus(tmp_path / "abus", clips)
    done = run("import_set", "tdsc_abus", folder, "--out", tmp_path / "cohort.csv", "--key-frames", "3")
    assert done.code == 0, done.err
    rows, errors = read_cohort(tmp_path / "cohort.csv")
    assert not errors and len(rows) == 4 and {row.split for row in rows} == {"train", "val", "test"}
    table = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(rows[0].key_frames)))
    assert set(np.unique(table)) == {0, 6, 255} and sum((frame != 255).all() for frame in table) == 3


def test_unknown_sets_and_too_few_key_frames_are_one_message(tmp_path, run, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert "layout 'other'" in run("import_set", "other", tmp_path, "--out", tmp_path / "c.csv").err
    assert (
        "at least 2"
        in run("import_set", "camus", tmp_path, "--out", tmp_path / "c.csv", "--key-frames", "1").err
    )
    monkeypatch.chdir(tmp_path)
    assert "no such file" in run("import_set", "camus", tmp_path, "--out", tmp_path / "c.csv").err


def test_the_scale_public_is_valid_and_keeps_label_values_apart():
    overlay = yaml.safe_load((ROOT / "workflow/scales/public.yaml").read_text())
    params = parameters.validate(
        PARAMS
        | overlay
        | {
            "classes": PARAMS["classes"] | overlay["classes"],
            "gate": PARAMS["gate"] | overlay["gate"],
        },
        "public.yaml",
    )
    assert len(set(params.classes.values())) == len(params.classes) and max(params.classes.values()) < 255
