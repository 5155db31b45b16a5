"""A folder of clips to an adapter, its card and curve; interruptions, refusals, and the fine-tune that starts from it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tiny_sam import SAM_MED3D
from unlabelled import ROOT

from uscl_med3d import cli
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256
from uscl_med3d.core.params.files import overlay, read_defaults
from uscl_med3d.core.plan import Plan
from uscl_med3d.core.pretrained import check_pretrained, read_facts
from uscl_med3d.nets import lora
from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d
from uscl_med3d.pretext import list_pretexts
from uscl_med3d.pretext.vcl import Vcl
from uscl_med3d.user.pretraining import run, volumes
from uscl_med3d.user.pretraining.job import Base
from uscl_med3d.user.pretraining.run import pretrain_clips


@pytest.fixture
def call(clips, base, values, ask, tmp_path):
    def make(name: str = "mine", **changes):
        output = tmp_path / f"{name}.safetensors"
        return pretrain_clips(clips, output, ask(**changes), values, base), output

    return make


def read(output: Path) -> tuple[bytes, str, dict]:
    card = json.loads(output.with_suffix(".json").read_text())
    return output.read_bytes(), output.with_suffix(".csv").read_text(), card


def test_adapter_card_and_curve(call, clips, base, tmp_path):
    (clips / "broken.nii.gz").write_bytes(b"no volume")
    said, output = call()
    tensors = lora.read_lora(output, 4, 4.0, sha256(base.weights))
    assert tensors and all(value.abs().sum() > 0 for value in tensors.values()), "an adapter was not trained"
    _, _, card = read(output)
    assert card["sha256"] == sha256(output) and card["task"] == "vcl" and card["rank"] == 4
    assert {one["file"]: one["sha256"] for one in card["clips"]} == {
        path.relative_to(clips).as_posix(): sha256(path) for path in clips.rglob("[!.b]*.nii.gz")
    }
    assert list(card["left_out"]) == ["broken.nii.gz"]
    assert [one["name"] for one in card["measured"]] == ["prediction loss", "accuracy"]
    assert set(card["collapse_watch"]["after"]) == {"feature_std", "effective_rank"}
    assert card["verdict"] and all(line in said for line in card["verdict"])
    curve = pd.read_csv(output.with_suffix(".csv"))
    assert list(curve["step"]) == [0, 1, 2, 3, 4]
    kept = {path.name for path in tmp_path.iterdir()} - {"clips"}
    assert kept == {"mine.safetensors", "mine.json", "mine.csv"}  # and no volumes of patients


@pytest.mark.parametrize("task", list_pretexts())
def test_every_task_gives_an_adapter_that_fits(call, base, task):
    _, output = call(task, task=task, steps=2)
    model = build_sam_med3d(SamMed3DConfig(**SAM_MED3D))
    lora.add_lora(model, "encoder", 4, 4.0, 0.0, 0, layers="attention_and_mlp")
    lora.load_lora_state(model, lora.read_lora(output, 4, 4.0, sha256(base.weights)), "encoder")
    _, _, card = read(output)
    assert (
        card["task"] == task and card["measured"] and list(card["parameters"]["pretrain"]["tasks"]) == [task]
    )


def test_the_same_call_gives_the_same_bytes_and_another_seed_others(call):
    first, again, other = (read(call(name, seed=seed)[1]) for name, seed in (("a", 3), ("b", 3), ("c", 4)))
    assert first[:2] == again[:2] and first[0] != other[0]


@pytest.mark.parametrize("control", [False, True])
def test_an_interrupted_call_goes_on_and_ends_with_the_same_bytes(call, monkeypatch, control):
    whole = read(call("whole", control=control)[1])
    loss, inspect, read_again, steps = Vcl.loss, volumes.inspect_sweep, [], []

    def stop(self, step):
        steps.append(step)
        if len(steps) == (7 if control else 3):  # with a control: in its own training
            raise KeyboardInterrupt
        return loss(self, step)

    monkeypatch.setattr(run, "make_job", with_resume_files(run.make_job))
    monkeypatch.setattr(Vcl, "loss", stop)
    with pytest.raises(KeyboardInterrupt):
        call("part", control=control)
    monkeypatch.setattr(
        volumes, "inspect_sweep", lambda row, *rest: read_again.append(row) or inspect(row, *rest)
    )
    before = len(steps)
    _, output = call("part", control=control)
    assert steps[before:] == [2, 3] and read_again == []
    again = read(output)
    assert again[:2] == whole[:2] and again[2]["measured"] == whole[2]["measured"]


def with_resume_files(make_job):
    """As `make_job`, with a resume file after every step."""

    def make(*given):
        job = make_job(*given)
        schedule = job.pretrain.schedule.model_copy(update={"resume_every": 1})
        return job.model_copy(update={"pretrain": job.pretrain.model_copy(update={"schedule": schedule})})

    return make


def test_the_control_holds_the_adapter_still(call, base):
    said, output = call(control=True, steps=6)
    _, _, card = read(output)
    held = {one["name"]: one["still"] for one in card["measured"]}
    assert all(value is not None for value in held.values())
    assert any("adapter held still" in line for line in said)
    assert any(one["still"] != one["after"] for one in card["measured"])


def test_one_patient_teaches_and_nothing_is_measured(call, clips):
    for name in ("P01", "pat2_a.nii.gz", "sub-03.nii.gz"):
        path = clips / name
        for file in [*path.glob("*")] if path.is_dir() else [path]:
            file.unlink()
    said, output = call()
    assert read(output)[2]["measured"] == [] and any("Nothing was measured" in line for line in said)
    for task in ("simclr_no_same_patient", "byol_patient"):
        with pytest.raises(InputError, match="1 usable clips, of which 1 patient teaches"):
            call(task, task=task)


def test_refusals_before_any_work(call, clips, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "make_volumes", lambda *_: pytest.fail("clips were read"))
    with pytest.raises(InputError, match="the pretext task 'vlc'") as refused:
        call(task="vlc")
    assert "vcl" in refused.value.expected
    for suffix in (".safetensors", ".json", ".csv"):
        (tmp_path / f"there{suffix}").write_text("x")
        with pytest.raises(InputError, match="a file of this name"):
            call("there")
        (tmp_path / f"there{suffix}").unlink()
    with pytest.raises(InputError, match=r"suffix '\.pth'"):
        run.check_output(tmp_path / "a.pth")
    for path in [*clips.rglob("*.gz")]:
        path.unlink()
    with pytest.raises(InputError, match="no clip among 1 files"):
        call()


def test_a_loss_that_is_no_number_and_a_folder_that_cannot_be_written(call, monkeypatch, tmp_path):
    def diverge(*_, **__):
        raise FloatingPointError("the loss is nan at step 3: lower the learning rate")

    monkeypatch.setattr(run.stage, "pretrain", diverge)
    with pytest.raises(InputError, match="the loss is nan at step 3") as refused:
        call()
    assert "--overlay" in refused.value.remedy
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(InputError, match="may write"):
        call("taken/mine")


def plan_with(use: dict) -> Plan:
    between = yaml.safe_load((ROOT / "params/own_cohort.yaml").read_text(encoding="utf-8"))
    own = {"scale": "mine", "cohort": "my_cohort/cohort.csv"}
    return Plan(overlay(overlay(overlay(read_defaults(ROOT), between), own), use))


@pytest.mark.parametrize(("task", "rank"), [("vcl", 32), ("simmim", 32), ("vcl", 4)])
def test_the_parameters_that_it_names_make_the_fine_tune_start_from_it(
    clips, values, ask, tmp_path, task, rank
):
    """With the shipped base model: the plan accepts the file, and the method that is fine-tuned loads its very numbers."""
    from uscl_med3d.core.params import load_job, slice_job
    from uscl_med3d.methods.base import Weights
    from uscl_med3d.methods.registry import find_method

    base, output = Base.shipped(), tmp_path / "mine.safetensors"
    said = pretrain_clips(clips, output, ask(task=task, rank=rank, steps=1), values, base)
    use = yaml.safe_load("\n".join(line for line in said if line.startswith("  ")))
    plan = plan_with(use)
    check_pretrained(plan)
    (name,) = plan.trained
    assert plan.start_weights(name) == [str(output)] and plan.pretrainings == {}
    (tmp_path / "job.json").write_text(json.dumps(slice_job(plan.params, "finetune", plan.runs[name])))
    job = load_job("finetune", tmp_path / "job.json")
    method = find_method("uscl_med3d").load(job, Weights(base.weights, output))
    facts = read_facts(output)
    tensors = lora.read_lora(output, rank, facts["alpha"], facts["base_sha256"])
    loaded = lora.lora_state(method.network, "encoder")
    assert loaded.keys() == tensors.keys() and all(loaded[key].equal(value) for key, value in tensors.items())
    assert any(value.abs().sum() > 0 for key, value in loaded.items() if "lora_B" in key)


def test_the_command(clips, tmp_path, capsys, monkeypatch):
    """With the shipped base model, from outside a checkout: default parameters come from the package."""
    monkeypatch.chdir(tmp_path)
    words = ["pretrain-clips", "clips", "-o", "mine.safetensors", "--steps", "1", "--task", "simmim"]
    (tmp_path / "small.yaml").write_text(
        "ingest: {max_side: 24, max_frames: 12}\nssl: {tasks: {simmim: {images: 2, validation_images: 2}}}\n"
    )
    assert cli.main([*words, "--overlay", "small.yaml"]) == 0
    shown = capsys.readouterr()
    assert (
        "written: mine.safetensors" in shown.out and "pretrained: {simmim_r32: mine.safetensors}" in shown.out
    )
    assert "5 clips of 4 patients" in shown.err and "no clips: README.txt" in shown.err
    assert cli.main([*words, "--overlay", "small.yaml"]) == 2
    assert "a file of this name" in capsys.readouterr().err


def test_the_command_says_how_to_go_on(clips, tmp_path, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "make_volumes", stop)
    assert cli.main(["pretrain-clips", str(clips), "-o", str(tmp_path / "a.safetensors")]) == 2
    assert "the same command goes on where it was" in capsys.readouterr().err


def test_no_stage_of_the_pipeline_has_this_code():
    """So a change of it makes no result of a run anew."""
    from uscl_med3d.core.closure import list_sources
    from uscl_med3d.core.stages import STAGES

    plan = Plan(read_defaults(ROOT))
    files = {
        file for stage in STAGES for module in stage.modules for file in list_sources(f"uscl_med3d.{module}")
    }
    files |= {file for name in plan.pretrainings for file in plan.pretrain_code(name)}
    files |= {file for name in plan.trained for file in plan.code("uscl_med3d.train.finetune", name)}
    assert files and not [file for file in files if "user/pretraining" in file or "/cli/" in file]
