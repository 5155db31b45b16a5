"""The command line tool `uscl-med3d`: each module has the verbs of one group; heavy imports happen inside the verbs.

A new verb is a function with `@app.command(...)` in a module that `VERBS` names; help shows them in this order.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from uscl_med3d.cli.app import app
from uscl_med3d.core import watchdog
from uscl_med3d.core.errors import InputError

VERBS = (
    "demo",
    "inspect",
    "segment",
    "view",
    "volumes",
    "export",
    "models",
    "results",
    "data",
    "upkeep",
    "stages",
)

for _module in VERBS:
    import_module(f"uscl_med3d.cli.{_module}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns its exit status. A problem with the input is one message on standard error and status 2."""
    # Interface threads of BLAS libraries are set before anything loads them; torch's own come from the job file.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    watchdog.watch()
    try:
        app(arguments, prog_name="uscl-med3d")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
