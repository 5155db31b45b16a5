"""What every table of the registry must look like: independent checks rely on these names."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from uscl_med3d.core.reporting import TABLES as PLANNED
from uscl_med3d.report.reported import FOLDER, load_reported
from uscl_med3d.report.tables import TABLES, build_tables
from uscl_med3d.report.tables.layout import value_column

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "report"))
import fake_run

KEYS = {
    "table1": ["method", "points", "class"],
    "table2": ["method", "dataset", "points"],
    "table3": ["tuned_modules", "vcl_head"],
    "table4": ["method", "dataset"],
    "table5": ["rank", "tuned_modules"],
    "table6": ["reference", "method", "class"],
    "table7": ["method", "measure"],
}
VALUES = [
    "dice",
    "ci_low",
    "ci_high",
    "n_patients",
    "n_cases",
    "volume_clicks",
    "reported",
    "reason",
    "image_use",
    "below",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("contract")
    job = fake_run.make_job(root)
    build_tables(job, fake_run.make_scores(job, root, patients=3), root / "tables")
    return root / "tables"


def test_the_workflow_knows_every_table():
    assert set(PLANNED) == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_columns_are_the_keys_and_then_the_values(folder, name):
    own = [value_column(TABLES[name]), *VALUES[1:]]
    assert list(pd.read_csv(folder / f"{name}.csv").columns) == KEYS[name] + own


@pytest.mark.parametrize("name", TABLES)
def test_one_row_per_cell_and_every_reported_cell_in_its_place(folder, name):
    table, paper = pd.read_csv(folder / f"{name}.csv"), load_reported(name)
    assert not table.duplicated(KEYS[name]).any()
    merged = paper.merge(table, on=KEYS[name], how="left", suffixes=("_paper", ""))
    assert (merged["reported"] == merged["reported_paper"]).all()


@pytest.mark.parametrize("name", TABLES)
def test_a_cell_has_a_number_or_a_reason(folder, name):
    table, value = pd.read_csv(folder / f"{name}.csv"), value_column(TABLES[name])
    assert (table[value].notna() | table["reason"].notna()).all()
    scored = table[table[value].notna()]
    assert len(scored)
    assert scored[value].between(0, 100).all()
    assert (scored["ci_low"] <= scored[value]).all() and (scored[value] <= scored["ci_high"]).all()
    assert (scored[["n_patients", "n_cases"]] > 0).all(axis=None)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("suffix", ["md", "tex"])
def test_the_other_forms_lie_beside(folder, name, suffix):
    assert (folder / f"{name}.{suffix}").stat().st_size > 200


def test_reported_values_are_those_of_the_reference_files(shared):
    for path in sorted((shared / "paper").glob("*.csv")):
        assert (FOLDER / path.name).read_bytes() == path.read_bytes()
