"""What the figures of cases, failures, the gap and the curves show, against the numbers they are made of."""

from __future__ import annotations

from dataclasses import replace

import fake_run
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from uscl_med3d.core.io import load_volume
from uscl_med3d.report.figures import FigureInputs, cases, click_curves, failures, pseudolabel_gap, rank_curve
from uscl_med3d.report.figures.errors import Case, click_history, load_case
from uscl_med3d.report.figures.pseudolabel_quality import read_quality
from uscl_med3d.report.scores import read_scores
from uscl_med3d.report.style import KNOWN_COLOURS, METHOD_COLOURS, method_colours
from uscl_med3d.report.tables.context import Context


@pytest.fixture(scope="module")
def context(run):
    return Context.of(run.job, read_scores(run.scores))


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def test_every_case_of_a_class_is_a_dot_and_the_median_is_written(run, context):
    figure = cases.build(run.job, run.inputs)
    kidney = figure.axes[list(run.job.classes).index("kidney")]
    label = [tick.get_text() for tick in figure.axes[0].get_yticklabels()].index("full tuning")
    strips = [line for line in kidney.lines if len(line.get_xdata()) > 2]
    rows = context.scored(context.main_runs("full_tuning"), "us", 10)
    values = rows.loc[rows["class"] == "kidney", "dice"]
    assert sorted(strips[label].get_xdata()) == pytest.approx(sorted(values))
    assert f"{values.median():.0f}" in [text.get_text() for text in kidney.texts]


def test_methods_of_a_kind_stand_together(run):
    figure = cases.build(run.job, run.inputs)
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    kinds = {entry.label: entry.prompt for entry in run.job.methods.values()}
    order = [kinds[label] for label in labels]
    assert order == sorted(order, key=list(cases.KINDS).index)
    assert "USCL-Med3D, adapter off" not in labels and "nearest key frame" in labels


def test_a_dot_is_a_case_also_with_several_training_seeds(tmp_path):
    job = fake_run.make_job(tmp_path, training_seeds=[0, 1])
    inputs = FigureInputs(scores=fake_run.make_scores(job, tmp_path, patients=3, clicks=(10,)))
    figure = cases.build(job, inputs)
    liver = figure.axes[list(job.classes).index("liver")]
    assert {len(line.get_xdata()) for line in liver.lines if len(line.get_xdata()) > 2} == {3}


def test_the_worst_case_is_shown_on_its_worst_frame(run, context):
    folder = run.inputs.predictions[0] / failures.FOLDER
    path = next(folder.glob("*_liver.nii.gz"))
    sweep = path.name.removesuffix("_liver.nii.gz")
    case = load_case(run.inputs, sweep, run.job.classes["liver"])
    predicted = load_volume(path)[0].astype(bool)
    wrong = (case.truth != predicted).sum((1, 2))
    assert wrong[failures.worst_frame(case, predicted)] == wrong.max()
    history = click_history(context, "sam_med3d", sweep, "liver")
    text = f"volume Dice {history['dice'].iloc[-1]:.0f}, 10 clicks"
    assert text in texts(failures.build(run.job, run.inputs))


def test_frames_without_annotation_are_never_the_worst():
    truth, predicted = np.zeros((3, 4, 4), bool), np.zeros((3, 4, 4), bool)
    predicted[0], predicted[2, 0] = True, True
    known = np.ones_like(truth)
    known[0] = False
    assert failures.worst_frame(Case(None, truth, known, 0), predicted) == 2


def test_without_kept_worst_cases_it_says_so(run):
    figure = failures.build(run.job, replace(run.inputs, predictions=()))
    assert any("no kept worst case" in text.replace("\n", " ") for text in texts(figure))


def test_the_gap_is_a_hundred_minus_what_the_training_labels_are_worth(run, context):
    quality = read_quality(run.inputs.pseudolabels_dir)
    made = pseudolabel_gap.judge_labels(context, quality)
    rows = quality[(quality["method"] == "seggpt") & (quality["reference"] == "true_mask")]
    mean = rows.loc[(rows["class"] == "spleen") & (rows["split"] == "train"), "dice"].mean()
    assert made["true_mask", "spleen"].mean == pytest.approx(mean)
    figure = pseudolabel_gap.build(run.job, run.inputs)
    assert f"{100 - mean:.0f}" in [text.get_text() for text in figure.axes[0].texts]


def test_labels_of_other_sweeps_do_not_enter_the_gap(context, run):
    quality = read_quality(run.inputs.pseudolabels_dir)
    other = quality.assign(split="val", dice=0.0)
    mixed = pseudolabel_gap.judge_labels(context, pd.concat([quality, other]))
    assert mixed == pseudolabel_gap.judge_labels(context, quality)


def test_each_model_is_shown_on_both_human_references(run, context):
    made = pseudolabel_gap.judge_model(context, "full_tuning")
    assert {kind for kind, _ in made} == {"true_mask", "held_out"}
    for name in context.classes:
        assert made["true_mask", name].mean == pytest.approx(made["held_out", name].mean + 2)


def test_curves_differ_by_colour_and_marker_and_are_dashed_per_slice(run):
    figure = click_curves.build(run.job, run.inputs)
    drawn = [line for line in figure.axes[0].lines if not line.get_label().startswith("_")]
    clicked = [
        entry for entry in run.job.methods.values() if "clicks" in entry.prompt and not entry.weights_of
    ]
    assert len(drawn) == len(clicked) > 6
    assert (
        len({line.get_marker() for line in drawn}) == len({line.get_color() for line in drawn}) == len(drawn)
    )
    for line in drawn:
        assert (line.get_linestyle() == "--") == line.get_label().endswith("(per slice)")


def test_known_methods_keep_their_colour():
    labels = {"a": "new", "full_tuning": "full tuning", "b": "newer"}
    made = method_colours(labels)
    assert made["full_tuning"] == KNOWN_COLOURS["full tuning"]
    assert [made["a"], made["b"]] == list(METHOD_COLOURS[:2])
    assert not set(METHOD_COLOURS) & set(KNOWN_COLOURS.values())


def test_every_training_seed_is_a_circle(tmp_path):
    job = fake_run.make_job(tmp_path, training_seeds=[0, 1, 2])
    inputs = FigureInputs(scores=fake_run.make_scores(job, tmp_path, patients=2, clicks=(10,)))
    figure = rank_curve.build(job, inputs)
    circles = [line for line in figure.axes[0].lines if line.get_markersize() == 2.6]
    ranks = job.methods["uscl_med3d"].grid.ranks
    assert len(circles) == 3 * len(ranks) and all(len(line.get_xdata()) == 3 for line in circles)
    assert "3 training seeds" in texts(figure)
