"""Image use: the paired difference, its interval over patients, the columns, the marks, the figure and the section."""

from __future__ import annotations

import math
from types import SimpleNamespace

import fake_run
import numpy as np
import pandas as pd
import pytest

from uscl_med3d.core.io import read_json, write_json
from uscl_med3d.core.scores import IMAGE_USE, read_score_file, write_scores
from uscl_med3d.evaluate.gate import judge_seeing
from uscl_med3d.report.claims import build_claims
from uscl_med3d.report.figures import FigureInputs, draw
from uscl_med3d.report.figures import image_use as drawn
from uscl_med3d.report.gate import NOT_TESTABLE
from uscl_med3d.report.html import sections
from uscl_med3d.report.html.image_use import image_use as section
from uscl_med3d.report.image_use import COLUMNS, build_image_use
from uscl_med3d.report.tables import build_tables
from uscl_med3d.report.tables.blind import mark_below
from uscl_med3d.report.tables.layout import MARK, arrange, to_latex, to_markdown

GAIN = {"sam_med3d": 0.0, "full_tuning": 30.0}
"""Points that a made-up model gains by looking."""


def make_file(folder, run: str, gain: float, patients: int = 8):
    rows = []
    for number in range(patients):
        for name in ("liver", "spleen"):
            for dataset in ("us", "amos"):
                for points in (1, 10):
                    other = 20 + points + number
                    case = (run, dataset, "test", f"p{number}", f"c{number}", name, points)
                    rows += [(*case, "own", other + gain + (number % 2)), (*case, "other", other)]
    rows.append((run, "us", "val", "v", "v", "liver", 1, "own", 100.0))  # validation enters nothing
    rows.append((run, "us", "val", "v", "v", "liver", 1, "other", 0.0))
    rows.append((run, "us", "test", "p0", "alone", "liver", 1, "own", 100.0))  # nor a case with one image
    write_scores(folder / f"{run}.parquet", pd.DataFrame(rows, columns=IMAGE_USE.names), IMAGE_USE)
    return folder / f"{run}.parquet"


@pytest.fixture(scope="module")
def used(run, tmp_path_factory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("use")
    files = [make_file(folder, name, gain) for name, gain in GAIN.items()]
    build_image_use(run.job, files, folder / "image_use.csv")
    return SimpleNamespace(
        csv=folder / "image_use.csv", frame=pd.read_csv(folder / "image_use.csv"), files=files
    )


def test_the_difference_is_paired_and_over_patients(used):
    frame = used.frame
    assert tuple(frame) == COLUMNS
    assert list(dict.fromkeys(frame["method"])) == ["SAM-Med3D", "full tuning"]
    assert set(frame["dataset"]) == {"ultrasound", "AMOS"} and set(frame["points"]) == {1, 10}
    for row in frame.itertuples():
        gain = {"SAM-Med3D": 0.5, "full tuning": 30.5}[row.method]
        assert row.difference == pytest.approx(gain) == pytest.approx(row.dice_own - row.dice_other)
        assert row.ci_low <= gain < row.ci_high and row.n_patients == 8
        # The patients' own level, which varies by 7 points, is in neither end of the interval.
        assert row.ci_high - row.ci_low < 1.5


def test_a_model_without_own_image_rows_has_no_row(run, tmp_path):
    build_image_use(run.job, [], tmp_path / "none.csv")
    assert tuple(pd.read_csv(tmp_path / "none.csv")) == COLUMNS
    assert len(pd.read_csv(tmp_path / "none.csv")) == 0


def test_tables_carry_the_difference_of_their_click_count(run, used, tmp_path):
    build_tables(run.job, run.scores, tmp_path, used.csv)
    table = pd.read_csv(tmp_path / "table1.csv")
    base = table[table["method"] == "SAM-Med3D"].set_index(["points", "class"])["image_use"]
    assert base[1].eq(0.5).all() and base[10].eq(0.5).all() and base[3].isna().all()
    other = pd.read_csv(tmp_path / "table4.csv").set_index(["method", "dataset"])["image_use"]
    assert other["full_tuning", "AMOS"] == 30.5 and math.isnan(other["full_tuning", "BraTS"])
    for name in ("table1", "table2", "table6"):
        assert {"ball", "atlas"} <= set(pd.read_csv(tmp_path / f"{name}.csv")["method"])


def frame_of(values: dict[str, float]) -> pd.DataFrame:
    rows = [
        {"method": name, "points": points, "dice": value, "reason": "", "ci_low": np.nan, "reported": np.nan}
        for name, value in values.items()
        for points in (1, 10)
    ]
    return pd.DataFrame(rows)


def test_what_is_below_a_row_that_looks_at_nothing_is_marked():
    frame = frame_of({"a": 50.0, "b": 61.0, "c": 70.0, "d": np.nan, "ball": 60.0, "atlas": 65.0})
    marked = mark_below(frame, ("method", "points"), "dice")
    below = marked[marked["points"] == 1].set_index("method")["below"].to_dict()
    assert below == {"a": "ball, atlas", "b": "atlas", "c": "", "d": "", "ball": "", "atlas": ""}
    layout = arrange(marked, ("method",), ("points",))
    assert f"50.0{MARK}" in to_markdown(layout, "T", "C") and "70.0 |" in to_markdown(layout, "T", "C")
    assert r"50.0$^\dagger$" in to_latex(layout, "T", "C", "t")


def test_where_less_is_better_more_is_marked():
    frame = pd.DataFrame(
        [
            {"method": method, "measure": measure, "value": value, "below": ""}
            for measure, values in {
                "dice": {"a": 70.0, "b": 40.0, "ball": 50.0},
                "failures": {"a": 10.0, "b": 80.0, "ball": 60.0},
                "noc_80": {"a": 3.0, "b": 10.0, "ball": 9.0},
                "hd95_mm": {"a": 4.0, "b": 12.0, "ball": 9.0},
            }.items()
            for method, value in values.items()
        ]
    )
    marked = mark_below(frame, ("method", "measure"), "value").groupby("method")["below"].unique()
    assert list(marked["a"]) == [""] and list(marked["b"]) == ["ball"]


def test_without_such_rows_nothing_is_marked():
    frame = frame_of({"a": 50.0}).assign(below="")
    assert mark_below(frame, ("method", "points"), "dice")["below"].eq("").all()


def test_the_mark_needs_the_same_cell():
    frame = frame_of({"a": 50.0, "ball": 60.0})
    frame.loc[(frame["method"] == "ball") & (frame["points"] == 10), "dice"] = 40.0
    marked = mark_below(frame, ("method", "points"), "dice").set_index(["method", "points"])["below"]
    assert marked["a", 1] == "ball" and marked["a", 10] == ""


def test_figure_and_section(run, used, tmp_path):
    draw("image_use", run.job, FigureInputs(image_use=used.csv), tmp_path)
    assert (tmp_path / "image_use.png").stat().st_size > 5000
    inputs = SimpleNamespace(figures_dir=tmp_path, image_use_csv=used.csv)
    text = section(run.job, inputs)
    assert (
        "these gain by looking (Dice points): full tuning +30.5. For these no gain is shown: SAM-Med3D."
        in text
    )
    none = SimpleNamespace(figures_dir=tmp_path, image_use_csv=tmp_path / "none.csv")
    assert "Not measured in this run" in section(run.job, none)
    assert drawn.build(run.job, FigureInputs()).axes


def test_rows_that_look_at_nothing_gain_nothing_by_looking(run, tmp_path):
    files = [make_file(tmp_path, name, 5.0) for name in ("ball", "full_tuning")]
    build_image_use(run.job, files, tmp_path / "use.csv")
    text = section(run.job, SimpleNamespace(figures_dir=tmp_path, image_use_csv=tmp_path / "use.csv"))
    assert "full tuning +5.5" in text and "ball +" not in text


def test_a_model_that_ignores_the_image_is_named(run, tmp_path):
    files = [make_file(tmp_path, "sam_med3d", -0.5)]
    build_image_use(run.job, files, tmp_path / "use.csv")
    text = section(run.job, SimpleNamespace(figures_dir=tmp_path, image_use_csv=tmp_path / "use.csv"))
    assert "no gain is shown: SAM-Med3D" in text and "these gain" not in text


def test_claims_about_training_are_not_tested_on_blind_models(run, tmp_path):
    gates = {
        "open": None,
        "all_see": fake_run.make_gate(tmp_path, {"full_tuning": 30.0, "sam_med3d": 30.0}),
        "shut": None,
    }
    verdicts = {}
    for name in gates:
        gate = (
            fake_run.make_gate(tmp_path, {"full_tuning": 3.0, "sam_med3d": 30.0})
            if name == "shut"
            else gates[name]
        )
        build_claims(run.job, run.scores, run.info, None, gate, tmp_path / f"{name}.csv")
        verdicts[name] = pd.read_csv(tmp_path / f"{name}.csv").set_index("id")
    assert verdicts["open"].equals(verdicts["all_see"])
    changed = verdicts["open"]["verdict"] != verdicts["shut"]["verdict"]
    assert {"full-best", "full-forgets"} <= set(changed[changed].index)
    assert verdicts["shut"].loc[changed, "verdict"].eq(NOT_TESTABLE).all()
    assert "full_tuning owes 3.0 and 3.0 points" in verdicts["shut"].loc["full-best", "why"]
    # A claim that compares none of these models is judged as before.
    assert not changed["vcl-both"] and not changed["us-lead"]


def test_the_page_names_who_looks_and_who_is_marked(tmp_path):
    gate = fake_run.make_gate(tmp_path, {"full_tuning": 3.0, "sam_med3d": 30.0})
    text = sections.gate(SimpleNamespace(gate_json=gate))
    assert (
        "Gate NOT passed" in text
        and "full_tuning owes 3.0" in text
        and "Look at the image: sam_med3d." in text
    )
    text = sections.gate(SimpleNamespace(gate_json=fake_run.make_gate(tmp_path, {"full_tuning": 30.0})))
    assert "Gate passed" in text and "Looking too little" not in text and "Not above" not in text
    result = read_json(tmp_path / "gate.json")
    result["blind"] = {
        "a": {"method": "adaptformer", "dice": 50.0, "passed": False, "floors": {"atlas": 60.0}}
    }
    write_json(tmp_path / "gate.json", result)
    text = sections.gate(SimpleNamespace(gate_json=tmp_path / "gate.json"))
    assert "Not above a row that looks at nothing (Dice): adaptformer 50.0." in text


def test_the_gate_takes_the_same_mean(run, tmp_path):
    """Structures of a general-domain set are compared in unequal numbers, so that two ways of averaging differ."""
    rows = [
        ("sam_med3d", "amos", split, f"p{case}", f"c{case}", name, points, image, dice)
        for split in ("val", "test")
        for name, cases, owed in (("liver", 6, 10.0), ("spleen", 2, 50.0))
        for case in range(cases)
        for points in (1, 10)
        for image, dice in (("own", 60.0), ("other", 60.0 - owed))
    ]
    file = tmp_path / "sam_med3d.parquet"
    write_scores(file, pd.DataFrame(rows, columns=IMAGE_USE.names), IMAGE_USE)
    build_image_use(run.job, [file], tmp_path / "image_use.csv")
    table = pd.read_csv(tmp_path / "image_use.csv")
    rule = SimpleNamespace(datasets=("amos",), first_click=15, last_click=20, required=True)
    judged = judge_seeing(read_score_file(file, IMAGE_USE.names), rule)
    assert judged is not None
    assert [judged["first_click"], judged["last_click"]] == list(table["difference"]) == [20.0, 20.0]
