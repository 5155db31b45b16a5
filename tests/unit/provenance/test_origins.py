"""What audit, trace and compare say of the code, the kernels and the libraries that made results."""

from __future__ import annotations

import json

import pytest

from uscl_med3d.core.receipts import describe_code, write_receipt
from uscl_med3d.provenance.origins import compare_origins, count_modules, list_notes

KERNELS = {"mode": "native", "torch": "AVX512"}


def receipt(**changes):
    return {
        "verb": "finetune",
        "params": {"seed": 1},
        "inputs": {},
        "outputs": {},
        "code": describe_code(),
        "numerics": KERNELS,
        "python": "3.11.7",
        "libraries": {"torch": "2.13.0"},
    } | changes


@pytest.fixture
def scale(tmp_path, monkeypatch):
    """Writes the receipts of a scale below the working folder: name of a job -> receipt."""
    monkeypatch.chdir(tmp_path)

    def write(name, receipts):
        for job, content in receipts.items():
            path = tmp_path / f"results/{name}/receipts/{job}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        return tmp_path / f"results/{name}"

    return write


def test_differences_are_named_once(scale):
    jobs = ("finetune/a", "finetune/b")
    first = scale("first", {job: receipt() for job in jobs})
    other = receipt(numerics={"mode": "native", "torch": "AVX2"}, libraries={"torch": "2.12.0"})
    second = scale("second", {job: other for job in jobs})
    assert compare_origins(first, second) == ["numerics, torch: AVX512 | AVX2", "torch: 2.13.0 | 2.12.0"]
    assert compare_origins(first, first) == []
    assert compare_origins(first, first.parent / "nowhere") == []


def test_other_code_is_named(scale):
    first = scale("first", {"finetune/a": receipt()})
    code = describe_code() | {"sha256": "0" * 64}
    second = scale("second", {"finetune/a": receipt(code=code)})
    assert compare_origins(first, second) == ["code: jobs of the same name were made by other modules"]
    assert list_notes("first") == ["numerics, mode: native"]
    assert list_notes("second")[0] == "1 of 1 receipts are of other code than the present: finetune/a"


def test_receipts_of_earlier_versions_are_read(scale):
    """They hold a number of modules, and no kernels."""
    old = receipt(code={"modules": 102, "sha256": "0" * 64})
    del old["numerics"]
    scale("old", {f"finetune/{number}": old for number in range(8)})
    notes = list_notes("old")
    assert notes[0].startswith("8 of 8 receipts do not name their modules: finetune/0, ")
    assert notes[0].endswith(" and 2 more") and notes[1:] == ["numerics, mode: not recorded"]
    assert count_modules(old) == 102


def test_jobs_of_several_machines_are_named(scale):
    other = receipt(numerics={"mode": "native", "torch": "AVX2"})
    scale("mixed", {"finetune/a": receipt(), "finetune/b": other})
    assert "numerics, torch: AVX2, AVX512 (not all jobs alike)" in list_notes("mixed")


def test_a_receipt_has_kernels_and_modules(tmp_path):
    params = tmp_path / "job.json"
    params.write_text("{}")
    write_receipt(tmp_path / "receipt.json", "finetune", params, [], [])
    written = json.loads((tmp_path / "receipt.json").read_text())
    assert written["numerics"]["mode"] == "native"
    assert "core.receipts" in written["code"]["modules"]
