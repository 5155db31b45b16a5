"""The command `view` in a process of its own: until its page can be opened, and the memory that it holds when idle."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from uscl_med3d.view.bench.cine import Cine
from uscl_med3d.view.bench.rows import Row
from uscl_med3d.view.bench.steps import Browser

IDLE_S = 2.0
"""Between the last click and the look at the memory."""


def time_command(model: str, file: Path, cine: Cine, asked_mb: float | None) -> list[Row]:
    """Start `view` with the shipped model, fetch the picture, click three times, wait, and look at its memory.

    The page is not opened, so that no browser's memory counts. Empty where the system does not tell (no /proc).

    Raises:
        RuntimeError: where the command ends instead of serving.
    """
    import httpx

    folder = Path(tempfile.mkdtemp(dir=file.parent))
    command = [
        sys.executable,
        "-m",
        "uscl_med3d.cli",
        "view",
        str(file),
        "--no-browser",
        "-o",
        str(folder / "m.nii.gz"),
    ]
    command += ["--weights", "uscl_med3d"]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=_environment())
    try:
        assert process.stdout is not None  # a pipe
        page = next((line.split()[1] for line in process.stdout if line.startswith("page:")), None)
        ready = time.perf_counter() - started
        if page is None:
            raise RuntimeError(f"{' '.join(command)} ended with {process.wait()}")
        address, key = page.split("/#key=")
        headers = {"authorization": f"Bearer {key}"}
        with httpx.Client(base_url=f"{address}/api/", headers=headers, timeout=600) as http:
            http.get("picture").raise_for_status()
            browser = Browser(http)
            for x, y, z in cine.places(3):
                browser.send("click", {"name": "object", "numbers": [x, y, z, 1]})
            time.sleep(IDLE_S)
            memory = read_memory_mb(process.pid)
    finally:
        process.terminate()
        process.wait()
    rows = [Row(model, "from the command `view` to its page", "s", [ready], [], None)]
    for name, step, asked in (
        ("VmRSS", "memory when idle", asked_mb),
        ("VmHWM", "largest memory until then", None),
    ):
        if name in memory:
            rows.append(Row(model, step, "MB", [memory[name]], [], asked))
    return rows


def read_memory_mb(pid: int) -> dict[str, float]:
    """Resident memory of a process at present (VmRSS) and at most (VmHWM), in megabytes; empty without /proc."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return {}
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: int(fields[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM") if name in fields}


def _environment() -> dict[str, str]:
    """This copy of the package, also in another folder."""
    import uscl_med3d

    here = str(Path(uscl_med3d.__file__).parents[1])
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))}
