"""The stage that makes the contact sheets of a whole cohort, as the workflow calls it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from uscl_med3d.cli import main
from uscl_med3d.core.io import write_json
from uscl_med3d.core.params import slice_job, validate
from uscl_med3d.core.params.files import overlay, read_defaults

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
from raw_files import Cohort

ROOT = Path(__file__).resolve().parents[3]
OWN = {"scale": "mine", "cohort": "cohort.csv", "classes": {"nerve": 1, "vessel": 3}}


def test_every_sweep_has_a_sheet_or_a_reason(tmp_path: Path) -> None:
    cohort = Cohort(tmp_path / "in")
    cohort.add("a")
    cohort.add("b", key_frames="")
    cohort.add("c")
    (tmp_path / "in/videos/c.mp4").write_bytes(b"no video" * 99)
    job = slice_job(validate(overlay(read_defaults(ROOT), OWN), "mine"), "ingest_sheets")
    assert set(job) == {"numerics", "classes", "fan"}
    write_json(tmp_path / "job.json", job)
    out, receipt = tmp_path / "sheets", tmp_path / "receipt.json"
    options = {"params": tmp_path / "job.json", "receipt": receipt, "cohort": cohort.save(), "sheets": out}
    assert (
        main(["ingest_sheets", *(word for key, path in options.items() for word in (f"--{key}", str(path)))])
        == 0
    )
    first, second, third = json.loads((out / "sheets.json").read_text())
    assert first["contact_sheet"] == "a.png" and list(first["key_frames"]) == ["1", "4", "6", "8"]
    assert set(first["key_frames"]["4"]) == {"vessel"} and not first["errors"]
    assert second["contact_sheet"] == "b.png" and second["key_frames"] == {}
    assert third["contact_sheet"] is None and third["errors"][0]["remedy"]
    assert {path.name for path in out.iterdir()} == {"a.png", "b.png", "sheets.json"}
    assert str(out) in json.loads(receipt.read_text())["outputs"]


def test_the_same_cohort_gives_the_same_bytes(tmp_path: Path) -> None:
    from uscl_med3d.core.params import load_job
    from uscl_med3d.core.receipts import hash_tree
    from uscl_med3d.user.sheets import write_sheets

    cohort = Cohort(tmp_path / "in")
    cohort.add("a")
    write_json(
        tmp_path / "job.json", slice_job(validate(overlay(read_defaults(ROOT), OWN), "mine"), "ingest_sheets")
    )
    job = load_job("ingest_sheets", tmp_path / "job.json")
    for name in ("one", "two"):
        write_sheets(job, cohort.save(), tmp_path / name)
    assert hash_tree(tmp_path / "one") == hash_tree(tmp_path / "two")
    cohort.rows[0]["key_frames"] = ""
    write_sheets(job, cohort.save(), tmp_path / "three")
    assert hash_tree(tmp_path / "three") != hash_tree(tmp_path / "one")
