from __future__ import annotations

from types import SimpleNamespace

import pandas as pd

from uscl_med3d.core.params.finetune import Finetune
from uscl_med3d.report.search import build_search


def make_job(rate: float) -> SimpleNamespace:
    entry = SimpleNamespace(label="full tuning", tuning={"learning_rate": rate})
    candidates = {"full_tuning": ({"learning_rate": 0.1}, {"learning_rate": 0.2}, {"learning_rate": 0.4})}
    finetune = SimpleNamespace(model_dump=lambda: dict.fromkeys(Finetune.model_fields, 0))
    return SimpleNamespace(
        search=SimpleNamespace(candidates=candidates), methods={"full_tuning": entry}, finetune=finetune
    )


def test_best_and_in_use_are_told_apart(tmp_path):
    curves = []
    for number, dice in enumerate((50.0, 61.0, 55.0), 1):
        curves.append(tmp_path / f"full_tuning-{number}.csv")
        # The last measurement counts, not the highest; a row without one is no measurement.
        rows = {"step": [5, 10, 11], "validation_dice": [90.0, dice, None]}
        pd.DataFrame(rows).to_csv(curves[-1], index=False)
    build_search(make_job(0.4), curves, tmp_path / "search.csv")
    table = pd.read_csv(tmp_path / "search.csv", keep_default_na=False)
    assert list(table["validation_dice"]) == [50.0, 61.0, 55.0]
    assert list(table["best"]) == ["", "yes", ""] and list(table["in_use"]) == ["", "", "yes"]
    assert "| full tuning | 0.2 | 61.0 | yes |" in (tmp_path / "search.md").read_text()
