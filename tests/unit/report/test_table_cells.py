"""Cells of the tables against hand-computed values, and the words for what is missing."""

from __future__ import annotations

import fake_run
import pandas as pd
import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.scores import read_score_file
from uscl_med3d.report.scores import choose_reference, read_scores
from uscl_med3d.report.tables import build_table, build_tables, build_training_cost
from uscl_med3d.report.tables.context import Context
from uscl_med3d.report.tables.layout import arrange, to_latex, to_markdown


@pytest.fixture(scope="module")
def context(run):
    return Context.of(run.job, read_scores(run.scores))


OTHER_PROTOCOLS = (("crop", "oracle"), ("split", "val"), ("click_simulator", "largest_error_centre"))


def pick(frame: pd.DataFrame, **keys) -> pd.Series:
    """The one row with these keys."""
    for name, value in keys.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def raw(run, run_id: str, **keys) -> pd.Series:
    """Dice of a score file, by hand."""
    frame = read_score_file(run.folder / "scores" / f"{run_id}.parquet")
    for name, value in keys.items():
        frame = frame[frame[name] == value]
    return frame


def test_table1_cell_is_the_mean_over_cases(run, context):
    row = pick(build_table("table1", context), method="USCL-Med3D", points=5, **{"class": "kidney"})
    mine = raw(
        run, "uscl_med3d_r32_both_vcl", dataset="us", click=5, reference="true_mask", **{"class": "kidney"}
    )
    assert row["dice"] == pytest.approx(mine["dice"].mean())
    assert (row["n_patients"], row["n_cases"]) == (6, 12)
    assert row["reported"] == 68.29
    assert row["ci_low"] < row["dice"] < row["ci_high"]


def test_table2_cell_is_the_mean_over_classes(run, context):
    row = pick(build_table("table2", context), method="SAM-Med3D", dataset="AMOS", points=10)
    mine = raw(run, "sam_med3d", dataset="amos", click=10).groupby("class")["dice"].mean()
    assert row["dice"] == pytest.approx(mine.mean())
    assert row["reported"] == 74.2


def test_the_same_number_is_the_same_in_every_table(context):
    lora = pick(build_table("table4", context), method="lora(image_encoder+mask_decoder)", dataset="3dus")
    for name, keys in (("table3", {"vcl_head": True}), ("table5", {"rank": 32})):
        row = pick(build_table(name, context), tuned_modules="image_encoder+mask_decoder", **keys)
        assert row[["dice", "ci_low", "ci_high"]].tolist() == lora[["dice", "ci_low", "ci_high"]].tolist()


def test_a_method_that_does_not_exist_has_its_reason_and_the_reported_value(context):
    row = pick(build_table("table1", context), method="FastSAM3D", points=1, **{"class": "liver"})
    assert pd.isna(row["dice"])
    assert row["reason"] == "no method FastSAM3D at this scale: section `methods`"
    assert row["reported"] == 13.73


def test_methods_that_the_paper_lacks_come_last(context):
    methods = list(dict.fromkeys(build_table("table1", context)["method"]))
    assert methods[:3] == ["FastSAM3D", "SAM-Med3D", "USCL-Med3D"]
    entries = [e for e in context.job.methods.values() if "us" in e.datasets]
    clicked = [e.label for e in entries if "clicks" in e.prompt and e.weights_of is None]
    assert "MobileSAM" not in clicked
    further = [label for label in clicked if label not in (*methods[:3], "ball")]
    assert methods[3:] == [*further, "ball", "atlas"]
    assert {"full tuning", "AdaptFormer"} <= set(methods[3:])
    assert list(dict.fromkeys(build_table("table4", context)["method"])) == [
        "baseline",
        "lora(image_encoder+mask_decoder)",
        "full_tuning",
        "adaptformer",
        "LoRA on attention only",
        "USCL-Med3D, adapter off",
    ]


def test_a_new_method_gets_its_row_without_new_code(run, tmp_path):
    methods = run.job.model_dump(mode="json")["methods"]
    methods["fastsam3d"] = methods["sam_med3d"] | {"label": "FastSAM3D"}
    job = fake_run.make_job(tmp_path, methods=methods)
    frame = read_scores(run.scores)
    extra = frame[frame["run"] == "sam_med3d"].assign(run="fastsam3d", method="fastsam3d")
    table = build_table("table1", Context.of(job, pd.concat([frame, extra])))
    assert table.loc[table["method"] == "FastSAM3D", "dice"].notna().all()
    shown = list(dict.fromkeys(table["method"]))
    assert shown[:3] == ["FastSAM3D", "SAM-Med3D", "USCL-Med3D"] and shown.count("FastSAM3D") == 1


def test_held_out_key_frames_are_used_where_there_are_no_true_masks(run):
    frame = read_scores(run.scores)
    frame = frame[frame["reference"] != "true_mask"]
    context = Context.of(run.job, frame)
    assert context.reference == "held_out_key_frames"
    row = pick(build_table("table5", context), rank=8, tuned_modules="mask_decoder")
    mine = raw(run, "uscl_med3d_r8_decoder_vcl", click=10, reference="held_out_key_frames")
    assert row["dice"] == pytest.approx(mine.groupby("class")["dice"].mean().mean())


def test_pseudo_labels_are_never_a_reference():
    frame = pd.DataFrame({"reference": ["pseudo_label"] * 3, "dice": [90.0] * 3, "patient": ["a", "b", "c"]})
    assert choose_reference(frame) == "true_mask"


def test_other_crops_splits_and_simulators_do_not_enter(run, context):
    frame = read_scores(run.scores)
    others = [frame.assign(**{name: value}, dice=0.0) for name, value in OTHER_PROTOCOLS]
    mixed = Context.of(run.job, pd.concat([frame, *others]))
    pd.testing.assert_frame_equal(build_table("table3", mixed), build_table("table3", context))


def test_a_missing_class_is_named_in_the_cell(run):
    frame = read_scores(run.scores)
    context = Context.of(run.job, frame[frame["class"] != "spleen"])
    row = pick(build_table("table3", context), tuned_modules="image_encoder", vcl_head=True)
    assert row["reason"] == "mean without spleen: no scored case"
    assert row["dice"] > 0


def test_a_cohort_without_labels_is_not_scored(tmp_path):
    job = fake_run.make_job(tmp_path)
    path = tmp_path / "scores" / "sam_med3d.parquet"
    first, reason = (
        fake_run.list_runs(job.methods, job.training_seeds)[0],
        "not scored: no reference standard",
    )
    row = fake_run.score_row(first, "us", "p", "s", "liver", "", 10, 0, None, reason)
    fake_run.write_scores(path, pd.DataFrame([row]))
    build_tables(job, [path], tmp_path / "tables")
    table = pd.read_csv(tmp_path / "tables" / "table1.csv")
    assert pick(table, method="SAM-Med3D", points=10, **{"class": "liver"})["reason"] == reason
    assert "not scored" in (tmp_path / "tables" / "table1.md").read_text()


def test_no_scores_at_all_give_tables_of_reasons(tmp_path):
    job = fake_run.make_job(tmp_path)
    build_tables(job, [], tmp_path)
    table = pd.read_csv(tmp_path / "table4.csv")
    assert table["dice"].isna().all()
    assert table["reason"].notna().all()


def test_a_score_file_without_a_column_is_refused(tmp_path):
    path = tmp_path / "x.parquet"
    pd.DataFrame({"run": ["a"], "dice": [3.0]}).to_parquet(path)
    with pytest.raises(InputError, match=r"(?s)x\.parquet.*no column training_seed"):
        read_scores([path])


def test_markdown_and_latex_show_value_interval_reported_and_reason(context):
    layout = arrange(build_table("table2", context), ("method",), ("dataset", "points"))
    markdown = to_markdown(layout, "Title", "Caption.")
    assert (
        "(74.2)" in markdown
        and "<sup>1</sup> no method FastSAM3D at this scale: section `methods`" in markdown
    )
    assert markdown.count("\n| ") == 2 + len(layout.index)
    latex = to_latex(layout, "Title", "100% of_it", "table2")
    assert r"100\% of\_it" in latex and latex.count(r"\\") == 1 + len(layout.index)


def test_training_cost_states_facts_measurements_and_what_is_missing(run, tmp_path):
    out = tmp_path / "training_cost.csv"
    build_training_cost(run.job, run.info[1:], run.cost, out)
    table = pd.read_csv(out).set_index("run")
    full = table.loc["full_tuning"]
    assert (full["trainable_parameters"], full["seconds"], full["batch"]) == (5_700_000, 75.0, 2)
    assert full["peak_memory_gb"] == pytest.approx(1.2)
    assert (full["reported_hours"], full["reported_memory_gb"]) == (38.2, 68.1)
    assert table.iloc[0]["reason"] == f"no facts file of run {table.index[0]}"
    assert "sam_med3d" not in table.index
    assert out.with_suffix(".md").is_file() and out.with_suffix(".tex").is_file()


def test_scores_do_not_depend_on_the_order_of_files(run):
    pd.testing.assert_frame_equal(read_scores(run.scores), read_scores(run.scores[::-1]))


def test_table6_has_a_number_for_each_human_reference(run, context):
    table = build_table("table6", context)
    clicked = table[table["method"] == "USCL-Med3D, 10 clicks"]
    assert set(clicked["reference"]) == {"true_mask", "held_out_key_frames"}
    for reference in ("true_mask", "held_out_key_frames"):
        row = pick(table, reference=reference, method="nearest key frame", **{"class": "kidney"})
        mine = raw(run, "nearest_key_frame", dataset="us", reference=reference, **{"class": "kidney"})
        assert len(mine) and row["dice"] == pytest.approx(mine["dice"].mean())
    mean = pick(table, reference=context.reference, method="USCL-Med3D, 10 clicks", **{"class": "mean"})
    lora = pick(build_table("table4", context), method="lora(image_encoder+mask_decoder)", dataset="3dus")
    assert (mean["dice"], mean["ci_low"]) == (lora["dice"], lora["ci_low"])


def test_methods_without_clicks_are_in_no_table_by_clicks(context):
    # The atlas is there on purpose: a row that looks at nothing.
    labels = {e.label for e in context.job.methods.values() if e.prompt in ("none", "key_frames")} - {"atlas"}
    assert labels
    for name in ("table1", "table2", "table4"):
        assert not labels & set(build_table(name, context)["method"])
