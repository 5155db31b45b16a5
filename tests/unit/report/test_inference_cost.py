"""The inference cost table, and the claim that is read from it."""

from __future__ import annotations

import fake_run
import pandas as pd
import pytest

from uscl_med3d.core.io import write_json
from uscl_med3d.core.params.files import read_defaults
from uscl_med3d.core.runs import main_run
from uscl_med3d.report.claims.claim import Evidence
from uscl_med3d.report.claims.cost import MEASURED_CLAIMS
from uscl_med3d.report.tables.context import Context
from uscl_med3d.report.tables.inference_cost import NO_CLICKS, NOT_TUNED, build_inference_cost

CLAIM = next(claim for claim in MEASURED_CLAIMS if claim.id == "cost-fastsam3d")


def measured(run: str, **changes) -> dict:
    values = {
        "run": run,
        "method": run,
        "prompt": "clicks",
        "case": "s1",
        "class": "liver",
        "shape_dhw": [8, 9, 10],
        "clicks_per_volume": 1,
        "total_parameters": 1_234_567,
        "trainable_parameters": 1000,
        "encoder_gflop": 4.0,
        "first_click_seconds": 0.5,
        "further_click_seconds": 0.1234567,
        "passes": 3,
        "peak_memory_mb": 512.0,
        "before_loading_mb": 256.0,
        "peak_gpu_memory_mb": None,
        "device": "cpu",
        "threads": 1,
        "torch": "2",
    }
    return values | changes


@pytest.fixture
def table(tmp_path):
    """Everything measured but one method; the folder with the table."""
    methods = read_defaults(fake_run.ROOT)["methods"]
    job = fake_run.make_job(tmp_path, methods=methods)
    files = []
    for name, entry in job.methods.items():
        run = main_run(name, entry)
        changes = {} if entry.trained else {"trainable_parameters": None}
        if entry.prompt in ("key_frames", "none"):
            changes |= {"further_click_seconds": None, "clicks_per_volume": 0}
        if name == "fastsam3d":
            changes |= {"first_click_seconds": 0.25, "encoder_gflop": 1.0}
        if name != "adaptformer":
            files.append(tmp_path / f"{run}.json")
            write_json(files[-1], measured(run, **changes))
    build_inference_cost(job, files, tmp_path / "inference_cost.csv")
    return job, tmp_path


def test_every_method_has_a_row_and_every_gap_a_reason(table):
    job, folder = table
    frame = pd.read_csv(folder / "inference_cost.csv").set_index("method")
    assert list(frame.index) == [entry.label for entry in job.methods.values()]
    assert frame.loc["SAM-Med3D", "peak_memory_gb"] == 0.5
    assert frame.loc["SAM-Med3D", "reason"] == NOT_TUNED
    assert "no measurement" in frame.loc["AdaptFormer", "reason"]
    assert NO_CLICKS in frame.loc["nearest key frame", "reason"]
    shown = ["total_parameters", "trainable_parameters", "first_click_seconds", "further_click_seconds"]
    assert frame.loc[frame[shown].isna().any(axis=1), "reason"].notna().all()


def test_markdown_and_latex_show_numbers_and_reasons(table):
    _, folder = table
    text = (folder / "inference_cost.md").read_text()
    assert "| SAM-Med3D | clicks in the volume | 1 | 1,234,567 | – | 4 | 0.5 | 0.123 | 0.5 |" in text
    note = next(line for line in text.splitlines() if NOT_TUNED in line)
    assert "SAM-Med3D" in note and "FastSAM3D" in note and "full tuning" not in note
    assert "Measured on: cpu, 1 threads." in text
    latex = (folder / "inference_cost.tex").read_text()
    assert r"SAM-Med3D & clicks in the volume & 1 & 1,234,567 & -- & 4 & 0.5 & 0.123 & 0.5 \\" in latex


def test_claim_is_the_ratio_of_the_first_click(table):
    job, folder = table
    decided = CLAIM.examine(Evidence(Context.empty(job), tables_dir=folder))
    assert decided.estimate == 0.5 and decided.verdict == "undecided (one measurement)"
    assert "2.00 times as fast" in decided.why and "4.00 times fewer operations" in decided.why


def test_claim_without_measurement_is_undecided(table, tmp_path):
    job, folder = table
    assert CLAIM.examine(Evidence(Context.empty(job), tables_dir=folder / "nothing")).verdict == "undecided"
    build_inference_cost(job, [], tmp_path / "none" / "inference_cost.csv")
    assert CLAIM.examine(Evidence(Context.empty(job), tables_dir=tmp_path / "none")).verdict == "undecided"
