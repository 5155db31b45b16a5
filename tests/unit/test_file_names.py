"""Names of test files: without packages, pytest imports them by their base names."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def find_shared(folder: Path) -> dict[str, list[str]]:
    """Base name -> files that share it; each folder has its own conftest.py, which pytest tells apart."""
    found: dict[str, list[str]] = defaultdict(list)
    for file in sorted(folder.rglob("*.py")):
        if file.name != "conftest.py":
            found[file.name].append(str(file.relative_to(folder)))
    return {name: files for name, files in found.items() if len(files) > 1}


def test_every_file_has_a_name_of_its_own():
    assert find_shared(TESTS) == {}


def test_a_shared_name_is_found(tmp_path):
    for folder in ("data", "user"):
        (tmp_path / folder).mkdir()
        for name in ("conftest.py", "test_inspect.py", f"test_{folder}.py"):
            (tmp_path / folder / name).touch()
    assert find_shared(tmp_path) == {"test_inspect.py": ["data/test_inspect.py", "user/test_inspect.py"]}
