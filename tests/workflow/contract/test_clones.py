"""Other checkouts of the same commit: pulled, run again, compared."""

from __future__ import annotations

import subprocess

import pytest
from repository import COLOURED, DRAWN, Repository, equal, measure

from uscl_med3d.core.scores import read_score_file, write_scores


def test_pulled_clone_has_nothing_to_do(clone):
    with measure("nothing to do in a pulled clone, both tools"):
        assert clone.planned() == {}
        assert clone.repro() == {}
    assert clone.idle_in_dvc() == "Data and pipelines are up to date."
    assert "agree" in clone.run("uscl-med3d", "audit")
    assert clone.run("git", "status", "--porcelain") == ""


def test_change_in_a_pulled_clone_runs_exactly_what_depends_on_it(clone):
    clone.change("figures.colours.liver", "#000000")
    assert clone.planned() == COLOURED
    assert clone.repro() == COLOURED
    clone.change("pretrain.tasks.vcl.momentum", 0.5)
    planned = clone.planned()
    assert planned["pretrain"] == planned["finetune"] == 1 and "pseudolabel" not in planned
    with open(clone.folder / "src/uscl_med3d/pseudolabel/gate.py", "a") as stream:
        stream.write("\n# a remark\n")
    assert clone.planned()["pseudolabel"] == 1


def test_clone_without_data_regenerates_tables_and_curves(finished, tmp_path):
    fresh = git_clone(finished, tmp_path / "fresh")
    with measure("`make regenerate` in a clone without data"):
        output = fresh.run(*fresh.make("regenerate"))
    assert "0 differ" in output
    names = {path.name for path in fresh.results.iterdir()}
    assert not names & {"volumes", "pseudolabels", "predictions", "checkpoints"}
    kinds = ("tables", "figures")
    files = [path for kind in kinds for path in (fresh.results / kind).iterdir()]
    files += [
        fresh.results / name
        for name in (
            "claims.csv",
            "claims.md",
            "cost_claims.csv",
            "cost_claims.md",
            "image_use.csv",
            "metrics.json",
            "report.html",
        )
    ]
    assert f"{len(files)} files rebuilt byte for byte" in output


@pytest.mark.parametrize(
    "file",
    [
        "tables/table1.csv",
        "tables/table4.tex",
        "figures/fig6.png",
        "metrics.json",
        "claims.csv",
        "report.html",
    ],
)
def test_regenerate_names_a_file_edited_by_hand(finished, tmp_path, file):
    fresh = git_clone(finished, tmp_path / "fresh")
    path = fresh.results / file
    data = path.read_bytes()
    path.write_bytes(data[:-2] + b"7\n")
    output = fresh.run("uscl-med3d", "regenerate", ok=False)
    assert f"results/phantom/{file}: differs" in output and "1 differ" in output


def test_scores_edited_by_hand_show_in_regenerate(finished, tmp_path):
    fresh = git_clone(finished, tmp_path / "fresh")
    path = fresh.results / "scores/full_tuning.parquet"
    scores = read_score_file(path)
    write_scores(path, scores.assign(dice=scores["dice"].where(scores["dice"].isna(), 99.0)))
    output = fresh.run("uscl-med3d", "regenerate", ok=False)
    assert "results/phantom/tables/table4.csv: differs" in output


def test_regenerate_needs_no_torch(finished, tmp_path):
    fresh = git_clone(finished, tmp_path / "fresh")
    (tmp_path / "torch").mkdir()
    for name in ("torch", "monai", "transformers", "peft", "snakemake", "dvc"):
        (fresh.folder / "src" / f"{name}.py").write_text("raise ImportError('not installed')\n")
    assert "0 differ" in fresh.run("uscl-med3d", "regenerate")


def test_verify_on_one_core_in_another_clone_gives_the_same_bytes(finished, tmp_path):
    """`make verify`: the whole run once more, on one core, elsewhere. Same bytes; `uscl-med3d compare` can fail.

    Memory that nobody wrote holds another pattern than in the first run (glibc's `MALLOC_PERTURB_`).
    """
    other = Repository(tmp_path / "elsewhere")
    verify = finished.make("verify", f"FOLDER={other.folder}", "CORES=1", "TOLERANCE=0")
    with measure("`make verify` on one core"):
        output = finished.run("env", "MALLOC_PERTURB_=165", *verify)
    assert " 0 differ" in output
    assert equal(finished.contents(), other.contents()) == []
    assert len(other.contents("checkpoints")) >= 5 and len(other.contents("figures")) == 2 * len(DRAWN)
    tables = str(other.results / "tables")
    with measure("`uscl-med3d compare` of all tables"):
        output = finished.run("uscl-med3d", "compare", "results/phantom/tables", tables, "--tolerance", "0")
    assert " 0 differ" in output
    path = other.results / "tables/table4.csv"
    path.write_text(path.read_text().replace("baseline,3dus,", "baseline,3dus,1", 1))
    output = finished.run(
        "uscl-med3d", "compare", "results/phantom/tables", tables, "--tolerance", "0.5", ok=False
    )
    assert "table4 · method=baseline · dataset=3dus · dice: " in output and " 1 differ" in output


def git_clone(origin: Repository, folder) -> Repository:
    subprocess.run(["git", "clone", "--quiet", str(origin.folder), str(folder)], check=True)
    return Repository(folder)
