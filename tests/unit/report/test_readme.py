from __future__ import annotations

import re
from pathlib import Path

import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.report.readme import (
    PAGES,
    cost_table,
    image_use_table,
    keep_last_clicks,
    replace_section,
    stills_table,
    update_page,
    verdict_table,
)

ROOT = Path(__file__).resolve().parents[3]


def test_section_is_replaced_and_the_rest_kept():
    text = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb"
    assert (
        replace_section(text, "x", "new", Path("README.md"))
        == "a\n<!-- begin x -->\n\nnew\n\n<!-- end x -->\nb"
    )
    with pytest.raises(InputError, match="no section y"):
        replace_section(text, "y", "new", Path("README.md"))


def test_cost_adds_up_per_stage(tmp_path):
    rows = [
        "stage,job,wall_seconds,cpu_seconds,peak_memory_mb",
        "finetune,a,10,20,1000",
        "finetune,b,30,60,3000",
    ]
    (tmp_path / "run.csv").write_text("\n".join([*rows, "ingest,ingest,5,9,1024", ""]))
    lines = cost_table(tmp_path / "run.csv").splitlines()
    assert "| finetune | 2 | 40 | 30 | 80 | 2.93 |" in lines
    assert "| ingest | 1 | 5 | 5 | 9 | 1.00 |" in lines
    assert lines[-1] == "| all | 3 | 45 | | 89 | 2.93 |"


def test_only_the_last_clicks_are_kept():
    table = "**T**\n\n| Method | Clicks | a |\n| --- | --- | --- |\n| x | 1 | 5 |\n| x | 10 | 6 |\n\ncaption"
    assert keep_last_clicks(table).splitlines()[2:5] == [
        "| Method | Clicks | a |",
        "| --- | --- | --- |",
        "| x | 10 | 6 |",
    ]
    assert (
        keep_last_clicks("| Method | a |\n| --- | --- |\n| x | 5 |")
        == "| Method | a |\n| --- | --- |\n| x | 5 |"
    )


def test_verdicts_leave_out_what_was_not_tested(tmp_path):
    (tmp_path / "claims.csv").write_text(
        "id,claim,estimate,ci_low,ci_high,verdict\n"
        "a,One.,1.26,0.5,2,supported\nb,Two.,,,,undecided\nc,Three.,4.33,,,contradicted\n"
    )
    assert verdict_table(tmp_path / "claims.csv").splitlines()[2:] == [
        "| One. | **supported** | 1.3 [0.5, 2.0] |",
        "| Three. | **contradicted** | 4.3 |",
        "",
        "Claims that need runs not made yet: 1.",
    ]


@pytest.mark.parametrize(
    ("page", "sections"),
    [
        ("README.md", ["table1", "table4", "usgra"]),
        ("docs/image_use.md", ["image_use"]),
        ("docs/report.md", ["cost"]),
    ],
)
def test_pages_show_the_committed_results(page, sections, tmp_path):
    results = ROOT / PAGES[page]
    if not (results / "claims.csv").is_file():
        pytest.skip(f"no {PAGES[page]} in this checkout")
    there = (ROOT / page).read_text()
    assert re.findall(r"<!-- begin (\w+) -->", there) == sections
    (tmp_path / "page.md").write_text(there)
    update_page(tmp_path / "page.md", results)
    assert (tmp_path / "page.md").read_text() == there, "run `make readme`"


def test_image_use_shows_the_difference_with_its_interval(tmp_path):
    (tmp_path / "image_use.csv").write_text(
        "method,dataset,points,dice_own,dice_other,difference,ci_low,ci_high,n_patients\nA,AMOS,10,60.04,35,25.04,20,30.2,14\n"
    )
    assert image_use_table(tmp_path / "image_use.csv").splitlines()[-1] == (
        "| A | AMOS | 10 | 60.0 | 35.0 | 25.0 [20.0, 30.2] |"
    )


def test_real_images_show_each_structure_and_what_the_image_is_worth(tmp_path):
    columns = (
        "method,class,points,dice,ci_low,ci_high,images,groups,dice_other,own_minus_other,own_low,own_high\n"
    )
    rows = [
        f"{name},{part},1,{dice},{dice - 1},{dice + 1},7,5,20.0,{dice - 20.0},1.0,9.0\n"
        for name in ("U-Net", "SAMUS")
        for part, dice in (("nerve", 30.0), ("vessel", 50.0), ("all", 40.0))
    ]
    (tmp_path / "t.csv").write_text(columns + "".join(rows))
    lines = stills_table(tmp_path / "t.csv").splitlines()
    assert lines[2].startswith(
        "| U-Net | 1 | 30.0 [29.0, 31.0] | 50.0 [49.0, 51.0] | 40.0 [39.0, 41.0] | 20.0 | 20.0 [1.0, 9.0]"
    )
    assert (
        len([line for line in lines if line.startswith("| ")]) == 3 and "7 images in 5 clusters" in lines[-1]
    )
