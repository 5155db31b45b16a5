"""Container files and recipe, read as their builders read them: no builder is here, and these mistakes need none."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

import uscl_med3d

ROOT = Path(__file__).parents[2]
INSTRUCTIONS = {
    "ARG",
    "FROM",
    "RUN",
    "COPY",
    "WORKDIR",
    "USER",
    "ENTRYPOINT",
    "CMD",
    "ENV",
    "LABEL",
    "EXPOSE",
}
SECTIONS = {
    "arguments",
    "files",
    "post",
    "runscript",
    "test",
    "environment",
    "labels",
    "help",
    "setup",
    "startscript",
}
GIVEN_BY_DOCKER = {"PATH", "HOME", "PWD"}


def check_dockerfile(text: str, root: Path) -> list[str]:
    """What a build would stumble over: instructions, arguments out of their stage, files, shell, no user."""
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    problems, known, stage, user = [], set(), False, "root"
    for line in filter(str.strip, lines):
        word, _, rest = line.strip().partition(" ")
        if word not in INSTRUCTIONS:
            problems.append(f"no instruction: {word}")
            continue
        used = set(re.findall(r"\$\{?(\w+)", rest)) if word != "RUN" or "$(" not in rest else set()
        problems += [
            f"{name} is not declared in this stage" for name in sorted(used - known - GIVEN_BY_DOCKER)
        ]
        if word == "ARG":
            known.add(rest.split("=")[0])
        elif word == "FROM":
            problems += (
                []
                if re.search(r":[^:]+$", rest) and not rest.endswith(":latest")
                else ["FROM without a version"]
            )
            known, stage = set(), True  # arguments before FROM count for FROM alone
        elif word == "COPY":
            problems += [f"no {name}" for name in rest.split()[:-1] if not (root / name).exists()]
        elif word == "RUN":
            problems += check_shell(rest)
        elif word in ("ENTRYPOINT", "CMD"):
            problems += [] if is_list(rest) else [f"{word} is no list: signals would not arrive"]
        elif word == "USER":
            user = rest
    return problems + ([] if stage else ["no FROM"]) + (["runs as root"] if user == "root" else [])


def check_definition(text: str, root: Path) -> list[str]:
    """The same of an Apptainer definition."""
    head, *parts = re.split(r"^%(\w+)\n", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    problems = [f"no section: {name}" for name in sections if name not in SECTIONS]
    problems += [
        f"no {name}" for name in ("Bootstrap", "From") if not re.search(rf"^{name}: \S", head, re.MULTILINE)
    ]
    declared = set(re.findall(r"^\s+(\w+)=", sections.get("arguments", ""), flags=re.MULTILINE))
    used = set(re.findall(r"\{\{ (\w+) \}\}", text))
    problems += [f"{name} is not declared" for name in sorted(used - declared)]
    problems += [f"{name} is declared for nothing" for name in sorted(declared - used)]
    for line in filter(str.strip, sections.get("files", "").splitlines()):
        problems += [] if (root / line.split()[0]).exists() else [f"no {line.split()[0]}"]
    for name in {"post", "runscript", "test"} & set(sections):
        problems += check_shell(re.sub(r"\{\{ \w+ \}\}", "value", sections[name]))
    return problems


def check_shell(text: str) -> list[str]:
    done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True)
    return [f"shell: {done.stderr.strip()}"] if done.returncode else []


def is_list(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except ValueError:
        return False


def read_recipe(text: str) -> dict[str, Any]:
    """A conda recipe with its templates filled in; an unknown name in them is an error."""
    filled = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text).render(PYTHON="python")
    return yaml.safe_load(filled)


def test_the_dockerfile_can_be_built_from_this_folder() -> None:
    assert check_dockerfile((ROOT / "Dockerfile").read_text(), ROOT) == []
    left_out = (ROOT / ".dockerignore").read_text().split()
    needed = {"src", "requirements.lock", "pyproject.toml", "README.md", "params.yaml", "params", "workflow"}
    assert not needed & set(left_out)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("COPY requirements.lock", "COPY requirements.txt", "no requirements.txt"),
        ("ARG TORCH=torch", "ARG TORCHES=torch", "TORCH is not declared"),
        ("USER user\n", "", "runs as root"),
        ("WORKDIR", "WORKDIRECTORY", "no instruction"),
        ("${PYTHON}-slim", "latest", "without a version"),
        ('["uscl-med3d"]', "uscl-med3d", "is no list"),
        ("&& useradd", "&& && useradd", "shell"),
    ],
)
def test_mistakes_in_a_dockerfile_are_found(old: str, new: str, said: str) -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert old in text
    assert any(said in problem for problem in check_dockerfile(text.replace(old, new), ROOT))


def test_the_apptainer_definition_can_be_built_from_this_folder() -> None:
    assert check_definition((ROOT / "apptainer.def").read_text(), ROOT) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    TORCH_INDEX=", "    INDEX=", "TORCH_INDEX is not declared"),
        ("    src /opt", "    source /opt", "no source"),
        ("%runscript", "%runscripts", "no section"),
        ("Bootstrap: docker\n", "", "no Bootstrap"),
        ('exec uscl-med3d "$@"', 'exec uscl-med3d "$@', "shell"),
    ],
)
def test_mistakes_in_a_definition_are_found(old: str, new: str, said: str) -> None:
    text = (ROOT / "apptainer.def").read_text()
    assert old in text
    assert any(said in problem for problem in check_definition(text.replace(old, new), ROOT))


def test_the_recipe_is_complete() -> None:
    recipe = read_recipe((ROOT / "conda/meta.yaml").read_text())
    assert recipe["package"] == {"name": "uscl-med3d", "version": uscl_med3d.__version__}
    assert (ROOT / "conda" / recipe["source"]["path"]).resolve() == ROOT
    assert (ROOT / recipe["about"]["license_file"]).is_file()
    assert (
        recipe["build"]["noarch"] == "python"
        and "uscl-med3d = uscl_med3d.cli:main" in recipe["build"]["entry_points"]
    )
    assert {"host", "run"} <= set(recipe["requirements"]) and recipe["test"]["commands"]
    with pytest.raises(jinja2.UndefinedError):
        read_recipe("version: {{ versoin }}")
