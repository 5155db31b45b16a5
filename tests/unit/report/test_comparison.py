"""The comparison with pseudo-labels: paired, on its own rows, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import fake_run
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from uscl_med3d.core.reporting import TABLES
from uscl_med3d.core.scores import read_score_file, write_scores
from uscl_med3d.evaluate.gate import mean_dice
from uscl_med3d.report.claims import build_claims
from uscl_med3d.report.comparison import judge_gap
from uscl_med3d.report.figures import FigureInputs, cases, click_curves, pseudolabel_gap
from uscl_med3d.report.scores import PSEUDO_LABEL, SAME_FRAMES, read_scores
from uscl_med3d.report.tables import build_table
from uscl_med3d.report.tables.context import Context


def as_compared(rows: pd.DataFrame, gap: float, split: str = "val") -> pd.DataFrame:
    """Rows on true masks as both references of the comparison: the pseudo-label `gap` points above the truth."""
    truth = rows[rows["reference"] == "true_mask"].assign(split=split, reference=SAME_FRAMES)
    return pd.concat([truth, truth.assign(reference=PSEUDO_LABEL, dice=(truth["dice"] + gap).clip(0, 100))])


@pytest.fixture(scope="module")
def compared(run, tmp_path_factory) -> list:
    """Score files of `run` with a gap of 3 points; rows of the same kind that do not belong are far off."""
    folder, paths = tmp_path_factory.mktemp("compared"), []
    for path in run.scores:
        rows = read_score_file(path)
        low = rows.assign(dice=rows["dice"] * 0.2)
        parts = [rows, as_compared(low, 3.0), as_compared(low.assign(dice=1.0), 0.0, split="test")]
        paths.append(folder / path.name)
        write_scores(paths[-1], pd.concat(parts))
    return paths


def test_the_gap_is_the_paired_difference(run, compared):
    context = Context.of(run.job, read_scores(compared))
    runs = context.main_runs("full_tuning")
    gap = judge_gap(run.job, read_scores(compared), runs, 10)
    truth = context.scored(runs, "us", 10, "true_mask").groupby("class")["dice"].mean().mean()
    assert gap.truth.mean == pytest.approx(0.2 * truth)
    assert gap.pseudo_label.mean == pytest.approx(0.2 * truth + 3)
    assert [gap.difference.mean, gap.difference.low, gap.difference.high] == pytest.approx([3.0] * 3)


def test_a_case_with_one_reference_only_enters_neither_mean(run, compared):
    scores = read_scores(compared)
    runs = Context.of(run.job, scores).main_runs("full_tuning")
    before = judge_gap(run.job, scores, runs, 10)
    one = (scores["reference"] == PSEUDO_LABEL) & (scores["patient"] == "a00")
    after = judge_gap(run.job, scores.assign(dice=scores["dice"].mask(one)), runs, 10)
    assert after.truth.n_patients == after.pseudo_label.n_patients == before.truth.n_patients - 1


def test_tables_and_claims_are_the_same_without_these_rows(run, compared, tmp_path):
    plain, more = (Context.of(run.job, read_scores(paths)) for paths in (run.scores, compared))
    for name in TABLES:
        pd.testing.assert_frame_equal(build_table(name, plain), build_table(name, more))
    made = []
    for name, scores in (("plain", run.scores), ("more", compared)):
        build_claims(run.job, scores, run.info, run.inputs.pseudolabels_dir, None, tmp_path / f"{name}.csv")
        made.append((tmp_path / f"{name}.csv").read_bytes())
    assert made[0] == made[1]


def test_other_figures_are_the_same_without_these_rows(run, compared):
    for module in (cases, click_curves):
        drawn = [module.build(run.job, replace(run.inputs, scores=paths)) for paths in (run.scores, compared)]
        for plain, more in zip(drawn[0].axes, drawn[1].axes, strict=True):
            for one, other in zip(plain.lines, more.lines, strict=True):
                np.testing.assert_array_equal(one.get_xydata(), other.get_xydata())


def test_the_gate_looks_at_the_truth_on_whole_volumes_only():
    run = type(
        "Run", (), dict.fromkeys(("id", "method", "rank", "modules", "pretraining", "training_seed"), "x")
    )
    row = fake_run.score_row(run, "us", "p", "s", "liver", "true_mask", 1, 0, 50.0) | {"split": "val"}
    rows = pd.DataFrame([row])
    both = pd.concat([rows, as_compared(rows, 40.0)])
    assert mean_dice(both) == 50.0


def test_the_figure_says_the_gap_of_every_trained_method(run, compared):
    figure = pseudolabel_gap.build(run.job, replace(run.inputs, scores=compared))
    below = figure.axes[-1]
    labels = [tick.get_text() for tick in below.get_xticklabels()]
    trained = [entry.label for entry in run.job.methods.values() if entry.trained]
    assert set(labels) == {"SAM-Med3D", *trained}
    assert len([text for text in below.texts if text.get_text().startswith("+3.0\n[+3.0, +3.0]")]) == len(
        labels
    )


def test_without_true_masks_there_is_a_dash_with_the_reason(run, compared):
    scores = read_scores(compared)
    runs = Context.of(run.job, scores).main_runs("unet")
    reason = "not scored: no complete reference masks"
    truth = scores["reference"] == SAME_FRAMES
    scores = scores.assign(dice=scores["dice"].mask(truth), reason=scores["reason"].mask(truth, reason))
    gap = judge_gap(run.job, scores, runs, 0)
    assert gap.difference is None and gap.reason == reason
    assert pseudolabel_gap._describe(gap).startswith("– not scored:")
    figure = pseudolabel_gap.build(run.job, FigureInputs(scores=run.scores))
    texts = " ".join(text.get_text().replace("\n", " ") for text in figure.findobj(Text))
    assert "no validation sweep has both references" in texts
