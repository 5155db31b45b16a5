"""Stages are declared once: dvc.yaml is made from the declarations, and these agree with the rules and with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from uscl_med3d.core.closure import list_sources
from uscl_med3d.core.params import SLICES
from uscl_med3d.core.params.files import find_sections, read_defaults
from uscl_med3d.core.plan import Plan
from uscl_med3d.core.stages import STAGES
from uscl_med3d.provenance.dvc_yaml import list_code, list_dependencies, list_rooms, make_dvc_yaml

ROOT = Path(__file__).resolve().parents[3]
BY_NAME = {stage.name: stage for stage in STAGES}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(read_defaults(ROOT))


def read_rules(stage) -> dict[str, str]:
    """Rule -> its text, of those that a stage runs. Its file may hold others: targets of their own."""
    text = (ROOT / f"workflow/rules/{stage.name}.smk").read_text(encoding="utf-8")
    _, *parts = re.split(r"(?m)^ *rule (\w+):", text)
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    return {name: found[name] for name in stage.rules}


def list_missing(files, watched) -> list[str]:
    """Files that DVC does not watch: neither they nor a folder above them is a dependency."""
    return [file for file in files if not any(file == one or file.startswith(f"{one}/") for one in watched)]


def list_stated(params: list[str | dict[str, list[str]]]) -> set[tuple[str, str]]:
    """(file, section) of what dvc.yaml says of a stage's parameters; a name alone is of params.yaml."""
    files = [{"params.yaml": [each]} if isinstance(each, str) else each for each in params]
    return {(file, section) for named in files for file, sections in named.items() for section in sections}


def test_dvc_yaml_is_made_from_the_declarations():
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert text == make_dvc_yaml(), "stale: uscl-med3d dvc_yaml > dvc.yaml"
    assert list(yaml.safe_load(text)["stages"]) == [stage.name for stage in STAGES]


def test_a_kind_of_job_belongs_to_one_stage_at_most():
    jobs = [job for stage in STAGES for job in stage.jobs]
    assert len(set(jobs)) == len(jobs) and set(jobs) <= set(SLICES)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_jobs_are_those_whose_files_the_rules_name(stage):
    """Job files that `core.plan` names, as those of pretext tasks, do not stand in the rule."""
    named = set(re.findall(r"job_file\(\s*\"(\w+)", " ".join(read_rules(stage).values())))
    kinds = {job.partition("_")[0] + "_" if stage.name == "foundation" else job for job in stage.jobs}
    assert named <= kinds and kinds - named <= {"pretrain"}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_parameters_are_those_that_the_jobs_read(stage):
    """Each section is looked for in every file that holds a part of it."""
    stated = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][stage.name]
    named = list_stated(stated["params"])
    sections = {section for _, section in named}
    assert named == {(file, section) for section in sections for file in find_sections(ROOT)[section]}
    for job in stage.jobs:
        for name in SLICES[job]:
            section, _, part = name.partition(".")
            recipe = section == "foundation" and {"params/foundation", f"params/foundation/{part}.yaml"}
            assert recipe & set(stated["deps"]) if recipe else section in {*sections, "scale"}, name


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_modules_are_those_that_the_rules_name(stage):
    """In the rule itself, or in `core.plan`, which puts a module's name together for some of them."""
    name = r"\"uscl_med3d\.([\w.]*\w)"
    named = set(re.findall(name, " ".join(read_rules(stage).values())))
    planned = set(re.findall(name, (ROOT / "src/uscl_med3d/core/plan.py").read_text(encoding="utf-8")))
    assert named <= {*stage.modules, *stage.finds}
    assert set(stage.modules) <= named | planned
    assert set(stage.targets) <= set(stage.rules)


def test_dvc_watches_every_source_file_of_every_job(plan):
    """The import closure of the default plan's jobs, as the rules list it."""
    jobs = {
        "simulate": list_sources("uscl_med3d.simulate.cohort", "uscl_med3d.simulate.general"),
        "ingest": list_sources("uscl_med3d.data.ingest"),
        "foundation": [
            file for name in plan.foundations for file in list_sources(f"uscl_med3d.foundation.{name}")
        ],
        "pseudolabel": list_sources("uscl_med3d.pseudolabel.propagate"),
        "pretrain": [file for name in plan.pretrainings for file in plan.pretrain_code(name)],
        "finetune": [file for run in plan.trained for file in plan.code("uscl_med3d.train.finetune", run)],
        "evaluate": [
            file
            for run in plan.runs
            for module in ("uscl_med3d.evaluate.score", "uscl_med3d.evaluate.cost")
            for file in plan.code(module, run)
        ],
        "report": [file for name in plan.figures for file in plan.figure_code(name)],
    }
    assert set(jobs) == set(BY_NAME)
    for name, files in jobs.items():
        stage = BY_NAME[name]
        assert set(files) <= set(list_code(stage)), name
        watched = list_dependencies(stage)
        assert not list_missing(list_code(stage), watched), name
        # The control: without one of the folders, files are missing.
        rooms = [one for one in watched if one.startswith("src/uscl_med3d/") and "shipped" not in one]
        assert list_missing(list_code(stage), set(watched) - {rooms[-1]}), name


def test_a_room_of_one_module_is_watched_by_its_files():
    assert list_rooms(
        ["src/u/core/a.py", "src/u/core/b.py", "src/u/data/__init__.py", "src/u/data/c.py"]
    ) == [
        "src/u/core",
        "src/u/data/__init__.py",
        "src/u/data/c.py",
    ]


def test_what_a_stage_reads_is_made_by_another_one():
    made = [out for stage in STAGES for out in (*stage.kept, *stage.small, *stage.metrics)]
    assert len(made) == len(set(made))
    for stage in STAGES:
        for path in stage.inputs:
            related = any(
                path == out or path.startswith(f"{out}/") or out.startswith(f"{path}/") for out in made
            )
            assert related or (ROOT / path).exists(), f"{stage.name}: {path}"
