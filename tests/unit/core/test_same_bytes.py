"""Equal content gives equal bytes, whatever was in memory before: every kind of file that the workflow writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from file_writers import WRITERS, unwritten, write

from uscl_med3d.core.io import sha256

PATTERNS = (0, 1, 90, 170)  # bytes that glibc writes into memory when it is given and when it is taken back
TIMES = 300


@pytest.fixture(scope="module")
def hashes() -> dict[int, dict[str, str]]:
    """SHA-256 of each kind of file under each memory pattern."""
    found = {}
    for pattern in PATTERNS:
        environment = os.environ | {"MALLOC_PERTURB_": str(pattern), "OMP_NUM_THREADS": "1"}
        script = str(Path(__file__).with_name("file_writers.py"))
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        found[pattern] = dict(line.split("\t") for line in done.stdout.splitlines())
    return found


@pytest.mark.parametrize("kind", WRITERS)
def test_memory_patterns_do_not_change_a_byte(hashes, kind):
    assert len({hashes[pattern][kind] for pattern in PATTERNS}) == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="MALLOC_PERTURB_ belongs to glibc")
def test_the_patterns_show_memory_that_nobody_wrote(hashes):
    assert len({hashes[pattern]["control"] for pattern in PATTERNS}) > 1


@pytest.mark.parametrize("kind", WRITERS)
def test_a_heap_in_use_does_not_change_a_byte(kind, tmp_path):
    random = np.random.default_rng(1)
    kept: list[bytes] = []
    found = set()
    for _ in range(TIMES):
        disturb(random, kept)
        found.add(write(kind, tmp_path))
    assert len(found) == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="another allocator may give cleared memory")
def test_a_heap_in_use_shows_memory_that_nobody_wrote(tmp_path):
    random = np.random.default_rng(1)
    kept: list[bytes] = []
    found = set()
    for _ in range(20):
        disturb(random, kept)
        unwritten(tmp_path / "control")
        found.add(sha256(tmp_path / "control"))
    assert len(found) > 1


def disturb(random: np.random.Generator, kept: list[bytes]) -> None:
    """Fill blocks of many sizes with noise, keep some of them and give the others back."""
    blocks = [random.bytes(int(size)) for size in random.integers(100, 60_000, 40)]
    kept[:] = (kept + blocks[::5])[-200:]
