"""What `view` opens: names of results beside an input, and the sweeps of a cohort with what is to be looked at."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import save_volume, write_json, write_text
from uscl_med3d.view.desk import Desk
from uscl_med3d.view.items import of_cohort, one_file

HEAD = "patient,sweep,group,view,video,split,key_frames,corrections\n"
GRID = {
    "frame_step": 2.0,
    "frame_size": 12,
    "h_start_px": 4.0,
    "h_step_px": 4.0,
    "h_size": 15,
    "w_start_px": 10.0,
    "w_step_px": 4.0,
    "w_size": 15,
}


def test_names_beside_an_input(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, stem in (("a.nii.gz", "a"), ("b.x.mp4", "b.x"), ("c.igs.mha", "c"), ("d.dcm", "d")):
        Path(name).touch()
        (item,) = one_file(Path(name), None, None, None, None)
        assert (str(item.output), str(item.session)) == (f"{stem}_mask.nii.gz", f"{stem}_mask.session.json")
        assert str(item.target.folder) == f"{stem}_key_frames" and item.title == name
    (item,) = one_file(Path("d.dcm"), Path("out/liver.nrrd"), None, Path("keys"), (0.3, 0.2))
    assert (str(item.session), str(item.target.folder)) == ("out/liver.session.json", "keys")
    with pytest.raises(InputError, match="suffix"):
        one_file(Path("d.dcm"), Path("mask.png"), None, None, None)
    with pytest.raises(InputError, match="no such file"):
        one_file(Path("e.dcm"), None, None, None, None)


@pytest.fixture
def cohort(tmp_path, monkeypatch, clip, write_volume):
    """A cohort of three sweeps, of which the scale `mine` has pseudo-labels of the second."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "cohort"
    folder.mkdir()
    for name in ("one", "two", "three"):
        write_volume(folder / f"{name}.nii.gz", clip)
    (folder / "keys").mkdir()
    write_text(
        folder / "cohort.csv",
        HEAD
        + (
            "p1,one,abdomen,abdomen_right,one.nii.gz,train,,\n"
            "p2,two,abdomen,abdomen_right,two.nii.gz,train,keys,\n"
            "p3,three,abdomen,abdomen_right,three.nii.gz,test,keys,\n"
        ),
    )
    results = tmp_path / "results/mine"
    write_json(
        results / "volumes/two/sidecar.json",
        {
            "source": "two.nii.gz",
            "split": "train",
            "grid": GRID,
            "source_shape": [24, 64, 80],
            "key_frames": [{"index": 2, "role": "prompt"}, {"index": 9, "role": "held_out"}],
        },
    )
    write_json(results / "params/all.json", {"classes": {"liver": 3, "kidney": 5}})
    labels = np.zeros((12, 15, 15), np.uint8)
    labels[3:8, 4:9, 5:10] = 3
    save_volume(results / "pseudolabels/review/two.nii.gz", labels, (1.0, 1.0, 1.0))
    frames = [
        "sweep,patient,frame,accepted",
        "two,p2,4,False",
        "two,p2,5,True",
        "two,p2,6,False",
        "two,p2,9,False",
    ]
    write_text(results / "pseudolabels/frames.csv", "\n".join([*frames, "one,p1,4,False"]) + "\n")
    return folder / "cohort.csv"


def test_sweeps_of_a_cohort_and_where_their_key_frames_go(cohort):
    one, two, three = of_cohort(cohort, None, "mine")
    assert one.target.folder == cohort.parent / "key_frames/one" and "key_frames/one" in one.target.hint
    assert two.target.folder == cohort.parent / "corrections/two" and not two.target.refused
    assert "test sweep" in three.target.refused
    assert one.output == cohort.parent / "cohort_masks/one.nii.gz"
    assert one.flagged == () and one.proposals is None
    assert two.flagged == (9, 13)  # the middles of the rejected voxels; the held-out one is not shown
    assert two.target.held_out == {18, 19}


def test_pseudo_labels_are_there_to_correct_and_a_correction_is_written(cohort, ball):
    desk = Desk(of_cohort(cohort, None, "mine"), ball, [], lambda _: ball, False)
    assert desk.describe()["items"] == ["one", "two", "three"] and not desk.session.steps
    desk.open(1)
    labels = desk.session.labels()
    assert set(np.unique(labels)) == {0, 3} and not desk.session.can_undo
    frames, rows, columns = (np.unique(axis) for axis in np.nonzero(labels))
    assert (
        (frames[0], frames[-1]) == (6, 15)
        and (rows[0], rows[-1]) == (20, 39)
        and (columns[0], columns[-1]) == (30, 49)
    )
    desk.session.click((40, 30, 9), 0, "liver")
    desk.changed()
    written = json.dumps(desk.save_key_frame(9, overwrite=False))
    assert "corrections/two" in written and (cohort.parent / "corrections/two/frame_0009.png").is_file()
    with pytest.raises(ValueError, match="scores the pseudo-labels"):
        desk.save_key_frame(18, overwrite=False)
    desk.open(2)
    desk.session.click((40, 30, 9), 1, "liver")
    with pytest.raises(ValueError, match="test sweep"):
        desk.save_key_frame(9, overwrite=False)
    desk.open(1)
    assert len(desk.session.steps) == 2  # the session went on
    before = desk.session.labels()
    desk.items[0].session.write_text("{}")
    with pytest.raises(InputError):
        desk.open(0)
    assert desk.index == 1 and len(desk.session.steps) == 2
    np.testing.assert_array_equal(desk.session.labels(), before)


def test_a_table_that_does_not_parse_is_one_message(tmp_path):
    write_text(tmp_path / "cohort.csv", "patient,sweep\np,s\n")
    with pytest.raises(InputError, match="columns"):
        of_cohort(tmp_path / "cohort.csv", None, "mine")
