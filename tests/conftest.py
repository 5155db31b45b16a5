"""Fixtures for every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with reference tensors and real sample data, which are not part of the repository."""
    folder = Path(os.environ.get("USCL_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"reference data not found at {folder} (set USCL_SHARED to its folder)")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one folder share costly fixtures, so they run in one process (`make test` starts one per core)."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(str(item.path.parent)))
