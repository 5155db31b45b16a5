"""An encoder adapter that a user gives takes the place of a pretraining; one that does not fit is refused before the run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from test_own_overlay import plan_own

from uscl_med3d.core import shipped
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256, write_json
from uscl_med3d.core.pretrained import check_pretrained, refuse_as_model

NAME, RUN = "vcl_r32", "uscl_med3d_r32_both_vcl"


@pytest.fixture
def adapter(tmp_path):
    """Writes an adapter that says of itself what it is told to."""

    def write(**facts):
        said = {"rank": 32, "alpha": 32.0, "base_sha256": sha256(shipped.list_files("sam_med3d").weights)}
        path = tmp_path / "mine.safetensors"
        save_file({"a": np.zeros(1, np.float32)}, path, {"lora": json.dumps(said | facts)})
        return str(path)

    return write


def test_a_given_adapter_is_used_and_nothing_is_pretrained(adapter):
    file = adapter()
    plan = plan_own(pretrained={NAME: file})
    check_pretrained(plan)
    assert plan.start_weights(RUN) == [file] and plan.pretrainings == {}
    assert not any("pretrain" in curve for curve in plan.curves)
    without = plan_own()
    assert without.start_weights(RUN) == [f"results/mine/checkpoints/pretrain/{NAME}.safetensors"]
    assert list(without.pretrainings) == [NAME]


def test_one_of_several_is_given(adapter):
    ranks = {"methods": {"uscl_med3d": {"grid": {"ranks": [8, 32], "sweep_modules": ["both"]}}}}
    plan = plan_own(pretrained={NAME: adapter()}, **ranks)
    assert list(plan.pretrainings) == ["vcl_r8"] and list(plan.starts) == ["vcl_r8", NAME]


def test_runs_without_one_have_the_parameters_that_they_had(adapter):
    assert "pretrained" not in plan_own().params.model_dump(mode="json")
    assert plan_own(pretrained={NAME: "x"}).params.model_dump(mode="json")["pretrained"] == {NAME: "x"}


@pytest.mark.parametrize(
    ("facts", "found"),
    [({"rank": 8}, "rank 8"), ({"base_sha256": "0" * 64}, "base_sha256 0000")],
)
def test_an_adapter_of_another_rank_or_base_is_refused(adapter, facts, found):
    plan = plan_own(pretrained={NAME: adapter(**facts)})
    with pytest.raises(InputError, match=found):
        check_pretrained(plan)


def test_the_base_is_not_compared_where_it_is_not_known_yet(adapter):
    file = adapter(base_sha256="0" * 64)
    check_pretrained(plan_own(pretrained={NAME: file}, foundation={"sam_med3d": {"weights": "turbo.pth"}}))


def test_what_is_no_adapter_is_refused(tmp_path):
    nowhere, text, plain = (tmp_path / name for name in ("nowhere.safetensors", "text", "plain.safetensors"))
    text.write_text("no tensors")
    save_file({"a": np.zeros(1, np.float32)}, plain)
    for file, found in ((nowhere, "no such file"), (text, "Error"), (plain, "no word on a rank")):
        with pytest.raises(InputError, match=found):
            check_pretrained(plan_own(pretrained={NAME: str(file)}))


def test_a_name_that_no_run_starts_from_is_refused(adapter):
    with pytest.raises(InputError, match="simclr_r32") as refused:
        check_pretrained(plan_own(pretrained={"simclr_r32": adapter()}))
    assert NAME in str(refused.value)


def test_segment_finds_the_adapter_that_a_run_was_given(tmp_path):
    from uscl_med3d.user.models import _find_start

    made = tmp_path / "checkpoints/pretrain/vcl_r32.safetensors"
    assert _find_start(tmp_path, NAME) == made
    write_json(tmp_path / "params/all.json", {"pretrained": {NAME: "mine.safetensors"}})
    assert _find_start(tmp_path, NAME) == Path("mine.safetensors") and _find_start(tmp_path, "vcl_r8") != made


def test_an_adapter_is_no_model_to_segment_with(adapter, tmp_path):
    from uscl_med3d.user.models import choose

    with pytest.raises(InputError, match="segments nothing by itself"):
        choose(adapter(), None, None, "phantom")
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "other.safetensors")
    refuse_as_model(tmp_path / "other.safetensors")
    refuse_as_model(tmp_path / "nowhere.safetensors")
