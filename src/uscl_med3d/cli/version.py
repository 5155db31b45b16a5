"""Which code this is: version, commit and torch."""

from __future__ import annotations

import json
import subprocess
from importlib import metadata
from pathlib import Path

import uscl_med3d


def describe_version() -> str:
    """One line, as `uscl-med3d 0.1.0, commit 1a2b3c4d5e6f, torch 2.13.0+cpu`; torch itself is not loaded."""
    return f"uscl-med3d {uscl_med3d.__version__}, {_find_commit()}, torch {_find_torch()}"


def _find_commit() -> str:
    """Commit of the checkout that this package is in, with a word where files differ from it."""
    folder = Path(__file__).resolve().parents[3]
    if not (folder / ".git").exists():
        return _find_installed_commit()
    try:
        command = [
            "git",
            "-C",
            str(folder),
            "describe",
            "--always",
            "--abbrev=12",
            "--exclude=*",
            "--dirty=, changed since",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "commit unknown (git cannot read the checkout)"
    return f"commit {done.stdout.strip()}"


def _find_installed_commit() -> str:
    """Commit of an installation from a repository's address, which pip writes down."""
    try:
        origin = json.loads(metadata.distribution("uscl-med3d").read_text("direct_url.json") or "{}")
        return f"commit {origin['vcs_info']['commit_id'][:12]}"
    except (metadata.PackageNotFoundError, KeyError):
        return "commit unknown (installed from a wheel)"


def _find_torch() -> str:
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return "not installed"
