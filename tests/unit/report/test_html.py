"""The page is one file that needs nothing else, and says plainly what is bad."""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import fake_run
import pandas as pd
import pytest

from uscl_med3d.core.io import write_json
from uscl_med3d.report.figures import FIGURES, draw
from uscl_med3d.report.html import ReportInputs, build_report
from uscl_med3d.report.html.cost import FILES
from uscl_med3d.report.html.left_out import left_out
from uscl_med3d.report.html.provenance import DIGITS, read_origins
from uscl_med3d.report.tables import TABLES
from uscl_med3d.report.tables.layout import value_column


def receipt_of(run: str) -> dict:
    """A receipt as the stage `evaluate` writes it."""
    weights = hashlib.sha256(run.encode()).hexdigest()
    return {
        "verb": "evaluate",
        "params": {"run": run},
        "python": "3",
        "libraries": {},
        "inputs": {"volumes": "0" * 64, f"checkpoints/finetune/{run}.safetensors": weights},
        "outputs": {"predictions": "1" * 64, f"scores/{run}.parquet": "2" * 64},
        "code": {"modules": 3, "sha256": "3" * 64},
    }


VOID = {"meta", "img", "br", "link"}


class Checker(HTMLParser):
    """Collects anchors, links and sources, and checks that tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.ids, self.links, self.sources = [], set(), [], []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids |= {values["id"]} if "id" in values else set()
        self.links += [values["href"]] if "href" in values else []
        self.sources += [values["src"]] if "src" in values else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def write(run, built, tmp_path):
    """Write the page and return its text."""
    params = tmp_path / "params" / "evaluate"
    params.mkdir(parents=True)
    for one in run.scores:
        (params / f"{one.stem}.json").write_text("{}")
    for one in run.scores:
        write_json(tmp_path / "receipts" / f"{one.stem}.json", receipt_of(one.stem))
    draw("fig4", run.job, run.inputs, tmp_path / "figures")

    def made(passed: bool = True) -> str:
        gate = fake_run.make_gate(tmp_path, {"full_tuning": 30.0 if passed else 3.0})
        page = tmp_path / "report.html"
        inputs = ReportInputs(
            built / "tables",
            tmp_path / "figures",
            built / "claims.csv",
            run.inputs.pseudolabels_dir,
            gate,
            run.made.splits_csv,
            params.parent,
            tmp_path / "receipts",
            info_files=run.info,
        )
        build_report(run.job, inputs, page)
        return page.read_text(encoding="utf-8")

    return made


def test_the_page_is_whole_and_needs_no_network(write):
    text = write()
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert all(link in FILES or (link.startswith("#") and link[1:] in checker.ids) for link in checker.links)
    assert checker.sources and all(source.startswith("data:image/png;base64,") for source in checker.sources)
    assert not re.search(r"https?://", text) and "<script" not in text and 'name="viewport"' in text


def test_numbers_of_the_tables_are_on_the_page_with_their_run(write, built):
    text = write()
    table = pd.read_csv(built / "tables" / "table1.csv")
    for value in table["dice"].dropna():
        assert re.search(rf">{value:.1f}[^<]*</a>", text), value
    assert 'href="#origin-uscl_med3d_r32_both_vcl"' in text and "patients" in text


def test_a_number_names_its_weights_and_parameters(write):
    text = write()
    weights = hashlib.sha256(b"uscl_med3d_r32_both_vcl").hexdigest()[:DIGITS]
    parameters = hashlib.sha256(b'{"run": "uscl_med3d_r32_both_vcl"}').hexdigest()[:DIGITS]
    hints = [hint for hint in re.findall(r'title="([^"]*)"', text) if "uscl_med3d_r32_both_vcl" in hint]
    assert hints
    assert all(weights in hint and f"parameters {parameters}" in hint for hint in hints)
    row = text[text.index('id="origin-uscl_med3d_r32_both_vcl"') :].split("</tr>")[0]
    assert weights in row and parameters in row and "2" * DIGITS in row


def test_the_parameters_of_a_run_have_the_hash_that_trace_prints(tmp_path):
    from uscl_med3d.provenance import trace

    write_json(tmp_path / "a.json", receipt_of("a"))
    origin = read_origins(tmp_path)["a"]
    assert origin.parameters == trace._hash(receipt_of("a")["params"])
    assert read_origins(tmp_path / "none") == {}


def test_the_hash_is_that_of_the_scores_among_the_outputs_of_evaluate(tmp_path):
    outputs = {"results/phantom/image_use/a.parquet": "1" * 64, "results/phantom/scores/a.parquet": "2" * 64}
    write_json(tmp_path / "a.json", receipt_of("a") | {"outputs": outputs})
    assert read_origins(tmp_path)["a"].scores == "2" * 64


def test_only_runs_are_listed(write, tmp_path):
    write_json(tmp_path / "receipts" / "gate-check.json", receipt_of("gate-check") | {"outputs": {}})
    text = write()
    assert "origin-gate-check" not in text
    for link in re.findall(r'href="#(origin-[^"]*)"', text):
        assert f'id="{link}"' in text


def test_every_table_and_figure_has_its_place(write):
    checker = Checker()
    text = write()
    checker.feed(text)
    assert set(TABLES) <= checker.ids and {"cost", "provenance"} <= checker.ids
    for name in FIGURES:
        assert name in checker.ids or f"({name}.png is missing)" in text


def test_table_7_shows_its_own_numbers(write, built):
    text = write()
    section = text[text.index("id='table7'") :].split("</section>")[0]
    table = pd.read_csv(built / "tables" / "table7.csv")
    for value in table[value_column(TABLES["table7"])].dropna():
        assert re.search(rf">{value:.1f}[^<]*</a>", section), value
    assert "NoC@80" in section and "takes no clicks" in section


def test_it_says_that_seggpt_loses_and_that_the_gate_failed(write):
    text = write(passed=False)
    assert "SegGPT LOSES to shape interpolation" in text
    assert "Gate NOT passed" in text and "full_tuning owes 3.0 and 3.0 points" in text


def test_what_is_missing_is_said(run, tmp_path):
    nothing = ReportInputs(tmp_path, tmp_path, tmp_path / "no.csv")
    build_report(run.job, nothing, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    for words in (
        "was not run",
        "No split file",
        "not scored",
        "table1.csv is missing",
        "No claims table",
        "not drawn",
    ):
        assert words.lower() in text.lower()


def test_equal_inputs_give_equal_bytes(write):
    assert write() == write()


def test_sweeps_that_were_left_out_are_listed(tmp_path):
    path = tmp_path / "failures.csv"
    header = "sweep,patient,split,file,found,expected,remedy\n"
    path.write_text(header)
    assert "Every sweep of the cohort table was used" in left_out(SimpleNamespace(failures_csv=path))
    path.write_text(header + "s1,p1,train,a<b>.mp4,cut off,a whole video,export again\n" * 2)
    text = left_out(SimpleNamespace(failures_csv=path))
    assert "1 sweep of the cohort table could not be used" in text and "a&lt;b&gt;.mp4" in text
    assert text.count("<tr><td>s1</td>") == 2 and "note bad" in text
    assert "No record" in left_out(SimpleNamespace(failures_csv=None))
