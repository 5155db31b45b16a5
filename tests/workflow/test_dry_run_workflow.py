"""A dry run of any scale changes no file, not even its time."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkout import copy_repository

pytestmark = pytest.mark.workflow


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file but Snakemake's own notes and compiled modules."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not {".snakemake", "__pycache__"} & set(path.parts)
    }


@pytest.mark.parametrize("scale", ["smoke", "study"])
def test_a_dry_run_writes_nothing(scale, tmp_path):
    checkout = copy_repository(tmp_path)
    old = tmp_path / f"results/{scale}/params/all.json"
    old.parent.mkdir(parents=True)
    old.write_text("of an older run\n")
    before = listing(tmp_path)
    assert checkout.planned(scale=f"workflow/scales/{scale}.yaml")
    assert listing(tmp_path) == before
