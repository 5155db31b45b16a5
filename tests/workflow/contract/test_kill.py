"""Killed without warning at any moment, a run goes on when it is started again, to the same bytes."""

from __future__ import annotations

import fcntl
import shutil
import signal
import subprocess

import psutil
import pytest
from repository import Repository, equal, measure, wait_until

MOMENTS = ("simulate_cohort", "ingest", "foundation", "finetune", "evaluate", "figure")
"""Verbs during which the scheduler is killed, one after the other, in one and the same run."""

PATIENCE_S = 600
"""How long a stage may take to begin on a busy machine."""


def find(checkout: Repository, word: str) -> list[psutil.Process]:
    """Processes of a checkout whose command line has an argument that is this word, or a path to it."""
    found = []
    for process in checkout.processes():
        try:
            names = {argument.rpartition("/")[2] for argument in process.cmdline()[:3]}
        except psutil.Error:
            continue
        if word in names:
            found.append(process)
    return found


def assert_quiet(checkout: Repository) -> None:
    """A few seconds after a kill no process of the run is left, and the lock of the checkout is free."""
    with measure("until no process of a killed run is left"):
        wait_until(lambda: not checkout.processes(), 30, "processes of the killed run end")
    with open(checkout.folder / ".run.lock") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        process.send_signal(signal.SIGKILL)


def test_scheduler_and_trainings_killed_again_and_again(finished, unmade, tmp_path):
    """`make reproduce`, its scheduler killed in six stages and a training job once, ends in the same bytes."""
    shutil.copytree(unmade.folder, tmp_path / "killed", symlinks=True)
    checkout = Repository(tmp_path / "killed")
    command = checkout.make("reproduce", "CORES=2")
    for verb in MOMENTS:
        run = checkout.start(*command)
        wait_until(lambda verb=verb: find(checkout, verb), PATIENCE_S, f"a job of {verb}")
        kill(find(checkout, "snakemake"))
        run.wait(60)
        assert run.returncode != 0
        assert_quiet(checkout)
        if verb == "foundation":
            # The training itself is killed: the scheduler reports it, and the next run trains it again.
            run = checkout.start(*command)
            kill(wait_until(lambda: find(checkout, "foundation"), PATIENCE_S, "a training"))
            assert run.wait(PATIENCE_S) != 0
            assert_quiet(checkout)
    with measure("last start of the killed run"):
        checkout.run(*command)
    assert equal(finished.contents(), checkout.contents()) == []
    assert not [path for path in checkout.results.rglob("*") if path.name.startswith((".tmp", ".resume"))]
    assert checkout.planned() == {}


@pytest.mark.parametrize("victim", ["dvc", "snakemake"])
def test_dvc_killed_during_a_training(copy, victim):
    """`make record` after a change; DVC or its Snakemake is killed; the next `make record` needs no unlocking."""
    copy.change("finetune.steps", 8)
    run = copy.start(*copy.make("record", "CORES=2"))
    wait_until(lambda: find(copy, "finetune"), PATIENCE_S, "a fine-tune")
    kill([process for process in find(copy, victim) if "repro" in process.cmdline() or victim == "snakemake"])
    run.wait(60)
    assert_quiet(copy)
    copy.run(*copy.make("record", "CORES=2"))
    assert copy.planned() == {} and copy.repro() == {}
    assert "agree" in copy.run("uscl-med3d", "audit")


def test_plain_snakemake_needs_no_unlock_after_a_kill(copy):
    copy.change("finetune.steps", 8)
    run = copy.start("snakemake", "--cores", "2")
    wait_until(lambda: find(copy, "finetune"), PATIENCE_S, "a fine-tune")
    assert list((copy.folder / ".snakemake/locks").iterdir())
    # The lock of a living scheduler stays.
    assert "cannot be locked" in copy.run("snakemake", "--cores", "2", ok=False)
    kill(find(copy, "snakemake"))
    run.wait(60)
    wait_until(lambda: not copy.processes(), 30, "processes of the killed run end")
    assert list((copy.folder / ".snakemake/locks").iterdir())
    assert "Nothing to be done" not in copy.run("snakemake", "--cores", "2", "--until", "finetune")


def test_second_run_in_the_same_checkout_is_refused(copy):
    holder = copy.start("workflow/alone", "sleep", "60")
    wait_until(lambda: find(copy, "sleep"), 5, "the first run")
    done = subprocess.run(
        ["workflow/alone", "true"],
        cwd=copy.folder,
        env=copy.environment() | {"WAIT_S": "1"},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 75 and "Another run is at work in this checkout" in done.stderr
    kill(copy.processes())
    holder.wait(10)
    assert_quiet(copy)
