"""A copy of the repository that tests run and attack."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMOKE = "workflow/scales/smoke.yaml"


class Checkout:
    """A working copy with its own code and results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str, ok: bool = True) -> str:
        """Run a command here with this copy's code; return stdout and stderr together."""
        environment = os.environ | {
            "PYTHONPATH": str(self.folder / "src"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert (done.returncode == 0) == ok, (
            f"{' '.join(command)} -> {done.returncode}\n{done.stdout[-6000:]}"
        )
        return done.stdout

    def snakemake(self, *arguments: str, scale: str = SMOKE, ok: bool = True) -> str:
        """Run Snakemake on a scale of this copy."""
        return self.run("snakemake", "--cores", "2", "--configfile", *scale.split(), *arguments, ok=ok)

    def planned(self, *arguments: str, scale: str = SMOKE) -> dict[str, int]:
        """Jobs that a run would do now: rule -> count."""
        jobs: dict[str, int] = {}
        lines = self.snakemake("--dry-run", "--quiet", "rules", *arguments, scale=scale).splitlines()
        table = False
        for line in lines:
            words = line.split()
            if words == ["job", "count"]:
                table = True
            elif table and len(words) == 2 and words[1].isdigit():
                jobs[words[0]] = int(words[1])
            elif table and not words:
                table = False
        jobs.pop("total", None)
        return jobs

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text that must be there."""
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{old!r} not in {file}"
        path.write_text(text.replace(old, new))


def copy_repository(folder: Path) -> Checkout:
    """Tracked and new files of the working tree, without results."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    for name in filter(None, names):
        source, target = ROOT / name, folder / name
        if name.startswith(("results/", "data/splits/")) or not source.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    return Checkout(folder)
