"""What belongs to an extra is not needed by the verbs for own clips, and is named where it is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from uscl_med3d import cli
from uscl_med3d.cli import extras

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Imports of the packages that only extras bring; PyYAML's like have another name for the module than for the package.
BLOCKED = (
    "blosc2",
    "dvc",
    "einops",
    "fastapi",
    "fire",
    "ipyniivue",
    "matplotlib",
    "monai",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pyarrow",
    "pycocotools",
    "slicerio",
    "snakemake",
    "uvicorn",
)
PROGRAM = """
import json, sys
from importlib import machinery, metadata
blocked, wanted = json.loads(sys.argv[1])
find = machinery.PathFinder.find_spec
machinery.PathFinder.find_spec = lambda name, *rest: None if name.partition(".")[0] in blocked else find(name, *rest)
metadata.requires = lambda _: wanted
from uscl_med3d import cli
sys.exit(cli.main(sys.argv[2:]))
"""


def run_without_extras(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, json.dumps([BLOCKED, requirements()]), *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def requirements() -> list[str]:
    """As the metadata of an installed wheel lists them."""
    listed = list(PROJECT["dependencies"])
    for extra, wanted in PROJECT["optional-dependencies"].items():
        listed += [f'{each}; extra == "{extra}"' for each in wanted]
    return listed


@pytest.fixture(autouse=True)
def metadata(monkeypatch):
    """The project file's, whatever is installed."""
    monkeypatch.setattr(extras.metadata, "requires", lambda _: requirements())


def test_a_clip_is_segmented_without_any_extra(tmp_path):
    import nibabel

    clip = np.random.default_rng(0).integers(20, 200, (48, 40, 12)).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(clip, np.diag([1.0, 1.0, 2.0, 1.0])), tmp_path / "clip.nii.gz")
    words = [
        "segment",
        "clip.nii.gz",
        "--point",
        "24,20,6",
        "--whole-frame",
        "--weights",
        "uscl_med3d",
        "--json",
    ]
    done = run_without_extras(tmp_path, *words, "-o", "mask.nii.gz")
    assert done.returncode in (0, 3), done.stderr  # 3: an empty mask, which noise may give
    assert json.loads(done.stdout)["model"] == "uscl_med3d" and (tmp_path / "mask.nii.gz").is_file()


def test_what_is_blocked_is_missed_and_named(tmp_path):
    """The control of the test above: a verb that does need an extra fails in the same process, with what to install."""
    (tmp_path / "clip.nii.gz").write_bytes(b"")
    done = run_without_extras(tmp_path, "view", "clip.nii.gz")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert 'pip install "uscl-med3d[view]"' in done.stderr, done.stderr


def test_blocked_packages_are_those_that_only_extras_bring():
    base = {each.split(">")[0].split("<")[0].lower() for each in PROJECT["dependencies"]}
    assert not base & set(BLOCKED)
    used = ("workflow", "view", "export", "notebook")
    wanted = {each.split(">")[0] for extra in used for each in PROJECT["optional-dependencies"][extra]}
    assert wanted - {"websockets"} == set(BLOCKED)  # the server asks for websockets by itself


def test_every_extra_that_brings_a_package_is_named(capsys, monkeypatch):
    assert extras.find_extras("monai") == ["workflow", "export"]
    assert extras.find_extras("torch") == [] == extras.find_extras("no_such_package")

    def fail(package):
        def app(*_, **__):
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)

        monkeypatch.setattr(cli, "app", app)

    fail("matplotlib.figure")
    assert cli.main(["audit"]) == 2
    assert 'uscl-med3d[workflow]"' in capsys.readouterr().err
    fail("uscl_med3d.no_such")
    with pytest.raises(ModuleNotFoundError):  # a fault of ours stays one
        cli.main(["audit"])
