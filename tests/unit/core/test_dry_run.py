"""A dry run leaves every file as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from uscl_med3d.core.dry_run import is_dry, remember


@pytest.mark.parametrize(
    ("arguments", "dry"),
    [
        (["snakemake", "-n"], True),
        (["snakemake", "--cores", "2", "--dry-run", "--quiet"], True),
        (["snakemake", "--dryrun"], True),
        (["snakemake", "-np"], True),
        (["snakemake", "--cores", "2", "--notemp", "-p"], False),
        (["snakemake", "--cores", "2", "--configfile", "mine.yaml"], False),
        (["snakemake", "all", "nothing-n"], False),
    ],
)
def test_dry_runs_are_told_by_their_arguments(arguments, dry):
    assert is_dry(arguments) == dry


def listing(folder: Path) -> dict[str, tuple[bytes, int]]:
    found = {}
    for path in folder.rglob("*"):
        folder_itself = path.is_dir()
        content = (b"", 0) if folder_itself else (path.read_bytes(), path.stat().st_mtime_ns)
        found[str(path.relative_to(folder))] = content
    return found


def test_everything_is_put_back(tmp_path):
    params = tmp_path / "results/mine/params"
    (params / "evaluate").mkdir(parents=True)
    for name in ("all.json", "evaluate/a.json", "evaluate/gone.json"):
        (params / name).write_text(name)
        os.utime(params / name, ns=(10**18, 10**18))
    (tmp_path / "results/other").mkdir()
    before = listing(tmp_path)
    restore = remember([params, tmp_path / "results/mine/inputs", tmp_path / "results/mine/.store/hashes"])
    (params / "all.json").write_text("changed")
    (params / "evaluate/gone.json").unlink()
    os.utime(params / "evaluate/a.json")
    (params / "figure").mkdir()
    (params / "figure/new.json").write_text("new")
    (tmp_path / "results/mine/inputs").mkdir()
    (tmp_path / "results/mine/inputs/cohort.json").write_text("{}")
    assert listing(tmp_path) != before
    restore()
    assert listing(tmp_path) == before


def test_a_scale_that_was_never_run_leaves_no_folder(tmp_path):
    restore = remember([tmp_path / "results/new/params"])
    (tmp_path / "results/new/params").mkdir(parents=True)
    (tmp_path / "results/new/params/all.json").write_text("{}")
    restore()
    assert list(tmp_path.iterdir()) == []


def test_what_others_wrote_meanwhile_stays(tmp_path):
    restore = remember([tmp_path / "results/new/params"])
    (tmp_path / "results/new/params").mkdir(parents=True)
    (tmp_path / "results/new/log.txt").write_text("of another program")
    restore()
    assert [path.name for path in (tmp_path / "results/new").iterdir()] == ["log.txt"]
