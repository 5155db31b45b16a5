"""dvc.lock must not name parameters or files that do not belong together: attempts to fool it, and what the audit says."""

from __future__ import annotations

import subprocess

import pytest
from repository import STEPS_CHANGED, Repository


def audit(checkout: Repository) -> str:
    """What the audit says to a checkout that it must not accept."""
    return checkout.run("uscl-med3d", "audit", ok=False)


@pytest.mark.parametrize(
    ("key", "value", "stage"),
    [
        ("finetune.steps", 2, "finetune"),
        ("figures.colours.liver", "#000000", "report"),
        ("methods.full_tuning.tuning.learning_rate", 0.05, "finetune"),
        ("methods.uscl_med3d.grid.ranks", [8, 16], "finetune"),
        ("evaluate.click_seeds", [3], "evaluate"),
        ("pretrain.tasks.vcl.momentum", 0.5, "pretrain"),
        ("simulate.cohort.ascites_thickness_mm", 13, "simulate"),
    ],
)
def test_parameters_changed_after_the_run_and_committed(copy, key, value, stage):
    """`dvc commit --force` writes the present parameters beside the hashes of files that others made."""
    copy.change(key, value)
    copy.run("dvc", "commit", "--force", "--quiet")
    assert copy.idle_in_dvc() == "Data and pipelines are up to date.", "DVC itself is fooled"
    message = audit(copy)
    assert f"dvc.lock, stage {stage}" in message and "params.yaml" in message
    # The next run by Snakemake makes what the parameters ask for, although DVC sees nothing to do.
    assert copy.planned()


def test_parameters_put_back_only_in_dvc_lock(copy):
    """The same with a parameter file that looks right afterwards."""
    before = (copy.folder / "params.yaml").read_text()
    copy.change("pseudolabel.gate.max_frames_outside", 3)
    copy.run("dvc", "commit", "--force", "--quiet")
    (copy.folder / "params.yaml").write_text(before)
    assert "dvc.lock, stage pseudolabel" in audit(copy)


@pytest.mark.parametrize(
    "file",
    [
        "tables/table4.csv",
        "scores/full_tuning.parquet",
        "checkpoints/finetune/full_tuning.safetensors",
        "figures/fig4.png",
    ],
)
@pytest.mark.parametrize("committed", [False, True])
def test_output_edited_by_hand(copy, file, committed):
    path = copy.results / file
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    if committed:
        copy.run("dvc", "commit", "--force", "--quiet")
        copy.commit("Better numbers")
    assert f"results/phantom/{file}" in audit(copy)


def test_receipt_edited_along_with_its_output(copy):
    """A forged receipt still contradicts dvc.lock, or, committed too, the receipts of the jobs before and after."""
    path, receipt = (
        copy.results / "scores/full_tuning.parquet",
        copy.results / "receipts/evaluate/full_tuning.json",
    )
    import hashlib

    old = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes().replace(b"first_click", b"first_clock", 1))
    new = hashlib.sha256(path.read_bytes()).hexdigest()
    receipt.write_text(receipt.read_text().replace(old, new))
    assert "dvc.lock names" in audit(copy)
    copy.run("dvc", "commit", "--force", "--quiet")
    assert "report/tables, made from another results/phantom/scores/full_tuning.parquet" in audit(copy)


def test_results_run_by_snakemake_alone(copy):
    """A run past DVC leaves a dvc.lock that names the parameters of before; `dvc repro` puts it right without a job."""
    copy.change("figures.dpi", 80)
    copy.run("snakemake", "--cores", "2", "--quiet", "all")
    assert "dvc.lock, stage report" in audit(copy)
    assert copy.repro() == {}
    assert "agree" in copy.run("uscl-med3d", "audit")


def test_half_of_the_data_pulled(finished, tmp_path):
    """Data that are not here are no contradiction; a folder pulled in part is one, and so is a record of it."""
    subprocess.run(["git", "clone", "--quiet", str(finished.folder), str(tmp_path / "half")], check=True)
    half = Repository(tmp_path / "half")
    half.run("dvc", "pull", "--quiet", "simulate", "ingest", "pseudolabel")
    assert "agree" in half.run("uscl-med3d", "audit")
    before = (half.folder / "dvc.lock").read_text()
    half.run("dvc", "commit", "--force", ok=False)
    assert (half.folder / "dvc.lock").read_text() == before, "a record of what is not here must be refused"
    next((half.results / "pseudolabels").glob("*.nii.gz")).unlink()
    assert "results/phantom/pseudolabels" in audit(half)


def test_stopped_between_stages(copy):
    """After a change only some stages run: what is older is named until the rest has run."""
    copy.change("finetune.steps", 2)
    copy.run("dvc", "repro", "--quiet", "finetune")
    message = audit(copy)
    assert (
        "evaluate/full_tuning, made from another results/phantom/checkpoints/finetune/full_tuning" in message
    )
    assert "report/html, made with other parameters" in message
    assert copy.repro() == STEPS_CHANGED
    assert "agree" in copy.run("uscl-med3d", "audit")


def test_old_results_under_a_new_lock(copy):
    """dvc.lock of another state checked out over these results."""
    copy.change("figures.dpi", 80)
    copy.repro()
    copy.commit("Other resolution")
    copy.run("git", "checkout", "--quiet", "HEAD~1", "--", "dvc.lock", "params.yaml")
    message = audit(copy)
    assert "params.yaml" in message and "results/phantom/figures" in message
