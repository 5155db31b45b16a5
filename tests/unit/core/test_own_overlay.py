"""The overlay of docs/own_cohort.md for one adapter: valid as it stands there, and small."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from uscl_med3d.core.params.files import overlay, read_defaults
from uscl_med3d.core.plan import Plan

ROOT = Path(__file__).resolve().parents[3]


def test_the_overlay_of_the_page_trains_one_adapter(monkeypatch):
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs/own_cohort.md").read_text(encoding="utf-8")
    found = [
        yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    ]
    plain, small = found
    assert plain == {"scale": "mine", "cohort": "my_cohort/cohort.csv"} == {key: small[key] for key in plain}
    plan = Plan(overlay(read_defaults(ROOT), small))
    assert plan.params.classes == {"nerve": 1, "vessel": 2}
    trained = [run.id for run in plan.runs.values() if plan.params.methods[run.method].trained]
    assert trained == ["uscl_med3d_r32_both_vcl"] and set(plan.params.methods) == {"sam_med3d", "uscl_med3d"}
    assert set(plan.foundations) == {"sam_med3d", "seggpt"}
    assert set(plan.params.figures.colours) >= set(plan.params.classes)
    whole = Plan(overlay(read_defaults(ROOT), plain))
    assert len(whole.runs) > 5 * len(plan.runs)
