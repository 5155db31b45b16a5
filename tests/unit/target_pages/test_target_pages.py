"""Pages of targets: what they say comes from the files, and what is missing is said."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from uscl_med3d.core.stages import STAGES
from uscl_med3d.provenance.dvc_yaml import list_code
from uscl_med3d.target_pages import TARGETS, samus, ssl_tables, usgra
from uscl_med3d.target_pages.tables import UNKNOWN

NAMES = sorted(TARGETS)
SHOWN = {"ssl": ssl_tables.TABLES, "samus": samus.TABLES, "usgra": (usgra.TABLE,)}
VOID = {"meta", "img", "br"}


def put(row: str, key: str, column: str, value: object):
    """A change of one cell: in the row whose `key` is `row`."""

    def change(table):
        table[column] = table[column].astype(object)
        assert (table[key] == row).any()
        table.loc[table[key] == row, column] = value

    return change


class Checker(HTMLParser):
    """Checks that tags close, and collects what the page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values[name] for name in ("href", "src") if name in values]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", NAMES)
def test_page_is_one_file_and_the_same_every_time(copy, name):
    landed = copy(name)
    page = landed.page()
    assert page == landed.page()
    checker = Checker()
    checker.feed(page)
    assert not checker.open and len(checker.ids) == len(set(checker.ids))
    assert all(link.startswith("data:image/png;base64,") or link[1:] in checker.ids for link in checker.links)
    assert not re.search(r"<script|https?://", page)
    assert escape(landed.target.asked) in page and landed.target.command in page


def test_summary_of_ssl_is_read_from_its_claims(copy):
    landed = copy("ssl")
    before = landed.summary()
    landed.change("claims", put("C1b", "claim", "estimate", 7.77))
    after = landed.summary()
    assert before != after and "+7.8" in after and "+7.8" not in before
    landed.change("claims", put("C1b", "claim", "verdict", "supported"))
    assert landed.summary().startswith("Confirmed to help: C1b (1 of ")
    assert landed.summary() in landed.page()


def test_a_control_that_fails_is_said_first(copy):
    landed = copy("ssl")
    assert landed.summary().endswith("the controls hold.")
    landed.change("claims", put("C0n", "claim", "verdict", "supported"))
    assert landed.summary().endswith("controls do NOT hold: C0n.")
    landed.change("claims", put("C0", "claim", "verdict", "undecided"))
    assert landed.summary().endswith("controls do NOT hold: C0, C0n.")
    assert 'class="note bad">Controls that do not hold: C0, C0n' in landed.page()


def test_a_control_that_was_not_run_does_not_hold(copy):
    landed = copy("ssl")
    landed.change("claims", put("C0s", "claim", "claim", "C9"))
    assert landed.summary().endswith("controls do NOT hold: C0s.")


def test_summary_of_samus_is_read_from_its_tables(copy):
    landed = copy("samus")
    before = landed.summary()
    landed.change("s2", lambda table: table.replace({"seen_dice": {44.02: 55.55}}, inplace=True))
    assert "55.5" in landed.summary() or "55.6" in landed.summary()
    landed.change("claims", put("task", "id", "verdict", "supported"))
    assert before != landed.summary() and "1 supported" in landed.summary()
    assert "SAMUS looks at the image" in landed.page()


def test_summary_of_usgra_names_the_best_method(copy):
    landed = copy("usgra")
    assert "SAMed has the highest" not in landed.summary()
    landed.change("stills", put("SAMed", "method", "dice", 91.25))
    assert "SAMed has the highest Dice, 91.2" in landed.summary()
    landed.change("stills", put("SAMed", "method", "own_low", -0.5))
    assert "Dice is not clearly lower for SAMed" in landed.page()


@pytest.mark.parametrize(
    ("name", "table"),
    [(name, table.name) for name in NAMES for table in SHOWN[name] if table.name != "patients"],
)
def test_a_missing_table_shows_its_reason(copy, name, table):
    landed = copy(name)
    said = f"{table}.csv is missing. It is made by: {landed.target.command}"
    assert said not in landed.page()
    landed.table(table).unlink()
    assert said in landed.page()
    landed.table(table).write_text("\n")
    assert f"{table}.csv has no rows" in landed.page()


@pytest.mark.parametrize("name", NAMES)
def test_without_its_main_table_a_page_has_no_result(copy, name):
    landed = copy(name)
    (landed.results / landed.target.main).unlink()
    assert landed.summary().startswith("No result yet")
    assert "No result yet" in landed.page()


def test_a_missing_figure_is_said(copy):
    landed = copy("ssl")
    assert "is missing)" not in landed.page()
    (landed.results / "ssl/figures/probes.png").unlink()
    assert "not drawn (probes.png is missing)" in landed.page()


@pytest.mark.parametrize("name", NAMES)
def test_every_column_is_shown_and_every_empty_cell_has_a_reason(copy, name):
    import pandas as pd

    landed = copy(name)
    for table in SHOWN[name]:
        assert set(pd.read_csv(landed.table(table.name))) - {"why"} == table.uses(), table.name
    assert UNKNOWN not in landed.page()
    main = SHOWN[name][0].name
    landed.change(main, lambda table: table.__setitem__("dice", [None, *table["dice"][1:]]))
    assert UNKNOWN in landed.page()


def test_a_collapsed_encoder_is_named(copy):
    landed = copy("ssl")
    assert "Collapse watch: 0 of" in landed.page()
    landed.change("collapse", put("mae", "name", "collapsed", "yes"))
    assert "Collapsed: mae." in landed.page()


def test_a_table_that_its_job_did_not_write_is_named(copy):
    landed = copy("ssl")
    assert "NOT what their job wrote" not in landed.page()
    landed.change("augment", put("flip", "name", "auroc", 1.0))
    assert "NOT what their job wrote: results/phantom/ssl/augment.csv." in landed.page()


def test_a_target_without_receipts_says_so(copy):
    landed = copy("usgra")
    assert "No receipts: the jobs of this target write none" in landed.page()
    landed = copy("samus")
    assert "No receipts" not in landed.page() and "s5_speed.csv: what a clock measured" in landed.page()


def test_no_default_stage_imports_the_pages():
    code = {file for stage in STAGES for file in list_code(stage)}
    assert len(code) > 100 and not [file for file in code if "target_pages" in file]


def test_verb_writes_the_same_page(copy):
    from uscl_med3d.cli import main
    from uscl_med3d.cli.target_pages import NAMES as OFFERED

    landed = copy("usgra")
    curves = sorted(map(str, Path("results/usgra/stills/curves").glob("*-[0-9].csv")))
    given = ["--params", "results/usgra/params/stills.json", "--out", "verb.html"]
    tables = ["--tables", "results/usgra/tables/stills.csv", "--curves", *curves]
    assert main(["target_page", "--target", "usgra", *given, *tables]) == 0
    assert Path("verb.html").read_text(encoding="utf-8") == landed.page()
    assert main(["target_page", "--target", "nothing", *given, *tables]) == 2
    assert set(OFFERED) == set(TARGETS)
