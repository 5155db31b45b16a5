"""Ways to install: the same versions everywhere, extras that exist, and a site that builds without network."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {"torch": "pytorch", "simpleitk": "simpleitk"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def read(name: str) -> str:
    return (ROOT / name).read_text()


def test_one_torch_everywhere() -> None:
    ci = next((ROOT / ".github/workflows").iterdir()).name
    files = ("Makefile", "Dockerfile", "apptainer.def", f".github/workflows/{ci}", "docs/install.md")
    found = {name: set(re.findall(r"torch==([\d.]+\d)", read(name))) for name in files}
    (pinned,) = tomllib.loads(read("lock.toml"))["constraint-dependencies"]
    assert found == {name: {pinned.removeprefix("torch==")} for name in files}


def test_the_lock_has_every_dependency_with_a_hash_and_no_torch(project: dict[str, Any]) -> None:
    lock = read("requirements.lock")
    locked = {name.lower() for name in re.findall(r"^([A-Za-z0-9_.-]+)==", lock, flags=re.MULTILINE)}
    wanted = [
        *project["project"]["dependencies"],
        *(each for extra in project["project"]["optional-dependencies"].values() for each in extra),
    ]
    names = {re.split(r"[<>=\[ ]", each)[0].lower() for each in wanted} - {"torch"}
    assert names <= locked
    assert not {name for name in locked if name == "torch" or name.startswith(("nvidia-", "cuda-", "triton"))}
    blocks = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", lock, flags=re.MULTILINE).strip())
    assert all("--hash=sha256:" in block for block in blocks)


def test_containers_are_built_from_the_lock() -> None:
    for name in ("Dockerfile", "apptainer.def"):
        assert "--require-hashes -r" in read(name) and "requirements.lock" in read(name)
        assert "TORCH_INDEX" in read(name)
    copied = re.findall(r"^    (\S+) /opt/uscl-med3d/$", read("apptainer.def"), flags=re.MULTILINE)
    assert copied and all((ROOT / name).exists() for name in copied)


def test_the_conda_recipe_has_the_dependencies_of_the_project(project: dict[str, Any]) -> None:
    recipe = read("conda/meta.yaml").split("  run:\n")[1].split("\n\n")[0]
    listed = {line.strip("- ").strip() for line in recipe.splitlines()} - {"python >=3.11"}
    wanted = set()
    for each in project["project"]["dependencies"]:
        name, bounds = re.fullmatch(r"([\w.-]+)(.*)", each).groups()
        wanted.add(f"{CONDA_NAMES.get(name.lower(), name.lower())} {bounds}".strip())
    assert listed == wanted


def test_messages_and_pages_name_extras_that_exist(project: dict[str, Any]) -> None:
    extras = set(project["project"]["optional-dependencies"])
    texts = [
        path.read_text()
        for folder in ("src", "docs")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md")
    ]
    named = set(re.findall(r"(?:pip install |uscl-med3d|uscl_med3d|\"\.)\[([a-z,]+)\]", "\n".join(texts)))
    assert named and {name for each in named for name in each.split(",")} <= extras


def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 15
    loads = re.compile(r"<(?:script|img|iframe|link)\b[^>]*(?:src|href)=\"(?:https?:)?//")
    assert [page.name for page in pages if loads.search(page.read_text())] == []
    commands = (tmp_path / "reference_cli.html").read_text()
    assert all(f"uscl-med3d-{verb}" in commands for verb in ("segment", "demo", "models", "ingest"))
    assert "Segmenter" in (tmp_path / "reference_python.html").read_text()
    shown = re.findall(r'src="(gallery/[^"]+)"', (tmp_path / "gallery.html").read_text())
    assert shown and all((tmp_path / name).is_file() for name in shown)
