"""Fixtures of the stage `ingest`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from raw_files import CLASSES, SETTINGS, Cohort

from uscl_med3d.core.params.ingest import Ingest


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    return Cohort(tmp_path / "raw")


@pytest.fixture
def make_job() -> Callable[..., SimpleNamespace]:
    """A job of the stage, with changed settings."""

    def make(seed: int = 7, **changes: Any) -> SimpleNamespace:
        return SimpleNamespace(seed=seed, classes=CLASSES, ingest=Ingest(**(SETTINGS | changes)))

    return make
