from __future__ import annotations

import json
from pathlib import Path

from uscl_med3d.cli import main
from uscl_med3d.cli.words import fill, in_order, spread


def test_several_values_after_one_name() -> None:
    words = spread(["--scores", "a", "b", "--out", "x"], {"--scores"}, {"--scores"})
    assert words == ["--scores", "a", "--scores", "b", "--out", "x"]


def test_options_without_a_value_are_left_out() -> None:
    assert spread(["--base", "--scores", "--out", "x"], {"--scores"}, {"--base", "--scores"}) == [
        "--out",
        "x",
    ]
    assert spread(["--base", "b", "--out", "x"], set(), {"--base"}) == ["--base", "b", "--out", "x"]


def test_prompts_keep_their_order() -> None:
    words = [
        "clip.mp4",
        "--object",
        "liver",
        "--point",
        "1,2,3",
        "--box=1,2,3,4,5,6",
        "--point=-1,2,3",
        "--mm",
        "-o",
        "m",
    ]
    assert in_order(words, ("object", "point", "box")) == [
        ("object", "liver"),
        ("point", "1,2,3"),
        ("box", "1,2,3,4,5,6"),
        ("point", "-1,2,3"),
    ]
    assert fill(words, "--mm", "file", ("ras",))[-4:] == ["--mm", "file", "-o", "m"]
    assert fill(["--mm", "ras"], "--mm", "file", ("ras",)) == ["--mm", "ras"]


def test_a_stage_writes_what_went_into_it_and_what_came_out(tmp_path: Path, monkeypatch) -> None:
    """Inputs of all kinds are in the receipt, outputs too, and what was measured is not."""
    from uscl_med3d.cli import stages
    from uscl_med3d.report import tables

    for name in ("a.json", "b.json", "cost.json", "job.json"):
        (tmp_path / name).write_text("{}")
    monkeypatch.setattr(stages, "load_job", lambda stage, params: None)
    seen = []

    def build(job: object, info: list[Path], cost: list[Path], path: Path) -> None:
        seen.append((info, cost))
        path.parent.mkdir()
        path.write_text("x\n")

    monkeypatch.setattr(tables, "build_training_cost", build)
    where = [
        str(tmp_path / name) for name in ("a.json", "b.json", "cost.json", "out", "job.json", "receipt.json")
    ]
    a, b, cost, out, job, receipt = where
    words = [
        "training_cost",
        "--params",
        job,
        "--receipt",
        receipt,
        "--info",
        a,
        b,
        "--cost",
        cost,
        "--out",
        out,
    ]
    assert main(words) == 0
    assert seen == [([Path(a), Path(b)], [Path(cost)])]
    written = json.loads(Path(receipt).read_text())
    assert written["verb"] == "training_cost"
    assert list(written["inputs"]) == [a, b, cost]
    assert list(written["outputs"]) == [f"{out}/training_cost.csv"]
