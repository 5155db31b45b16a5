"""A copy of the repository in which the smoke scale has run once; the tests attack it."""

from __future__ import annotations

import os

import pytest
from checkout import Checkout, copy_repository


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The smoke scale, run once from nothing."""
    checkout = copy_repository(tmp_path_factory.mktemp("checkout"))
    checkout.snakemake("--quiet", "rules")
    return checkout


@pytest.fixture
def pristine(smoke: Checkout):
    """The finished smoke run; source and parameter files are put back after the test, with their times."""
    kept = {}
    for pattern in ("params.yaml", "params/**/*", "workflow/**/*", "src/**/*.py"):
        for path in smoke.folder.glob(pattern):
            if path.is_file():
                kept[path] = (path.read_bytes(), path.stat())
    yield smoke
    for path, (content, stat) in kept.items():
        if path.read_bytes() != content:
            path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    smoke.snakemake("--dry-run", "--quiet", "all")
