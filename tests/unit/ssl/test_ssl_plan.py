"""Job files and lists of the target `ssl`."""

from __future__ import annotations

from pathlib import Path

import pytest

from uscl_med3d.core import params as parameters
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.files import read_defaults
from uscl_med3d.core.ssl import SslPlan
from uscl_med3d.pretext import find_pretext, list_pretexts, read_options

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def values() -> dict:
    return read_defaults(ROOT)


def make_plan(values: dict) -> SslPlan:
    return SslPlan(parameters.validate(values, "params.yaml"), "results/phantom")


def test_every_job_is_one_that_its_stage_can_read(values):
    for path, job in make_plan(values).list_jobs().items():
        stage = path.split("/")[0].removesuffix(".json").replace("ssl_pretrain", "pretrain")
        parameters.job_model(stage).model_validate(job)


def test_an_arm_does_not_depend_on_the_others(values):
    before = make_plan(values).list_jobs()
    values["ssl"]["frames"]["arms"]["more"] = {"task": "simclr", "batch": 8}
    values["ssl"]["frames"]["augment"]["factors"]["more"] = {"contrast": 0.1}
    values["ssl"]["table8"]["clicks"] += 1
    after = make_plan(values).list_jobs()
    name = "ssl_frames/byol.json"
    assert after[name] == before[name] and "ssl_frames/more.json" in after
    assert after["ssl_cell/none.json"] != before["ssl_cell/none.json"]


def test_cells_are_the_usual_run_with_a_shorter_training(values):
    plan = make_plan(values)
    job = plan.list_jobs()["ssl_cell/vcl.json"]
    usual, shorter = dict(values["finetune"]), values["ssl"]["table8"]["finetune"]
    assert {key: job["finetune"][key] for key in usual if key not in shorter} == {
        key: value
        for key, value in parameters.validate(values, "").finetune.model_dump(mode="json").items()
        if key in usual and key not in shorter
    }
    assert (
        job["run"]["pretraining"] == "vcl"
        and job["run"]["rank"] == values["methods"]["uscl_med3d"]["grid"]["rank"]
    )
    assert plan.start_weights("none") == [] and plan.start_weights("vcl") != []
    assert job["evaluate"]["splits"] == ["test"]


def test_a_scale_without_the_method_has_no_cells(values):
    for name in ("uscl_med3d", "adapter_off"):
        values["methods"][name] = None
    values["annotation"]["method"] = "full_tuning"
    values["gate"]["seeing"].pop("uscl_med3d")
    plan = make_plan(values)
    assert plan.cells == {} and plan.starts == {}


def test_an_overlay_leaves_an_arm_out(values):
    values["ssl"]["frames"]["arms"]["byol_wall"] = None
    assert "byol_wall" not in make_plan(values).arms


@pytest.mark.parametrize("place", ["table8", "frames"])
def test_an_unknown_pretext_task_is_named(values, place):
    if place == "table8":
        values["ssl"]["table8"]["arms"].append("guess")
    else:
        values["ssl"]["frames"]["arms"]["odd"] = {"task": "guess"}
    with pytest.raises(InputError, match="guess"):
        make_plan(values)


def test_every_pretext_task_has_valid_options(values):
    params = parameters.validate(values, "params.yaml")
    assert set(params.pretext_tasks) == set(list_pretexts())
    for name, options in params.pretext_tasks.items():
        read_options(find_pretext(name), options, name)


def test_options_of_a_task_are_explained(values):
    with pytest.raises(InputError, match="momentun"):
        read_options(find_pretext("byol"), values["ssl"]["tasks"]["byol"] | {"momentun": 1}, "here")


def test_the_default_run_does_not_see_the_comparison(values):
    before = parameters.slice_job(parameters.validate(values, ""), "report")
    values["ssl"]["tasks"]["simclr"]["temperature"] = 0.5
    assert parameters.slice_job(parameters.validate(values, ""), "report") == before
