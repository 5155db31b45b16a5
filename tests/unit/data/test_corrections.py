"""Corrected frames: more prompts, never a way into the scores, and only their own sweep is converted again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from raw_files import Cohort, draw_mask, write_mask

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.ingest import ingest
from uscl_med3d.data.sweeps import load_sweep


def run(cohort: Cohort, job, out: Path, store: Path | None = None) -> None:
    ingest(job, cohort.save(), out / "volumes", out / "splits.csv", out / "failures.csv", store)


def roles(out: Path, sweep: str = "a") -> dict[int, str]:
    return {key["frame"]: key["role"] for key in load_sweep(out / "volumes", sweep).sidecar["key_frames"]}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def corrected(cohort: Cohort) -> Cohort:
    """Sweep a (train) with key frames 1, 4, 6, 8 and the folder `redrawn` for corrections; sweep b (test)."""
    cohort.add("a", split="train", corrections="redrawn")
    cohort.add("b", split="test")
    return cohort


def redraw(cohort: Cohort, frame: int, value: int = 4) -> None:
    write_mask(cohort.folder / "redrawn", frame, draw_mask(value))


def test_a_correction_is_one_more_prompt_and_moves_no_role(
    cohort: Cohort, corrected, make_job, tmp_path
) -> None:
    cohort.rows[0]["corrections"] = ""
    run(cohort, make_job(), tmp_path / "before")
    before = roles(tmp_path / "before")
    cohort.rows[0]["corrections"] = "redrawn"
    # Many corrections around it: the frame that is held out stays the same.
    for frame in (0, 2, 3, 5, 7, 9):
        redraw(cohort, frame)
    run(cohort, make_job(), tmp_path / "after")
    assert roles(tmp_path / "after") == before | dict.fromkeys((0, 2, 3, 5, 7, 9), "correction")
    sweep = load_sweep(tmp_path / "after/volumes", "a")
    assert set(np.unique(sweep.key_frames[5])) == {0, 4}
    assert sweep.sidecar["key_frames_not_used"] == []


def test_a_correction_replaces_the_prompt_of_its_frame(corrected, make_job, tmp_path) -> None:
    redraw(corrected, 8)
    run(corrected, make_job(), tmp_path)
    assert roles(tmp_path)[8] == "correction"
    sweep = load_sweep(tmp_path / "volumes", "a")
    assert set(np.unique(sweep.key_frames[8])) == {0, 4}
    assert sweep.sidecar["key_frames_not_used"] == [
        {"frame": 8, "reason": "replaced by the correction of frame 8"}
    ]


def test_a_correction_may_say_that_nothing_is_there(corrected, make_job, tmp_path) -> None:
    redraw(corrected, 2, value=0)
    run(corrected, make_job(), tmp_path)
    assert roles(tmp_path)[2] == "correction"
    assert not load_sweep(tmp_path / "volumes", "a").key_frames[2].any()


def test_a_held_out_frame_cannot_be_corrected_in_any_voxel_it_shares(corrected, make_job, tmp_path) -> None:
    redraw(corrected, 2)
    for frames in (64, 5):
        out = tmp_path / str(frames)
        job = make_job(max_frames=frames)
        run(corrected, job, out)
        held_out = next(frame for frame, role in roles(out).items() if role == "held_out")
        # With five voxels along d each holds two frames: the neighbour would lie over the held-out mask.
        frame = held_out if frames == 64 else held_out ^ 1
        redraw(corrected, frame)
        with pytest.raises(InputError, match=f"a correction of frame {frame}.*held out"):
            run(corrected, job, out)
        (corrected.folder / f"redrawn/frame_{frame:04d}.png").unlink()


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        ({"split": "test", "patient": "p_x"}, "corrections of the test sweep a"),
        ({"key_frames": ""}, "corrections is 'redrawn'"),
        ({"corrections": "nowhere"}, "no such folder"),
    ],
)
def test_corrections_that_make_no_sense_are_refused(corrected, make_job, tmp_path, cells, found) -> None:
    redraw(corrected, 2)
    corrected.rows[0] |= cells
    with pytest.raises(InputError, match=found):
        run(corrected, make_job(), tmp_path)


def test_a_correction_of_another_size_is_named(corrected, make_job, tmp_path) -> None:
    write_mask(corrected.folder / "redrawn", 2, np.zeros((10, 10)))
    with pytest.raises(InputError, match=r"redrawn/frame_0002\.png"):
        run(corrected, make_job(), tmp_path)


def test_one_correction_converts_one_sweep_again(corrected, make_job, tmp_path, capfd) -> None:
    corrected.rows[0]["corrections"] = ""
    corrected.add("c", split="val")

    def log(name: str, **settings) -> str:
        capfd.readouterr()
        run(corrected, make_job(**settings), tmp_path / name, tmp_path / "store")
        return capfd.readouterr().err

    assert "ingest: 3 of 3 sweeps computed, 0 unchanged" in log("first")
    assert "ingest: 0 of 3 sweeps computed, 3 unchanged" in log("second", workers=2)
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    redraw(corrected, 2)
    corrected.rows[0]["corrections"] = "redrawn"
    assert "ingest: 1 of 3 sweeps computed, 2 unchanged" in log("third")
    assert "ingest: 0 of 3 sweeps computed, 3 unchanged" in log("fourth")
    redraw(corrected, 2, value=5)
    assert "ingest: 1 of 3 sweeps computed, 2 unchanged" in log("fifth")
    run(corrected, make_job(), tmp_path / "without")
    assert contents(tmp_path / "fifth") == contents(tmp_path / "without")
    assert "ingest: 3 of 3 sweeps computed" in log("sixth", spacing_mm=3.0)
    assert len(list((tmp_path / "store").iterdir())) == 3
