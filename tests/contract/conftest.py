"""The tiny cohort of `tests/tiny_cohort.py`, and base weights of every kind, trained for a step or two."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from tiny_cohort import Cohort, cohort, make_job, tiny_job

from uscl_med3d.core.params.foundation import BASE_MODELS

__all__ = ["cohort", "make_job"]


@pytest.fixture(scope="session")
def base_weights(
    cohort: Cohort, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str | None], Path | None]:
    """Key of a base model -> its weights, made once."""
    folder = tmp_path_factory.mktemp("bases")

    def weights(name: str | None) -> Path | None:
        if name is None:
            return None
        if name == "sam_med3d":
            return cohort.base
        path = folder / f"{name}.safetensors"
        if not path.exists():
            needs = BASE_MODELS[name]
            train = import_module(f"uscl_med3d.foundation.{name}").train
            general = cohort.general if needs.general else {}
            train(
                tiny_job(f"foundation_{name}"), general, weights(needs.teacher), path, folder / f"{name}.csv"
            )
        return path

    return weights
