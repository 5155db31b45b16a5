from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from uscl_med3d.core import params
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import write_json
from uscl_med3d.core.params.files import find_sections, list_default_files, read_defaults
from uscl_med3d.core.runs import list_runs

ROOT = Path(__file__).resolve().parents[3]


def merge(base: dict, overlay: dict) -> dict:
    """Overlay of nested dictionaries, as Snakemake merges config files."""
    return base | {
        k: merge(base[k], v) if isinstance(v, dict) and isinstance(base.get(k), dict) else v
        for k, v in overlay.items()
    }


@pytest.fixture
def values() -> dict:
    return read_defaults(ROOT)


@pytest.mark.parametrize("scale", sorted(p.stem for p in (ROOT / "workflow/scales").glob("*.yaml")))
def test_every_scale_is_valid_and_named_like_its_file(values, scale):
    overlay = yaml.safe_load((ROOT / f"workflow/scales/{scale}.yaml").read_text())
    assert params.validate(merge(values, overlay), scale).scale == scale


@pytest.mark.parametrize("part", sorted(p.stem for p in (ROOT / "workflow/scales/parts").glob("*.yaml")))
def test_a_part_leaves_out_of_its_scale_and_changes_nothing_else(values, part):
    scale = part.partition("_")[0]
    whole = merge(values, yaml.safe_load((ROOT / f"workflow/scales/{scale}.yaml").read_text()))
    overlay = yaml.safe_load((ROOT / f"workflow/scales/parts/{part}.yaml").read_text())
    made = params.validate(merge(whole, overlay), part)
    complete = params.validate(whole, scale)
    assert made.scale == scale and made.methods.keys() < complete.methods.keys()
    assert made.model_copy(update={"methods": complete.methods}) == complete
    runs = {run.id: run for run in list_runs(complete.methods, complete.training_seeds)}
    assert all(runs[run.id] == run for run in list_runs(made.methods, made.training_seeds))


def test_all_but_leaves_methods_out(values):
    made = params.validate(values | {"compared": {"all_but": ["tinysam", "ball"]}}, "params.yaml")
    everything = params.validate(values | {"compared": "all"}, "params.yaml")
    assert made.methods.keys() == everything.methods.keys() - {"tinysam", "ball"}
    assert params.validate(made.model_dump(mode="json"), "params.yaml") == made
    for wrong in ({"all_but": ["unett"]}, {"all_but": "unet"}, {"but": ["unet"]}):
        with pytest.raises(InputError, match="compared"):
            params.validate(values | {"compared": wrong}, "params.yaml")


SCALES = sorted(f"workflow/scales/{path.name}" for path in (ROOT / "workflow/scales").glob("*.yaml"))


DEFAULTS = [str(path.relative_to(ROOT)) for path in list_default_files(ROOT)]


@pytest.mark.parametrize("file", [*DEFAULTS, "params/own_cohort.yaml", *SCALES])
def test_no_key_is_given_twice(file):
    """YAML keeps the last of two equal keys without a word."""

    def check(node):
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), f"{file}: {sorted(k for k in keys if keys.count(k) > 1)}"
            for _, value in node.value:
                check(value)

    check(yaml.compose((ROOT / file).read_text()))


def test_no_value_is_given_in_two_files():
    """Of methods that params.yaml has, params/methods.yaml has the key alone, which keeps the place of their rows."""
    given: dict[tuple[str, ...], list[str]] = {}

    def collect(node, path, file):
        for key, value in node.items() if isinstance(node, dict) else ():
            collect(value, (*path, key), file)
        if not isinstance(node, dict):
            given.setdefault(path, []).append(file)

    for file in DEFAULTS:
        collect(yaml.safe_load((ROOT / file).read_text()), (), file)
    assert {path: files for path, files in given.items() if len(files) > 1} == {}


def test_methods_are_in_the_order_of_their_file(values):
    """It has them all, so that a method of params.yaml does not come before those that its row follows."""
    order = list(yaml.safe_load((ROOT / "params/methods.yaml").read_text())["methods"])
    main = yaml.safe_load((ROOT / "params.yaml").read_text())["methods"].keys()
    assert list(values["methods"]) == order and main < set(order) and all(values["methods"].values())
    assert (
        order.index("sam_med3d") < order.index("sam") < order.index("uscl_med3d") < order.index("full_tuning")
    )


def test_sections_are_found_in_all_their_files(values):
    found = find_sections(ROOT)
    assert found.keys() == values.keys() and found["seed"] == ["params.yaml"]
    assert found["methods"] == ["params/methods.yaml", "params.yaml"]
    assert found["simulate"] == ["params/simulate.yaml"]


def test_unknown_key_is_named(values):
    values["finetune"]["learning_rat"] = 1
    with pytest.raises(InputError, match=r"finetune\.learning_rat"):
        params.validate(values, "params.yaml")


def test_missing_and_mistyped_keys_are_all_named(values):
    del values["seed"]
    values["threads"] = "many"
    with pytest.raises(InputError, match=r"(?s)seed.*threads|threads.*seed"):
        params.validate(values, "params.yaml")


@pytest.mark.parametrize("stage", [s for s in params.SLICES if s not in ("finetune", "evaluate")])
def test_job_file_round_trip(values, stage, tmp_path):
    everything = params.validate(values, "params.yaml")
    write_json(tmp_path / "job.json", params.slice_job(everything, stage))
    job = params.load_job(stage, tmp_path / "job.json")
    for name in params.SLICES[stage]:
        section, _, part = name.partition(".")
        expected = getattr(everything, section)
        if section == "measure":  # which methods are measured is no matter of a single one
            expected = expected.model_copy(update={"methods": None})
        assert getattr(job, part or section) == (getattr(expected, part) if part else expected)


def test_job_of_a_stage_does_not_see_other_stages(values):
    before = params.slice_job(params.validate(values, ""), "ingest")
    values["finetune"]["steps"] = values["finetune"]["steps"] + 1
    assert params.slice_job(params.validate(values, ""), "ingest") == before


def test_job_file_with_a_foreign_key_is_refused(values, tmp_path):
    job = params.slice_job(params.validate(values, ""), "ingest") | {"surprise": 1}
    write_json(tmp_path / "job.json", job)
    with pytest.raises(InputError, match="surprise"):
        params.load_job("ingest", tmp_path / "job.json")


@pytest.mark.parametrize("key, value", [("alpha_rule", "twice_rank"), ("layers", "attention")])
def test_adapters_of_both_stages_must_be_alike(values, key, value):
    values["pretrain"][key] = value
    with pytest.raises(InputError, match=rf"uscl_med3d\.tuning\.{key}"):
        params.validate(values, "params.yaml")


def test_classes_of_an_overlay_replace_those_of_the_defaults(values, tmp_path):
    """A cohort of nerves and vessels has no liver: neither as a column nor as a value that a mask may have."""
    from uscl_med3d.core.params.files import overlay, replace_whole

    own = {"scale": "mine", "classes": {"nerve": 1, "vessel": 2}}
    assert params.validate(overlay(values, own), "mine").classes == own["classes"]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(own))
    (tmp_path / "other.yaml").write_text("seed: 1\n")
    config = merge(values, own)  # what Snakemake makes of it
    assert len(config["classes"]) > 2
    replace_whole(config, [tmp_path / "mine.yaml", tmp_path / "other.yaml"])
    assert config["classes"] == own["classes"]


@pytest.mark.parametrize(
    ("classes", "complaint"),
    [
        ({"nerve": 1, "vessel": 1}, "nerve, vessel share the value"),
        ({"nerve": 0}, "values of 1 to 254"),
        ({"nerve": 255}, "values of 1 to 254"),
        ({}, "values of 1 to 254"),
    ],
)
def test_classes_that_cannot_be_told_apart_are_refused(values, classes, complaint):
    with pytest.raises(InputError, match=complaint):
        params.validate(values | {"classes": classes}, "mine")
