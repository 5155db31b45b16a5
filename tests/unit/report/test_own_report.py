"""The report of a user's own cohort, with classes of its own: it speaks of that run and of nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_run
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from test_html import Checker, receipt_of

from uscl_med3d.core.io import write_csv, write_json
from uscl_med3d.core.params import load_job, slice_job, validate
from uscl_med3d.core.params.files import overlay, read_defaults
from uscl_med3d.core.reporting import OWN_TABLES
from uscl_med3d.core.scores import write_scores
from uscl_med3d.report.figures import FigureInputs, draw
from uscl_med3d.report.html import ReportInputs, build_report
from uscl_med3d.report.html.own import NOT_LOOKED, NOTHING
from uscl_med3d.report.html.sheets import MOST_SHOWN
from uscl_med3d.report.tables import build_tables, build_training_cost

CLASSES = {"nerve": 1, "vessel": 2, "tendon": 9}
NAMES = {"pleural_effusion": "nerve", "ascites": "vessel"}
"""Class of the made-up run -> own class; the others are dropped, and no sweep shows a tendon."""
FOREIGN = (
    "paper",
    "claim",
    "liver",
    "spleen",
    "kidney",
    "ascites",
    "effusion",
    "FastSAM3D",
    "AMOS",
    "BraTS",
    "gate (on|passed|not passed)",
)


def make_job(folder: Path) -> Any:
    """The job of `figure` of an own cohort with its defaults; figures small, few resamples."""
    between = yaml.safe_load((fake_run.ROOT / "params/own_cohort.yaml").read_text(encoding="utf-8"))
    own = {
        "scale": "mine",
        "cohort": "x.csv",
        "classes": CLASSES,
        "report": {"n_boot": 100},
        "figures": {"dpi": 72},
    }
    made = validate(overlay(overlay(read_defaults(fake_run.ROOT), between), own), "mine")
    write_json(folder / "job.json", slice_job(made, "figure"))
    return load_job("figure", folder / "job.json")


def rename(path: Path) -> None:
    """Own classes in a table of the made-up run."""
    frame = pd.read_csv(path)
    write_csv(
        path, frame[frame["class"].isin(NAMES)].assign(**{"class": lambda one: one["class"].map(NAMES)})
    )


def make_own_scores(job: Any, folder: Path, scored: bool) -> list[Path]:
    """Scores with own classes; not `scored`: as `evaluate` writes them of a cohort without references."""
    found = fake_run.make_scores(job, folder, patients=4)
    for path in found:
        rows = pd.read_parquet(path)
        rows = rows[rows["class"].isin(NAMES)]
        rows["class"] = rows["class"].astype(str).map(NAMES)
        if not scored:
            rows = rows.assign(dice=np.nan, reason="not scored: the sweep has no key frames and no reference")
        write_scores(path, rows)
    return found


def make_sheets(folder: Path, number: int = 3) -> Path:
    """Contact sheets of some sweeps, of which the last one cannot be read."""
    listed = []
    for place in range(number):
        name, broken = f"p{place}", place == number - 1
        Image.new("RGB", (8, 8)).save(folder_of(folder) / f"{name}.png")
        listed.append(
            {
                "name": name,
                "facts": {"frames": f"{10 + place} of 48 x 40 pixels"},
                "assumed": ["studio range"],
                "errors": [
                    {"file": "a<b.mp4", "found": "cut", "expected": "whole", "remedy": "export it anew"}
                ]
                * broken,
                "key_frames": {} if broken else {"2": {"nerve": 31}},
                "contact_sheet": None if broken else f"{name}.png",
            }
        )
    write_json(folder_of(folder) / "sheets.json", listed)
    return folder_of(folder)


def folder_of(folder: Path) -> Path:
    """`sheets` in a folder."""
    (folder / "sheets").mkdir(exist_ok=True)
    return folder / "sheets"


def make_run(folder: Path, scored: bool) -> SimpleNamespace:
    """Everything that the report of an own cohort is made of, and the page."""
    job = make_job(folder)
    scores, made = make_own_scores(job, folder, scored), fake_run.make_volumes(folder)
    labels = fake_run.make_pseudolabels(folder, made)
    for name in ("frames.csv", "quality.csv"):
        rename(labels / name)
    predictions = fake_run.make_predictions(job, folder, made, ["sam_med3d", "uscl_med3d_r32_both_vcl"])
    for path in sorted(folder.glob("predictions/**/*.nii.gz")):
        for old, new in NAMES.items():
            if path.name.endswith(f"_{old}.nii.gz"):
                path.rename(path.with_name(path.name.replace(f"_{old}.", f"_{new}.")))
    info, cost = fake_run.make_costs(job, folder)
    inputs = FigureInputs(
        made.volumes_dir, made.splits_csv, labels, scores, fake_run.make_curves(job, folder), predictions
    )
    build_tables(job, scores, folder / "tables")
    build_training_cost(job, info, cost, folder / "tables/training_cost.csv")
    names = job.figures.drawn if scored else ("fig1", "fig2")
    for name in names:
        draw(name, job, inputs, folder / "figures")
    for path in scores:
        write_json(folder / "receipts" / f"{path.stem}.json", receipt_of(path.stem))
    gate = {"passed": False, "required": False, "failures": ["too weak"], "image_use": {}, "blind": {}}
    write_json(folder / "gate.json", gate)
    report = ReportInputs(
        folder / "tables",
        folder / "figures",
        None,
        labels,
        folder / "gate.json",
        made.splits_csv,
        folder / "none",
        folder / "receipts",
        None,
        info,
        None,
        make_sheets(folder),
    )
    build_report(job, report, folder / "report.html")
    page = (folder / "report.html").read_text(encoding="utf-8")
    return SimpleNamespace(folder=folder, job=job, scores=scores, report=report, page=page)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A scored run."""
    return make_run(tmp_path_factory.mktemp("own"), True)


@pytest.fixture(scope="module")
def unscored(tmp_path_factory):
    """A run whose test sweeps have no reference."""
    return make_run(tmp_path_factory.mktemp("unscored"), False)


def words_of(page: str) -> str:
    """The page without pictures and style."""
    return re.sub(r"<style>.*?</style>|data:image/png;base64,[^\"]*", "", page, flags=re.DOTALL)


@pytest.mark.parametrize("name", ["own", "unscored"])
def test_the_page_is_whole_and_says_nothing_foreign(name, request):
    page = request.getfixturevalue(name).page
    checker = Checker()
    checker.feed(page)
    assert checker.open == [] and all(source.startswith("data:image/png") for source in checker.sources)
    found = [word for word in FOREIGN if re.search(word, words_of(page), re.IGNORECASE)]
    assert not found, found


def test_the_same_words_are_on_the_page_of_the_benchmark(run, built, tmp_path):
    """The control: they are left out because the run is an own cohort, not because nobody says them any more."""
    report = ReportInputs(built / "tables", tmp_path, built / "claims.csv", run.inputs.pseudolabels_dir)
    build_report(run.job, report, tmp_path / "report.html")
    text = words_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert all(re.search(word, text, re.IGNORECASE) for word in FOREIGN)


def test_tables_have_the_runs_and_the_scored_classes_alone(own):
    made = {path.stem for path in (own.folder / "tables").glob("table*.csv")}
    assert made == set(OWN_TABLES)
    table = pd.read_csv(own.folder / "tables/table1.csv")
    assert set(table["method"]) == {"SAM-Med3D", "USCL-Med3D"} and set(table["class"]) == {"nerve", "vessel"}
    assert table["dice"].notna().all() and table["reported"].isna().all()
    assert "reported" not in (own.folder / "tables/training_cost.md").read_text().lower()


def test_the_summary_is_the_mean_of_the_scores(own):
    frames = [pd.read_parquet(path) for path in own.scores]
    rows = pd.concat(frames)
    rows = rows[(rows["click"] == 10) & (rows["reference"] == "true_mask")]
    for method, label in (("sam_med3d", "SAM-Med3D"), ("uscl_med3d", "USCL-Med3D")):
        mean = rows[rows["method"] == method].groupby("class")["dice"].mean().mean()
        assert f"{label} {mean:.1f}" in own.page
    assert "(4 test patients)" in own.page and "too few to tell small differences" in own.page


def test_what_was_not_measured_is_one_sentence_and_no_verdict(unscored):
    assert NOTHING in unscored.page and "Nothing was scored" in unscored.page
    assert "too weak" not in unscored.page and "NOT passed" not in unscored.page
    assert "<th>Method" not in unscored.page
    assert NOT_LOOKED.split(":")[0] in unscored.page


def test_contact_sheets_are_in_the_page_with_what_is_wrong_first(own):
    places = [own.page.index(f'id="sheet-p{number}"') for number in (2, 0, 1)]
    assert places == sorted(places)
    assert (
        own.page.count("contact sheet of p") == 2
        and "export it anew" in own.page
        and "a&lt;b.mp4" in own.page
    )
    assert "key frame 2: nerve 31 px" in own.page and "assumed: studio range" in own.page


def test_a_large_cohort_names_the_sheets_that_the_page_does_not_hold(own, tmp_path):
    report = replace(own.report, sheets_dir=make_sheets(tmp_path, MOST_SHOWN + 3))
    build_report(own.job, report, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("contact sheet of p") == MOST_SHOWN
    linked = re.findall(r'href="(sheets/[^"]*)"', page)
    assert len(linked) == 2 and all((tmp_path / path).is_file() for path in linked)


def test_colours_of_own_classes_are_drawn(own):
    """Figures do not fail on them, and the colour of the nerve is in the picture of its contour."""
    from uscl_med3d.core.palette import COLOURS, as_hex

    assert own.job.figures.colours["nerve"] == as_hex(COLOURS[0])
    with Image.open(own.folder / "figures/fig1.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert (np.abs(pixels - COLOURS[0]).max(-1) < 12).sum() > 20
