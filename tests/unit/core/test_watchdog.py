from __future__ import annotations

import os
import platform
import subprocess
import sys
import time

import pytest

from uscl_med3d.core import watchdog

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")


@pytest.fixture
def lock(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ".snakemake/locks"
    folder.mkdir(parents=True)
    (folder / "0.output.lock").write_text("")
    return folder / "0.output.lock"


def test_lock_of_a_living_scheduler_stays(lock):
    watchdog.hold_lock()
    watchdog.drop_dead_lock()
    assert lock.exists()


@pytest.mark.parametrize(
    ("node", "number", "dropped"),
    [
        (platform.node(), "999999999", True),
        (platform.node(), str(os.getpid()), True),
        ("elsewhere", "999999999", False),
    ],
    ids=["gone", "another of that number", "another machine"],
)
def test_lock_goes_only_if_its_process_on_this_machine_is_gone(lock, node, number, dropped):
    """A process with the same number but another start time is another process."""
    (lock.parents[1] / "scheduler").write_text(f"{node} {number} 1\n")
    watchdog.drop_dead_lock()
    assert lock.exists() is not dropped


def test_lock_newer_than_the_note_stays(lock):
    note = lock.parents[1] / "scheduler"
    note.write_text(f"{platform.node()} 999999999 1\n")
    os.utime(note, (1, 1))
    watchdog.drop_dead_lock()
    assert lock.exists()


def test_lock_of_nobody_known_stays(lock):
    watchdog.drop_dead_lock()
    assert lock.exists()


@pytest.mark.parametrize("call", ["watch()", "watch_parent()"])
def test_a_process_ends_with_the_one_it_watches(call):
    """A shell starts a watching process that would sleep for a minute; the shell is killed."""
    code = f"from uscl_med3d.core import watchdog as w; import time; w.{call}; print('on', flush=True); time.sleep(60)"
    middle = (
        "import subprocess, sys; from uscl_med3d.core import watchdog as w; w.announce();"
        f"p = subprocess.Popen([sys.executable, '-c', {code!r}]); print(p.pid, flush=True); p.wait()"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    scheduler = subprocess.Popen(
        [sys.executable, "-c", middle], stdout=subprocess.PIPE, text=True, env=environment
    )
    lines = {scheduler.stdout.readline().strip(), scheduler.stdout.readline().strip()}
    number = int(next(line for line in lines if line.isdigit()))
    scheduler.kill()
    scheduler.wait()
    end = time.monotonic() + 10
    while os.path.exists(f"/proc/{number}") and time.monotonic() < end:
        time.sleep(0.1)
    assert not os.path.exists(f"/proc/{number}")
