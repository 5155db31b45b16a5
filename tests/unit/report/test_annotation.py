"""The annotation-cost curve, from made-up files."""

from __future__ import annotations

import fake_run
import pandas as pd
import pytest

from uscl_med3d.core.io import write_json
from uscl_med3d.core.params import SLICES, load_job
from uscl_med3d.core.params.files import read_defaults
from uscl_med3d.report.annotation import build_annotation_cost


@pytest.fixture
def job(tmp_path):

    values = read_defaults(fake_run.ROOT)
    values["report"] |= {"n_boot": 100}
    values["annotation"]["key_frames"] = [1, 3]
    write_json(tmp_path / "annotation.json", {name: values[name] for name in SLICES["annotation"]})
    return load_job("annotation", tmp_path / "annotation.json")


def test_curve_has_pseudo_labels_and_model_for_every_number_of_key_frames(job, tmp_path):
    made = fake_run.make_volumes(tmp_path)
    folder = fake_run.make_pseudolabels(tmp_path, made)
    scores = next(path for path in fake_run.make_scores(job, tmp_path) if "r32_both_vcl" in path.name)
    build_annotation_cost(job, [scores, scores], [folder, folder], tmp_path / "out")
    frame = pd.read_csv(tmp_path / "out/annotation_cost.csv")
    assert frame["key_frames"].tolist() == [1, 3]
    assert frame[["model", "true_mask", "held_out_key_frame", "accepted_percent"]].notna().all(axis=None)
    assert (frame["model_low"] < frame["model"]).all() and (frame["model"] < frame["model_high"]).all()
    quality = pd.read_csv(folder / "quality.csv")
    held = quality[(quality["method"] == "seggpt") & (quality["reference"] == "held_out_key_frame")]
    expected = held.groupby("class")["dice"].mean().mean()
    assert frame["held_out_key_frame"].iloc[0] == pytest.approx(expected, abs=1e-3)
    for suffix in ("md", "tex", "png", "pdf"):
        assert (tmp_path / f"out/annotation_cost.{suffix}").stat().st_size > 0


def test_what_has_no_reference_is_a_dash(job, tmp_path):
    made = fake_run.make_volumes(tmp_path)
    folder = fake_run.make_pseudolabels(tmp_path, made)
    pd.read_csv(folder / "quality.csv").head(0).to_csv(folder / "quality.csv", index=False)
    scores = next(path for path in fake_run.make_scores(job, tmp_path) if "r32_both_vcl" in path.name)
    build_annotation_cost(job, [scores, scores], [folder, folder], tmp_path / "out")
    row = (tmp_path / "out/annotation_cost.md").read_text().splitlines()[4]
    assert row.startswith("| 1 | – | – |")
