"""The committed results are those that the inputs in Git give: every table, figure and claim, and the page too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results/phantom"
SECONDS = 120
"""Of processor time: a fresh clone rebuilds everything in two minutes on a quiet machine."""


def test_committed_results_are_rebuilt_byte_for_byte(tmp_path):
    if not (RESULTS / "figure_inputs").is_dir():
        pytest.skip("results/phantom is from before figures had inputs in Git: results/phantom/figure_inputs")
    for name in ("torch", "monai", "transformers", "peft", "snakemake"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not installed')\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT / "src")])
    started = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "uscl_med3d.cli", "regenerate"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    found = re.search(r"(\d+) files rebuilt byte for byte, 0 differ$", done.stdout.rstrip())
    assert found, done.stdout[-4000:]
    spent = os.times()
    assert (
        spent.children_user + spent.children_system - started.children_user - started.children_system
        < SECONDS
    )
    committed = {file.name for kind in ("tables", "figures") for file in (RESULTS / kind).iterdir()}
    assert int(found[1]) >= len(committed) + 6


def test_no_result_is_larger_than_it_needs_to_be():
    """What figures need of volumes is a few frames: 5 MB in all. Score files are Parquet."""
    size = sum(path.stat().st_size for path in RESULTS.glob("figure_inputs/**/*") if path.is_file())
    assert size < 5 * 1024**2
    assert not list(ROOT.glob("results/*/scores/*.csv"))
