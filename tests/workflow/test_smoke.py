"""The whole pipeline at the smallest scale, and what the tools promise about it."""

from __future__ import annotations

import csv
import hashlib

import pytest
import yaml

from uscl_med3d.core.params.files import overlay, read_defaults
from uscl_med3d.core.params.foundation import BASE_MODELS
from uscl_med3d.core.plan import Plan

pytestmark = pytest.mark.workflow

KEYS = {
    1: ["method", "points", "class"],
    2: ["method", "dataset", "points"],
    3: ["tuned_modules", "vcl_head"],
    4: ["method", "dataset"],
    5: ["rank", "tuned_modules"],
}
VALUES = ["dice", "ci_low", "ci_high", "n_patients", "n_cases", "volume_clicks", "reported", "reason"]


@pytest.mark.parametrize("number", KEYS)
def test_tables_have_the_documented_columns_and_no_silent_gap(smoke, number):
    folder = smoke.folder / "results/smoke/tables"
    for suffix in ("md", "tex"):
        assert (folder / f"table{number}.{suffix}").stat().st_size > 0
    with open(folder / f"table{number}.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0])[: len(KEYS[number])] == KEYS[number]
    assert list(rows[0])[len(KEYS[number]) :][: len(VALUES)] == VALUES
    for row in rows:
        assert row["dice"] or row["reason"], row
    assert any(row["dice"] for row in rows)


@pytest.mark.parametrize("number", range(1, 7))
def test_figures_exist(smoke, number):
    for suffix, magic in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        data = (smoke.folder / f"results/smoke/figures/fig{number}.{suffix}").read_bytes()
        assert data.startswith(magic) and len(data) > 2000


def test_report_and_claims_exist(smoke):
    page = (smoke.folder / "results/smoke/report.html").read_text()
    assert "<html" in page and 'src="http' not in page and 'href="http' not in page
    with open(smoke.folder / "results/smoke/claims.csv", newline="") as stream:
        verdicts = [row["verdict"] for row in csv.DictReader(stream)]
    assert len(verdicts) >= 15


def test_second_run_does_nothing(smoke):
    assert smoke.planned() == {}


def test_parameters_of_one_run_rerun_that_run_only(pristine):
    pristine.edit("workflow/scales/smoke.yaml", "ranks: [8, 32]", "ranks: [8, 16, 32]")
    jobs = pristine.planned()
    assert jobs.pop("pretrain") == 1
    # Other ranks than the main one are trained for the modules of `sweep_modules`: both together.
    assert jobs.pop("finetune") == jobs.pop("evaluate") == 1
    assert set(jobs) == {
        "all",
        "gate",
        "image_use_table",
        "tables",
        "training_cost",
        "inference_cost",
        "claims",
        "cost_claims",
        "figure",
        "html",
        "complete",
        "run_cost",
    }


def test_source_edit_reruns_only_rules_that_import_it(pristine):
    with open(pristine.folder / "src/uscl_med3d/report/claims/build.py", "a") as stream:
        stream.write("\n# a remark\n")
    assert set(pristine.planned()) == {"all", "claims", "cost_claims", "html", "complete", "run_cost"}


def test_unknown_parameter_is_named(pristine):
    pristine.edit("params.yaml", "\nthreads: 1", "\nthread: 1")
    message = pristine.snakemake("--dry-run", ok=False)
    assert "thread: Extra inputs" in message and "threads: Field required" in message


def test_paper_scale_has_a_complete_dag(smoke):
    jobs = smoke.planned(scale="workflow/scales/paper.yaml")
    changes = yaml.safe_load((smoke.folder / "workflow/scales/paper.yaml").read_text())
    plan = Plan(overlay(read_defaults(smoke.folder), changes))
    assert jobs["finetune"] == len(plan.trained) and jobs["pretrain"] == len(plan.pretrainings)
    assert jobs["evaluate"] == len(plan.runs) and jobs["foundation"] == len(BASE_MODELS)


def test_paper_scale_says_what_to_put_where_before_any_work(smoke):
    message = smoke.snakemake(scale="workflow/scales/paper.yaml", ok=False)
    for name in ("sam_med3d_turbo.pth", "seggpt", "data/external"):
        assert name in message
    assert not (smoke.folder / "results/paper/volumes").exists()


def test_a_table_is_rebuilt_byte_for_byte(smoke):
    folder = smoke.folder / "results/smoke"
    files = [
        *sorted((folder / "tables").glob("table[1-5].*")),
        folder / "figures/fig4.pdf",
        folder / "figures/fig4.png",
    ]
    before = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    smoke.snakemake(
        "--quiet", "all", "--force", "results/smoke/tables/table1.csv", "results/smoke/figures/fig4.pdf"
    )
    smoke.snakemake("--quiet", "all")
    assert {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files} == before


def test_retraining_gives_the_same_checkpoint(smoke):
    weights = smoke.folder / "results/smoke/checkpoints/finetune/adaptformer.safetensors"
    before = weights.read_bytes()
    smoke.snakemake("--quiet", "all", "--force", str(weights.relative_to(smoke.folder)))
    assert weights.read_bytes() == before
    smoke.snakemake("--quiet", "all")


def test_broken_video_is_named_and_finished_outputs_stay(smoke, tmp_path):
    """A cohort whose video is broken: one message, exit status not zero, and the smoke results are untouched."""
    raw = smoke.folder / "data/raw/broken"
    raw.mkdir(parents=True, exist_ok=True)
    (raw / "clip.mp4").write_bytes(b"\x00" * 100)
    header = "patient,sweep,group,view,split,video,key_frames,probe,spacing_mm,frame_spacing_mm,reference"
    (raw / "cohort.csv").write_text(f"{header}\np1,s1,chest,chest,train,clip.mp4,,convex,,,\n")
    overlay = smoke.folder / "broken.yaml"
    overlay.write_text(
        (smoke.folder / "workflow/scales/smoke.yaml")
        .read_text()
        .replace("scale: smoke", "scale: broken\ncohort: data/raw/broken/cohort.csv")
    )
    message = smoke.snakemake("--until", "ingest", scale="broken.yaml", ok=False)
    assert "clip.mp4" in message and "remedy" in message
    assert not (smoke.folder / "results/broken/volumes").exists()
    assert (smoke.folder / "results/smoke/volumes").is_dir()
