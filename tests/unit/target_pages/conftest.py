"""Fixtures: a copy of what is kept in Git of each target, which tests may change, and its page."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from uscl_med3d.core.params import load_job
from uscl_med3d.target_pages import TARGETS, build_page
from uscl_med3d.target_pages.targets import has_run, list_landed

ROOT = Path(__file__).resolve().parents[3]
SCALES = {"ssl": "phantom", "samus": "phantom", "usgra": "usgra"}


class Copy:
    """What is kept of a target, below a folder of the test's own."""

    def __init__(self, name: str) -> None:
        self.target, self.results = TARGETS[name], Path("results", SCALES[name])

    def table(self, name: str) -> Path:
        return (self.results / self.target.main).parent / f"{name}.csv"

    def change(self, name: str, change: Callable[[pd.DataFrame], None]) -> None:
        """Change a table in place."""
        found = pd.read_csv(self.table(name))
        change(found)
        found.to_csv(self.table(name), index=False)

    def summary(self) -> str:
        return self.target.summarise(list_landed(self.target, self.results))

    def page(self) -> str:
        job = load_job(self.target.stage, self.results / f"params/{self.target.stage}.json")
        out = Path("made.html")
        build_page(self.target.name, job, list_landed(self.target, self.results), out)
        return out.read_text(encoding="utf-8")


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Callable[[str], Copy]:
    """A copy of a target's files under their own paths, in a folder that is now the current one."""
    monkeypatch.chdir(tmp_path)

    def make(name: str) -> Copy:
        there = ROOT / "results" / SCALES[name]
        target = TARGETS[name]
        if not has_run(target, there):
            pytest.skip(f"no results of target {name} are here")
        parts = {f"params/{target.stage}.json", target.folder, target.main}
        for part in sorted(parts):
            source, goal = there / part, Path("results", SCALES[name], part)
            goal.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(
                    source, goal, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.parquet", "*.gz")
                )
            else:
                shutil.copy(source, goal)
        return Copy(name)

    return make
