from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.files import read_defaults
from uscl_med3d.core.params.report import SHOWN_IN
from uscl_med3d.core.plan import Plan
from uscl_med3d.core.reporting import FIGURES

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def config() -> dict:
    values = read_defaults(ROOT)
    values["methods"]["uscl_med3d"]["grid"]["ranks"] = [8, 32]
    return values


def job_times(folder: Path) -> dict[str, int]:
    return {str(p): os.stat(p).st_mtime_ns for p in folder.rglob("*.json")}


def test_unchanged_job_files_keep_their_time(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Plan(config).write_job_files()
    before = job_times(tmp_path)
    Plan(config).write_job_files()
    assert before and job_times(tmp_path) == before


def changed(config: dict, edit, tmp_path: Path) -> set[str]:
    Plan(config).write_job_files()
    folder = tmp_path / "results/phantom/params"
    before = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*.json")}
    edit(config)
    Plan(config).write_job_files()
    after = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*.json")}
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_new_rank_touches_its_own_jobs_and_the_report(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new = ["uscl_med3d_r4_both_vcl"]
    figures = {f"figure/{name}.json" for name in FIGURES}
    expected = (
        {"all.json", "annotation.json", "check.json", "gate.json", "report.json", "search.json"}
        | figures
        | {f"{stage}/{run}.json" for stage in ("finetune", "evaluate") for run in new}
    )
    edit = lambda c: c["methods"]["uscl_med3d"]["grid"]["ranks"].append(4)  # noqa: E731
    assert changed(config, edit, tmp_path) == expected


def test_dropped_rank_removes_its_job_files(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    edit = lambda c: c["methods"]["uscl_med3d"]["grid"]["ranks"].remove(8)  # noqa: E731
    names = changed(config, edit, tmp_path)
    assert not (tmp_path / "results/phantom/params/finetune/uscl_med3d_r8_both_vcl.json").exists()
    assert "finetune/uscl_med3d_r32_both_vcl.json" not in names


def test_own_cohort_is_a_listing_of_what_its_files_hold(config, tmp_path, monkeypatch):
    """A changed file gives another listing whatever its time; an unchanged one leaves the listing's time alone."""
    monkeypatch.chdir(tmp_path)
    names = [
        "a.mhd",
        "a.raw",
        "keys (1)/frame_0001.png",
        "S{0}.nii.gz",
        "labels.seg.nrrd",
        "it's/frame_0001.json",
    ]
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("x")
    (tmp_path / "in/a.mhd").write_text("ElementDataFile = a.raw\n")
    cells = [
        ("a.mhd", "keys (1)", "S{0}.nii.gz"),
        ("a.mhd", "it's", ""),
        ("missing.mp4", "labels.seg.nrrd", ""),
    ]
    rows = [f"p,s{n},{','.join(row)}" for n, row in enumerate(cells)]
    (tmp_path / "in/cohort.csv").write_text("\n".join(["patient,sweep,video,key_frames,reference", *rows]))
    config["cohort"] = "in/cohort.csv"
    (listing,) = Plan(config).cohort_files()
    Plan(config).write_listings()
    assert set(json.loads(Path(listing).read_text())) == {f"in/{name}" for name in [*names, "cohort.csv"]}
    for name in ("a.raw", "keys (1)/frame_0001.png", "S{0}.nii.gz"):
        before, time = Path(listing).read_text(), os.stat(listing).st_mtime_ns
        Plan(config).write_listings()
        assert os.stat(listing).st_mtime_ns == time
        (tmp_path / "in" / name).write_text("y")
        os.utime(tmp_path / "in" / name, (1e9, 1e9))
        Plan(config).write_listings()
        assert Path(listing).read_text() != before, name


def test_own_general_set_is_a_listing(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my set {1}").mkdir()
    (tmp_path / "my set {1}/case.nii.gz").write_text("x")
    first = next(iter(config["general"]))
    config["general"][first] = "my set {1}"
    plan = Plan(config)
    plan.write_listings()
    scored = next(run.id for run in plan.runs.values() if first in run.datasets)
    assert "my set {1}" not in plan.scored_inputs(scored) and "my set {1}" in plan.scored_general(scored)
    (listing,) = [path for path in plan.scored_inputs(scored) if path.endswith(".json")]
    assert set(json.loads(Path(listing).read_text())) == {"my set {1}/case.nii.gz"}


def test_a_run_needs_the_general_sets_that_it_is_scored_on_alone(config):
    plan = Plan(config)
    for run in plan.runs.values():
        wanted = [plan.general_folder(name) for name in plan.params.general if name in run.datasets]
        assert plan.scored_inputs(run.id) == plan.scored_general(run.id) == wanted
    assert {len(plan.scored_general(run)) for run in plan.runs} >= {0, len(plan.params.general)}


def test_one_pretraining_per_rank(config):
    assert list(Plan(config).pretrainings) == ["vcl_r8", "vcl_r32"]
    assert Plan(config).start_weights("uscl_med3d_r32_both_none") == []


def test_a_method_that_uses_anothers_weights_names_its_checkpoints(config):
    plan = Plan(config)
    main = plan.main_runs["uscl_med3d"]
    assert plan.weights("adapter_off") == plan.weights(main) and plan.weights(main)
    assert plan.start_weights("adapter_off") == plan.start_weights(main) and "adapter_off" not in plan.trained
    assert plan.params.methods["adapter_off"].options == {}


def test_only_base_models_that_are_needed_are_made(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [
        n for n, entry in config["methods"].items() if entry["base"] not in (None, "sam_med3d", "seggpt")
    ]:
        del config["methods"][name]
    plan = Plan(config)
    plan.write_job_files()
    assert plan.foundations == ["sam_med3d", "seggpt"]
    made = {path.name for path in (tmp_path / "results/phantom/params").glob("foundation_*")}
    assert made == {"foundation_sam_med3d.json", "foundation_seggpt.json"}


def test_an_overlay_leaves_out_a_method_by_null(config):
    config["methods"]["adaptformer"] = None
    plan = Plan(config)
    assert "adaptformer" not in plan.runs and "full_tuning" in plan.runs


def test_a_plot_setting_touches_its_own_figures_only(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def draw_more_crops(values):
        values["figures"]["vcl_crops_drawn"] += 1

    def recolour(values):
        values["figures"]["colours"]["liver"] = "#000000"

    assert changed(config, draw_more_crops, tmp_path) == {"all.json", "annotation.json", "figure/fig5.json"}
    names = {"all.json", "annotation.json", *(f"figure/{name}.json" for name in SHOWN_IN["colours"])}
    assert changed(config, recolour, tmp_path) == names


def test_search_trains_main_runs_without_vcl_and_only_what_is_there(config):
    plan = Plan(config)
    assert {plan.candidate_run(name) for name in plan.candidates} == {
        "uscl_med3d_r32_both_none",
        "full_tuning",
        "adaptformer",
    }
    config["methods"]["adaptformer"] = None
    config["methods"]["uscl_med3d"]["grid"]["without_pretraining"] = False
    assert {name.partition("-")[0] for name in Plan(config).candidates} == {"full_tuning"}


def test_job_of_a_candidate_does_not_depend_on_the_values_in_use(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    edit = lambda c: c["methods"]["full_tuning"]["tuning"].update(learning_rate=0.03)  # noqa: E731
    names = changed(config, edit, tmp_path)
    assert "finetune/full_tuning.json" in names and "search.json" in names
    assert not {name for name in names if name.startswith("search/")}


def test_a_method_that_the_gate_requires_cannot_be_left_out_without_a_word(config):
    config["gate"]["required"] = True
    config["methods"]["full_tuning"] = None
    with pytest.raises(InputError, match=r"gate\.seeing requires it"):
        Plan(config)
    config["gate"]["seeing"]["full_tuning"]["required"] = False
    assert "full_tuning" not in Plan(config).runs
