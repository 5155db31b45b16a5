"""Commands on the pages: verbs, options, targets and files that they name are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from uscl_med3d.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture(scope="module")
def verbs() -> dict[str, Any]:
    command: Any = typer.main.get_command(app)
    return dict(command.commands)


def list_code(page: Path) -> list[str]:
    """Lines of code blocks, continued ones joined, and code within the text."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^```.*?\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", rest)


def find(page: Path, tool: str) -> list[str]:
    """What follows a tool's name on a page, up to a comment, a pipe, or the next command."""
    found = []
    for line in list_code(page):
        for part in re.split(r"&&|;|\|", line.split(" #")[0]):
            match = re.match(rf"\s*\$?\s*(?:\S*/)?{re.escape(tool)}\s+(\S.*)", part)
            if match:
                found.append(match.group(1))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_verbs_and_options_are_there(page: Path, verbs: dict[str, Any]) -> None:
    for line in find(page, "uscl-med3d"):
        first, *words = shlex.split(line.replace("…", "").replace("'", ""))
        if first.startswith("-") or not re.fullmatch(r"[a-z][a-z_-]+", first):
            continue  # options of the tool itself, or a name to be filled in
        assert first in verbs, f"{page.name}: uscl-med3d {line}"
        known = {
            name for option in verbs[first].params for name in (*option.opts, *option.secondary_opts)
        } | {"--help", "-h"}
        given = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert given <= known, f"{page.name}: uscl-med3d {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_targets_and_files_are_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for line in find(page, "make"):
        word = line.split()[0]
        if re.fullmatch(r"[a-z-]+", word):
            assert word in targets, f"{page.name}: make {line}"
    for line in find(page, "snakemake"):
        for file in re.findall(r"--configfile (workflow/\S+)", line):
            assert (ROOT / file.strip("`,")).is_file(), f"{page.name}: {file}"


def test_the_check_finds_wrong_commands(tmp_path: Path, verbs: dict[str, Any]) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Run `uscl-med3d segmnt x`.\n\n```\nuscl-med3d segment x --points 1,2,3\n```\n`make nothing`\n"
    )
    with pytest.raises(AssertionError, match="segment x --points"):
        test_verbs_and_options_are_there(page, verbs)
    page.write_text("`uscl-med3d segmnt x`\n`make nothing`\n")
    with pytest.raises(AssertionError, match="segmnt"):
        test_verbs_and_options_are_there(page, verbs)
    with pytest.raises(AssertionError, match="make nothing"):
        test_targets_and_files_are_there(page)


def test_pages_have_commands() -> None:
    assert sum(len(find(page, "uscl-med3d")) for page in PAGES) > 20
