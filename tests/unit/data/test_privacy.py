"""Patients' data and Git: what this repository ignores, and the warning for what it does not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from uscl_med3d.data.privacy import find_exposed, warn

ROOT = Path(__file__).resolve().parents[3]


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True)


@pytest.fixture(scope="module")
def checkout() -> Path:
    if git(ROOT, "rev-parse", "--is-inside-work-tree").returncode:
        pytest.skip("not a Git checkout")
    return ROOT


@pytest.mark.parametrize(
    "path",
    [
        "my_cohort/cohort.csv",
        "my_cohort/videos/S001.mp4",
        "my_cohort/key_frames/S001/frame_0012.png",
        "my_cohort.yaml",
        "results/mine/report.html",
        "results/mine/volumes/S001/image.nii.gz",
        "data/splits/mine.csv",
        "data/cohorts/mine.csv",
        "clips/P01.dcm",
        "P01.MP4",
        "x/y/scan.nii.gz",
        "sweep.igs.mha",
    ],
)
def test_own_data_are_ignored(path, checkout):
    assert git(checkout, "-c", "core.ignorecase=true", "check-ignore", "-q", path).returncode == 0


def test_nothing_that_is_kept_is_ignored(checkout):
    assert git(checkout, "ls-files", "-ci", "--exclude-standard").stdout == ""


def test_what_git_does_not_ignore_is_named(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("/safe/\n")
    for folder in ("safe", "patients"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "cohort.csv").write_text("patient\n")
    safe, open_ = tmp_path / "safe/cohort.csv", tmp_path / "patients/cohort.csv"
    assert find_exposed([safe, open_]) == [open_]
    told = warn([safe, open_])
    assert told is not None and "patients/cohort.csv" in told and "git add" in told and "safe" not in told
    assert warn([safe]) is None


def test_outside_a_repository_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "cohort.csv").write_text("patient\n")
    assert find_exposed([tmp_path / "cohort.csv", tmp_path / "not there/x.mp4"]) == []


def test_the_check_before_a_run_warns(tmp_path, monkeypatch, capsys):
    from types import SimpleNamespace

    from uscl_med3d.data import check as module

    git(tmp_path, "init", "-q")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cohort.csv").write_text("patient\n")
    monkeypatch.setattr(module, "list_needed", lambda *_: [])
    monkeypatch.setattr(module, "_check_cohort", lambda *_: [])
    foundation = SimpleNamespace(**{name: SimpleNamespace(weights="shipped") for name in module.BASE_MODELS})
    module.check(
        SimpleNamespace(
            device="cpu", foundation=foundation, methods={}, cohort="cohort.csv", general={}, scale="mine"
        )
    )
    told = capsys.readouterr().err
    assert "cohort.csv" in told and "results/mine" in told and "patients' data" in told
