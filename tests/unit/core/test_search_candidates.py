from __future__ import annotations

import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.search import apply, in_use, list_candidates

CANDIDATES = {"full": ({"learning_rate": 0.1}, {"learning_rate": 0.2, "finetune.steps": 9})}
JOB = {"seed": 1, "method": {"label": "x", "tuning": {"learning_rate": 1.0}}, "finetune": {"steps": 5}}


def test_candidates_are_numbered_per_method():
    assert list(list_candidates(CANDIDATES)) == ["full-1", "full-2"]


def test_values_replace_options_and_those_of_the_section():
    job = apply(JOB, CANDIDATES["full"][1], "params.yaml")
    assert job["method"]["tuning"] == {"learning_rate": 0.2} and job["finetune"] == {"steps": 9}
    assert JOB["finetune"] == {"steps": 5} and job["seed"] == 1


@pytest.mark.parametrize("key", ["learningrate", "finetune.step"])
def test_unknown_value_is_named(key):
    with pytest.raises(InputError, match=key):
        apply(JOB, {key: 1}, "params.yaml")


def test_in_use_needs_every_value():
    options, section = {"learning_rate": 0.2}, {"steps": 9}
    assert in_use(options, section, CANDIDATES["full"][1])
    assert not in_use(options, {"steps": 8}, CANDIDATES["full"][1])
