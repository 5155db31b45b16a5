"""The pages that are kept in Git are those that the files in Git give, and receipts know them."""

from __future__ import annotations

from pathlib import Path

import pytest

from uscl_med3d.core.io import read_json, sha256
from uscl_med3d.core.params import load_job
from uscl_med3d.provenance.regenerate import regenerate
from uscl_med3d.target_pages import TARGETS, build_page
from uscl_med3d.target_pages.targets import PAGE, has_run, list_landed

ROOT = Path(__file__).resolve().parents[3]
SCALES = {"ssl": "phantom", "samus": "phantom", "usgra": "usgra"}
FORGOTTEN = "run the target (it makes only its page), or `uscl-med3d target_page`, and commit the page"


@pytest.fixture(params=sorted(TARGETS))
def landed(request, monkeypatch):
    monkeypatch.chdir(ROOT)
    target, results = TARGETS[request.param], Path("results", SCALES[request.param])
    if not has_run(target, results):
        pytest.skip(f"no results of target {target.name} are here")
    return target, results


def test_page_is_the_one_that_the_files_give(landed, tmp_path):
    target, results = landed
    job = load_job(target.stage, results / f"params/{target.stage}.json")
    build_page(target.name, job, list_landed(target, results), tmp_path / PAGE)
    assert sha256(tmp_path / PAGE) == sha256(results / target.folder / PAGE), FORGOTTEN


def test_rule_hands_over_what_regenerate_finds(landed):
    target, results = landed
    receipt = results / target.folder / "receipts/page.json"
    if not receipt.is_file():
        assert target.name == "usgra"  # whose jobs write no receipts
        return
    files = list_landed(target, results)
    found = {str(path) for path in [*files.tables, *files.figures, *files.curves, *files.receipts]}
    assert set(read_json(receipt)["inputs"]) == found
    assert read_json(receipt)["outputs"] == {
        str(results / target.folder / PAGE): sha256(results / target.folder / PAGE)
    }


def test_a_scale_made_for_a_target_alone_can_be_regenerated(monkeypatch):
    monkeypatch.chdir(ROOT)
    if not has_run(TARGETS["usgra"], Path("results/usgra")):
        pytest.skip("no results of target usgra are here")
    assert regenerate("usgra").same == ["results/usgra/stills/report.html"]
    assert regenerate("usgra").different == []
