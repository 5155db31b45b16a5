"""A tiny cohort and tiny general-domain sets, written once for all tests of the stage."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from uscl_med3d.core.params.files import read_defaults
from uscl_med3d.core.params.simulate import Simulate
from uscl_med3d.simulate.cohort import simulate_cohort
from uscl_med3d.simulate.general import simulate_general

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def parameters() -> dict:
    """The values of params.yaml."""
    return read_defaults(ROOT)


@pytest.fixture(scope="session")
def phantom(parameters) -> SimpleNamespace:
    """Job fields at the default scale."""
    section = Simulate.model_validate(parameters["simulate"])
    return SimpleNamespace(
        seed=parameters["seed"], classes=parameters["classes"], cohort=section.cohort, general=section.general
    )


@pytest.fixture(scope="session")
def tiny(phantom) -> SimpleNamespace:
    """The same physics and anatomy, with few patients, few frames far apart, and few small volumes."""
    cohort, general = phantom.cohort.model_dump(), phantom.general.model_dump()
    cohort |= {
        "workers": 1,
        "ascites_share": 1.0,
        "patients": {
            "chest": {"train": 2, "val": 1, "test": 1},
            "abdomen": {"train": 1, "val": 0, "test": 1},
        },
    }
    cohort["acquisition"] |= {"frames": (13, 15), "frame_step_mm": (7.0, 8.0)}
    general |= {"workers": 1, "size": (40, 44), "spacing_mm": (3.8, 4.4)}
    general["sets"] = {name: {"train": 2, "test": 1} for name in general["sets"]}
    section = Simulate.model_validate({"cohort": cohort, "general": general})
    return SimpleNamespace(
        seed=phantom.seed, classes=phantom.classes, cohort=section.cohort, general=section.general
    )


@pytest.fixture(scope="session")
def raw(tiny, tmp_path_factory) -> Path:
    """A written tiny cohort."""
    folder = tmp_path_factory.mktemp("raw")
    simulate_cohort(tiny, folder)
    return folder


@pytest.fixture(scope="session")
def sets(tiny, tmp_path_factory) -> Path:
    """Written tiny general-domain sets."""
    folder = tmp_path_factory.mktemp("general")
    simulate_general(tiny, folder)
    return folder
