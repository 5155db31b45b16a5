"""`uscl-med3d serve` and `view` as their own processes: what they print, and that clients reach them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

import uscl_med3d

remote = pytest.importorskip("nnInteractive.inference.remote", reason="no nninteractive-client")

FOLDERS = [str(Path(__file__).parent), str(Path(uscl_med3d.__file__).parents[1])]
PROGRAM = """
import sys
sys.path[:0] = {folders!r}
from conftest import make_choice, make_random_method
from uscl_med3d.user.segmenter import Segmenter
Segmenter.load = classmethod(lambda cls, *_: Segmenter(make_choice(), make_random_method()))
from uscl_med3d import cli
sys.exit(cli.main([*sys.argv[1:], "--port", "0"]))
"""


@pytest.fixture
def start(tmp_path):
    processes = []

    def go(*arguments):
        command = [sys.executable, "-c", PROGRAM.format(folders=FOLDERS), *arguments]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        processes.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path)
        )
        said = ""
        for line in processes[-1].stdout:
            said += line
            if "Ctrl+C" in line:
                break
        return processes[-1], said

    yield go
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_client_connects_with_what_is_printed(start, clip):
    process, said = start("serve")
    address, key = re.search(r"server: (\S+)", said)[1], re.search(r"key: (\S+)", said)[1]
    assert address.startswith("http://127.0.0.1:") and len(key) >= 32
    with remote.nnInteractiveRemoteInferenceSession(address, api_key=key) as client:
        client.set_image(clip[None], {"spacing": [1, 1, 1]})
        client.set_target_buffer(np.zeros(clip.shape, np.uint8))
        client.add_point_interaction([12, 30, 40], True)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) in (0, 130, -signal.SIGINT)


def test_a_key_that_was_given_is_not_printed_and_another_start_has_another_key(start):
    _, said = start("serve", "--key", "my own key")
    assert "my own key" not in said and "as given" in said
    keys = {re.search(r"key: (\S+)", start("serve")[1])[1] for _ in range(2)}
    assert len(keys) == 2


def test_the_page_is_reached_by_the_printed_address_and_its_key(start, clip, tmp_path, write_volume):
    write_volume(tmp_path / "sweep.nii.gz", clip)
    _, said = start("view", "sweep.nii.gz", "--no-browser")
    address, key = re.search(r"page: (\S+)/#key=(\S+)", said).groups()
    assert "sweep_mask.nii.gz" in said
    with httpx.Client(base_url=address) as browser:
        assert "USCL-Med3D" in browser.get("/").text and browser.get("/api/state").status_code == 401
        browser.headers["authorization"] = f"Bearer {key}"
        clicked = browser.post("/api/click", json={"name": "liver", "numbers": [40, 30, 12, 1]}, timeout=60)
        assert clicked.status_code == 200
        assert browser.post("/api/save", timeout=60).json()["file"] == "sweep_mask.nii.gz"
    assert (tmp_path / "sweep_mask.nii.gz").is_file() and (tmp_path / "sweep_mask.session.json").is_file()
