"""The command line tool `uscl-med3d`: each module has the verbs of one group; heavy imports happen inside the verbs.

A new verb is a function with `@app.command(...)` in a module that `VERBS` names; help shows them in this order.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from uscl_med3d.cli.app import app
from uscl_med3d.cli.extras import explain_missing
from uscl_med3d.core import numerics, watchdog
from uscl_med3d.core.errors import InputError, InputErrors

VERBS = (
    "demo",
    "inspect",
    "segment",
    "view",
    "volumes",
    "pretrain_clips",
    "export",
    "models",
    "results",
    "params",
    "data",
    "upkeep",
    "stages",
    "still_stages",
    "ssl",
    "target_pages",
)

for _module in VERBS:
    import_module(f"uscl_med3d.cli.{_module}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns its exit status. A problem with the input is one message on standard error and status 2.

    So is a package of an extra that is not installed.
    """
    # Interface threads of BLAS libraries are set before anything loads them; torch's own come from the job file.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    watchdog.watch()
    try:
        numerics.pin_job(sys.argv[1:] if arguments is None else arguments)
        app(arguments, prog_name="uscl-med3d")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        if _is_about_a_clip(error):
            print(
                "to see what is read of a file, and a picture of it: uscl-med3d inspect FILE", file=sys.stderr
            )
        return 2
    except ModuleNotFoundError as error:
        missing = explain_missing(error)
        if missing is None:
            raise
        print(f"error: {missing}", file=sys.stderr)
        return 2
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def _is_about_a_clip(error: InputError) -> bool:
    """Whether one of the files that an error names is a clip or its labels, and the error does not say yet how to look."""
    from uscl_med3d.data.clips import FORMATS

    known = (*(suffix for module in FORMATS for suffix in module.SUFFIXES), ".xml", ".png")
    named = [one.file.lower() for one in (error.errors if isinstance(error, InputErrors) else [error])]
    return any(file.endswith(known) for file in named) and "uscl-med3d inspect" not in str(error)
