"""One made-up run for all tests of the report."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from uscl_med3d.report.claims import build_claims, build_cost_claims
from uscl_med3d.report.figures import FigureInputs
from uscl_med3d.report.tables import build_tables, build_training_cost

# Whatever pytest's import mode is, tests here import their helpers by name.
sys.path.insert(0, str(Path(__file__).parent))
import fake_run


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> SimpleNamespace:
    """Job, scores, and every file that tables, figures, claims and the page read."""
    folder = tmp_path_factory.mktemp("run")
    job = fake_run.make_job(folder)
    scores = fake_run.make_scores(job, folder, patients=6)
    made = fake_run.make_volumes(folder)
    info, cost = fake_run.make_costs(job, folder)
    inputs = FigureInputs(
        volumes_dir=made.volumes_dir,
        splits_csv=made.splits_csv,
        pseudolabels_dir=fake_run.make_pseudolabels(folder, made),
        scores=scores,
        curves=fake_run.make_curves(job, folder),
        predictions=fake_run.make_predictions(job, folder, made, ["sam_med3d", "uscl_med3d_r32_both_vcl"]),
    )
    return SimpleNamespace(
        folder=folder, job=job, scores=scores, made=made, info=info, cost=cost, inputs=inputs
    )


@pytest.fixture(scope="session")
def built(run) -> Path:
    """The run's folder with its tables and claims written."""
    build_tables(run.job, run.scores, run.folder / "tables")
    build_training_cost(run.job, run.info, run.cost, run.folder / "tables" / "training_cost.csv")
    build_claims(run.job, run.scores, run.info, run.inputs.pseudolabels_dir, None, run.folder / "claims.csv")
    build_cost_claims(run.job, run.folder / "tables", run.folder / "cost_claims.csv")
    return run.folder
