"""The wheel: installed elsewhere it has models, default parameters and types, and segments a clip from any folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from uscl_med3d.core.params.files import list_default_files
from uscl_med3d.user import models, shipped, still_models

ROOT = Path(__file__).parents[3]
NEEDED = ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "params.yaml", "params", "src", "workflow")


@pytest.fixture(scope="module")
def installed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Run the Python of this environment on the wheel alone, in a folder with nothing in it."""
    source, target, empty = (tmp_path_factory.mktemp(name) for name in ("source", "target", "empty"))
    skipped = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.safetensors")
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=skipped)
        else:
            shutil.copy(ROOT / name, source / name)
    folder = source / "src/uscl_med3d/shipped"
    shutil.copytree(still_models.FOLDER, source / "src/uscl_med3d/shipped_stills", dirs_exist_ok=True)
    before = Path.cwd()
    os.chdir(finished)
    try:
        shipped.ship(models.choose_run("sam_med3d", "phantom"), "tiny", "tests", folder)
    finally:
        os.chdir(before)
    python = [sys.executable, "-m"]
    build = [*python, "build", "--no-isolation", "--outdir", str(target), str(source)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = target.glob("*.whl")
    install = [
        *python,
        "pip",
        "install",
        "--no-deps",
        "--no-index",
        "--target",
        str(target / "site"),
        str(wheel),
    ]
    done = subprocess.run(install, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    environment = os.environ | {"PYTHONPATH": str(target / "site")}

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=empty, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    # Git's list, not the folder's: caches and what a run left behind are no part of it.
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "src"], capture_output=True, text=True
    ).stdout.split()
    assert {
        name.removeprefix("src/") for name in listed if not name.endswith(".safetensors")
    } - names == set()
    where = run("-c", "import uscl_med3d; print(uscl_med3d.__file__)").strip()
    assert where.startswith(str(target / "site")), "another copy of the package was imported"
    return run


def test_it_segments_a_clip_with_a_model_that_it_brings(
    installed: Callable[..., str], clips: SimpleNamespace, tmp_path: Path
) -> None:
    clip = clips.video(tmp_path / "clip.mp4", clips.draw())
    words = [
        "segment",
        str(clip),
        "--point",
        "40,32,12",
        "--weights",
        "tiny",
        "-o",
        str(tmp_path / "mask.nii.gz"),
        "--json",
    ]
    written = json.loads(installed("-m", "uscl_med3d.cli", *words))
    assert written["model"] == "tiny" and (tmp_path / "mask.nii.gz").is_file()


def test_it_segments_a_picture_with_a_model_that_it_brings(
    installed: Callable[..., str], clips: SimpleNamespace, tmp_path: Path
) -> None:
    Image.fromarray(clips.draw()[12]).save(tmp_path / "still.png")
    words = ["--model", "samus", "--point", "40,32", "-o", str(tmp_path / "mask.npy"), "--json"]
    written = json.loads(installed("-m", "uscl_med3d.cli", "segment", str(tmp_path / "still.png"), *words))
    assert written["model"] == "samus" and (tmp_path / "mask.npy").is_file()


def test_it_lists_its_models(installed: Callable[..., str]) -> None:
    (model,) = [
        each
        for each in json.loads(installed("-m", "uscl_med3d.cli", "models", "--json"))
        if each["name"] == "tiny"
    ]
    assert model["kind"] == "shipped" and model["segments"] and "simulated" in model["learned_from"]


def test_it_brings_parameters_and_types(installed: Callable[..., str]) -> None:
    code = (
        "from pathlib import Path; import uscl_med3d as u; from uscl_med3d.user.defaults import read_fan; "
        "root = Path(u.__file__).parent; print(read_fan(Path('params.yaml')).threshold, (root / 'py.typed').is_file(), "
        "(root / '__init__.pyi').is_file(), u.Segmenter.__name__)"
    )
    assert installed("-c", code).split()[1:] == ["True", "True", "Segmenter"]


def test_it_explains_parameters(installed: Callable[..., str]) -> None:
    text = installed("-m", "uscl_med3d.cli", "params", "simulate.cohort.ascites_share")
    assert text.startswith("simulate.cohort.ascites_share: 0.9")
    assert "methods.unet.label: U-Net" in installed("-m", "uscl_med3d.cli", "params", "methods.unet")


def test_default_parameters_are_those_of_the_repository() -> None:
    """All but the recipes of base models."""
    folder = ROOT / "src/uscl_med3d/defaults"
    files = {str(file.relative_to(folder)) for file in folder.rglob("*.yaml")}
    read = {
        str(file.relative_to(ROOT)) for file in list_default_files(ROOT) if file.parent.name != "foundation"
    }
    assert files == {*read, "public.yaml"}
    for name in read:
        assert (folder / name).read_text() == (ROOT / name).read_text()
    assert (folder / "public.yaml").read_text() == (ROOT / "workflow/scales/public.yaml").read_text()
