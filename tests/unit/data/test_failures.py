"""Sweeps that cannot be used: left out, listed, and the reason why a run is not complete."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from raw_files import Cohort

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json
from uscl_med3d.data.failures import COLUMNS, confirm_complete, read_failures
from uscl_med3d.data.ingest import ingest
from uscl_med3d.data.splits import read_splits


@pytest.fixture
def six(cohort: Cohort) -> Cohort:
    """Six patients whose splits are assigned."""
    for name in "abcdef":
        cohort.add(name)
    return cohort


def run(cohort: Cohort, job, out: Path) -> None:
    ingest(job, cohort.save(), out / "volumes", out / "splits.csv", out / "failures.csv")


def truncate(cohort: Cohort, sweep: str) -> None:
    path = cohort.folder / f"videos/{sweep}.mp4"
    path.write_bytes(path.read_bytes()[:500])


def sweeps_of(out: Path, split: str) -> list[str]:
    table = read_splits(out / "splits.csv")
    return sorted(table.loc[table["split"] == split, "sweep"])


def test_the_others_are_processed_and_keep_their_split(six: Cohort, make_job, tmp_path, capfd) -> None:
    run(six, make_job(), tmp_path / "whole")
    assert read_failures(tmp_path / "whole/failures.csv").empty
    assert (tmp_path / "whole/failures.csv").read_text() == ",".join(COLUMNS) + "\n"
    bad = sweeps_of(tmp_path / "whole", "train")[0]
    truncate(six, bad)
    capfd.readouterr()
    run(six, make_job(bad_sweeps="leave_out", workers=2), tmp_path / "out")
    log = capfd.readouterr().err
    assert f"sweep {bad} is left out" in log and "remedy" in log
    assert "ingest: 5 of 6 sweeps computed, 0 unchanged, 1 left out" in log
    before, after = (read_splits(tmp_path / name / "splits.csv") for name in ("whole", "out"))
    pd.testing.assert_frame_equal(before[before["sweep"] != bad].reset_index(drop=True), after)
    assert (
        not (tmp_path / "out/volumes" / bad).exists() and len(list((tmp_path / "out/volumes").iterdir())) == 5
    )
    (row,) = read_failures(tmp_path / "out/failures.csv").to_dict("records")
    assert (row["sweep"], row["patient"], row["split"]) == (bad, f"p_{bad}", "train")
    assert row["file"].endswith(f"{bad}.mp4") and row["found"] and row["expected"] and row["remedy"]


def test_a_run_is_complete_only_with_all_sweeps(six: Cohort, make_job, tmp_path) -> None:
    def confirm(out: Path) -> None:
        confirm_complete(out / "failures.csv", out / "splits.csv", out / "complete.json")

    run(six, make_job(bad_sweeps="leave_out"), tmp_path / "whole")
    confirm(tmp_path / "whole")
    assert read_json(tmp_path / "whole/complete.json") == {"sweeps_used": 6, "sweeps_left_out": 0}
    bad = sweeps_of(tmp_path / "whole", "train")[0]
    truncate(six, bad)
    run(six, make_job(bad_sweeps="leave_out"), tmp_path / "out")
    with pytest.raises(InputError, match=f"1 of 6 sweeps left out: {bad}") as caught:
        confirm(tmp_path / "out")
    assert f"{bad}.mp4" in str(caught.value) and not (tmp_path / "out/complete.json").exists()


@pytest.mark.parametrize("kind", ["all", "a split", "labels", "table"])
def test_a_cohort_that_cannot_do_without_them_stops(six: Cohort, make_job, tmp_path, kind: str) -> None:
    job = make_job(bad_sweeps="leave_out")
    run(six, job, tmp_path / "whole")
    if kind == "all":
        bad, found = list("abcdef"), "no usable sweep in the cohort"
    elif kind == "a split":
        bad, found = sweeps_of(tmp_path / "whole", "val"), "no usable sweep in the split 'val'"
    elif kind == "labels":
        bad, found = (
            sweeps_of(tmp_path / "whole", "train")[:1],
            "no usable sweep in the split 'train' with key frames",
        )
        for row in six.rows:
            row["key_frames"] = row["key_frames"] if row["sweep"] in bad else ""
    else:
        bad, found = ["a"], "one row per sweep id"
        six.rows[1]["sweep"] = "c"
    for name in bad:
        truncate(six, name)
    with pytest.raises(InputError) as caught:
        run(six, job, tmp_path / "out")
    assert found in str(caught.value)
    assert all(f"{name}.mp4" in str(caught.value) for name in bad)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_a_broken_list_is_named(tmp_path) -> None:
    (tmp_path / "failures.csv").write_text("sweep\n")
    for name in ("failures.csv", "none.csv"):
        with pytest.raises(InputError, match=name):
            read_failures(tmp_path / name)
