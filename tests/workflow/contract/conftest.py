"""A repository of its own with finished, versioned and pushed results, which the attacks copy or clone.

The scale is that of workflow/scales/contract.yaml, written into params.yaml and params/foundation/ under the name
`phantom`, so that dvc.yaml, the Makefile and the tools run as they are.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import copy_repository
from repository import SECONDS, Repository, measure, merge


@pytest.fixture(scope="session")
def unmade(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The repository with a local DVC remote, committed before anything has run."""
    folder = tmp_path_factory.mktemp("origin")
    origin = Repository(copy_repository(folder / "work").folder)
    (origin.folder / "dvc.lock").unlink(missing_ok=True)
    values = origin.params()
    for name in ("smoke", "contract"):
        merge(values, yaml.safe_load((origin.folder / f"workflow/scales/{name}.yaml").read_text()))
    values["scale"] = "phantom"
    origin.write_params(values)
    origin.run("git", "init", "--quiet", ".")
    origin.run("dvc", "remote", "add", "--default", "local", str(folder / "remote"))
    origin.commit("Pipeline")
    shutil.copytree(origin.folder, folder / "unmade", symlinks=True)
    return Repository(folder / "unmade")


@pytest.fixture(scope="session")
def finished(unmade: Repository) -> Repository:
    """The same repository after `dvc repro`: results and dvc.lock committed, data pushed. No test changes it."""
    done = Repository(unmade.folder.with_name("work"))
    with measure("full run by `dvc repro`"):
        done.run("dvc", "repro")
    done.commit("Results")
    done.run("dvc", "push", "--quiet")
    return done


@pytest.fixture
def copy(finished: Repository, tmp_path: Path) -> Repository:
    """The finished checkout with all its files and their times, for one test."""
    subprocess.run(["cp", "-a", "--reflink=auto", str(finished.folder), str(tmp_path / "copy")], check=True)
    return Repository(tmp_path / "copy")


@pytest.fixture
def clone(finished: Repository, tmp_path: Path) -> Repository:
    """A fresh clone after `make pull`."""
    subprocess.run(["git", "clone", "--quiet", str(finished.folder), str(tmp_path / "clone")], check=True)
    fresh = Repository(tmp_path / "clone")
    with measure("`make pull` in a fresh clone"):
        fresh.run(*fresh.make("pull"))
    return fresh


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for name, (seconds, processor) in SECONDS.items():
        terminalreporter.write_line(f"{seconds:7.1f} s, {processor:6.1f} s of processors: {name}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.contract)
