"""Table 8: few labelled patients, the usual fine-tune, the usual scores; on the tiny cohort."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tiny_cohort import cohort, tiny_params

from uscl_med3d.cli import main
from uscl_med3d.core import params as parameters
from uscl_med3d.core.io import write_json
from uscl_med3d.core.scores import read_score_file
from uscl_med3d.core.ssl import SslPlan
from uscl_med3d.evaluate.cases import Sources
from uscl_med3d.evaluate.score import evaluate
from uscl_med3d.methods.base import Weights
from uscl_med3d.ssl.cells import FewSweeps, score

__all__ = ["cohort"]


def make_job(name: str):
    params = tiny_params()
    table = params.ssl.table8.model_copy(update={"clicks": 2, "finetune": {"steps": 4, "evaluate_every": 4}})
    changed = params.model_copy(update={"ssl": params.ssl.model_copy(update={"table8": table})})
    job = SslPlan(changed, "results/tiny").list_jobs()[f"ssl_cell/{name}.json"]
    return parameters.job_model("ssl_cell").model_validate(job)


@pytest.fixture(scope="module")
def cells(cohort, tmp_path_factory):
    """Scores and collapse watch of `none` with one and with all labelled patients, and of the untuned base model."""
    folder, found = tmp_path_factory.mktemp("cells"), {}
    for name in ("none", "untuned"):
        files = {"scores_out": folder / f"{name}.parquet", "watch_out": folder / f"{name}.csv"}
        write_json(folder / "job.json", make_job(name).model_dump(mode="json"))
        words = {"params": folder / "job.json", "volumes": cohort.volumes, "splits": cohort.splits}
        words |= {"pseudolabels": cohort.pseudolabels, "base": cohort.base}
        words |= {"scores": files["scores_out"], "watch": files["watch_out"]}
        line = [text for key, value in words.items() for text in (f"--{key}", str(value))]
        assert main(["ssl_cell", *line, "--labelled", "1", "0", "--start"]) == 0
        (folder / "job.json").unlink()
        found[name] = read_score_file(files["scores_out"]), pd.read_csv(files["watch_out"])
    found["left"] = sorted(file.name for file in folder.iterdir())
    return found


def test_nothing_but_the_outputs_is_left(cells):
    assert cells["left"] == ["none.csv", "none.parquet", "untuned.csv", "untuned.parquet"]


def test_every_number_of_labelled_patients_has_its_scores(cells):
    scores, watch = cells["none"]
    assert (
        set(scores["run"]) == {"0", "1"}
        and set(scores["split"]) == {"test"}
        and set(scores["click"]) == {1, 2}
    )
    assert watch.set_index("labelled")["patients"].to_dict() == {-1: 0, 1: 1, 0: 2}
    assert (watch["effective_rank"] > 0).all()


def test_other_labelled_patients_give_other_weights(cells):
    scores = cells["none"][0]
    dice = [scores[scores["run"] == run]["dice"].dropna().to_numpy() for run in ("0", "1")]
    assert len(dice[0]) == len(dice[1]) and not np.allclose(dice[0], dice[1])


def test_the_untuned_model_is_scored_as_by_the_stage_evaluate(cells, cohort, tmp_path):
    job = make_job("untuned")
    files = {"scores_file": "scores.parquet", "image_use_file": "use.parquet", "predictions_dir": "masks"}
    sources = Sources(cohort.volumes, cohort.splits, cohort.pseudolabels, cohort.general)
    evaluate(job, sources, Weights(cohort.base), **{key: tmp_path / name for key, name in files.items()})
    usual = read_score_file(tmp_path / "scores.parquet").dropna(subset=["dice"])
    keys = ["case", "class", "reference", "click"]
    own = cells["untuned"][0].dropna(subset=["dice"])
    pd.testing.assert_series_equal(
        own.set_index(keys)["dice"].sort_index(), usual.set_index(keys)["dice"].sort_index(), check_exact=True
    )


def test_fewer_labelled_patients_are_among_more(cohort):
    few, every = (
        FewSweeps(cohort.volumes, cohort.splits, cohort.pseudolabels, count, 1).train for count in (1, None)
    )
    assert len(few) == 1 and set(few) < set(every)


def test_only_test_patients_are_scored(cohort):
    rows, _ = score(make_job("untuned"), cohort.volumes, cohort.splits, Weights(cohort.base))
    assert rows and {row["patient"] for row in rows} <= {"p_e1", "p_e2"}
