"""napari and its plugin as a client, on a virtual screen: what its label layer shows is the segmenter's own mask.

Run by `make test-napari`, which installs both beside the environment.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uscl_med3d.user.segmenter import Segmenter
from uscl_med3d.view.server import bind, make_protocol_app, running

PYTHON, SCREEN = os.environ.get("NAPARI_PYTHON"), shutil.which("xvfb-run")
if PYTHON is None:
    pytest.skip(
        "no napari: NAPARI_PYTHON=path of a Python with napari-nninteractive", allow_module_level=True
    )
if SCREEN is None:
    pytest.skip("no virtual screen (apt install xvfb)", allow_module_level=True)

KEY = "a key for tests"
CLICKS = [(12, 30, 40, 1), (10, 34, 44, 1), (12, 40, 40, 0)]


def test_clicks_undo_and_reset_in_napari(network, clip, tmp_path):
    np.save(tmp_path / "clip.npy", clip)
    (tmp_path / "clicks.json").write_text(json.dumps(CLICKS))
    listener = bind("127.0.0.1", 0)
    app, _, _ = make_protocol_app(network, listener, "127.0.0.1", KEY, 1)
    with running(app, listener):
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        program = str(Path(__file__).with_name("napari_clicks.py"))
        # Settings of the person who runs this are left alone.
        environment = os.environ | {
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "NAPARI_CONFIG": str(tmp_path / "napari.yaml"),
        }
        environment.pop("PYTHONPATH", None)
        done = subprocess.run(
            [SCREEN, "-a", "-s", "-screen 0 1400x900x24", PYTHON, program, address, KEY, str(tmp_path)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    shown = np.load(tmp_path / "masks.npy")
    alone = Segmenter(network.choice, network.method)
    alone.encode(clip)
    own = []
    for z, y, x, label in CLICKS:
        alone.click((x, y, z), label)
        own.append(alone.mask())
    assert own[0].any() and any((one != other).any() for one, other in pairwise(own))
    for seen, mask in zip(shown, own, strict=False):
        np.testing.assert_array_equal(seen > 0, mask > 0)
    np.testing.assert_array_equal(shown[3] > 0, own[1] > 0)  # after one undo
    assert not shown[4].any()  # after reset
    assert json.loads((tmp_path / "tools.json").read_text()) == [
        True,
        True,
        False,
        False,
    ]  # scribble and lasso are grey
    with Image.open(tmp_path / "napari.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10  # something was drawn
