"""Would Git take a user's patients along? Asked before a run, so that no clip is one `git add` away from the public."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path


def find_exposed(paths: Iterable[Path]) -> list[Path]:
    """Those of `paths` that lie inside a Git repository which does not ignore them; none where Git is not there.

    What is tracked already counts as exposed, too.
    """
    exposed = []
    for path in paths:
        place = path.resolve()
        folder = next(parent for parent in (place, *place.parents) if parent.is_dir())
        inside = _git(folder, "rev-parse", "--is-inside-work-tree")
        if inside == 0 and _git(folder, "check-ignore", "-q", str(place)) == 1:
            exposed.append(path)
    return exposed


def warn(paths: Iterable[Path]) -> str | None:
    """One message about the exposed ones; None where there is none."""
    exposed = find_exposed(paths)
    if not exposed:
        return None
    listed = ", ".join(str(path) for path in exposed[:3]) + (", ..." if len(exposed) > 3 else "")
    return (
        f"warning: {listed}: inside a Git repository that does not ignore it, so `git add` would take patients' data along. "
        "Move it out of the repository, or name it in .git/info/exclude"
    )


def _git(folder: Path, *arguments: str) -> int | None:
    """Exit status; None where Git is not installed."""
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, check=False
        ).returncode
    except OSError:
        return None
