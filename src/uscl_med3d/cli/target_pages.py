"""The report pages of targets beside the default run (`ssl`, `samus`, `usgra`)."""

from __future__ import annotations

from typing import Annotated

import typer

from uscl_med3d.cli.stage import Inputs, Job, Output, stage
from uscl_med3d.cli.stages import NONE, load_job

NAMES = ("ssl", "samus", "usgra")


@stage()
def target_page(
    params: Job,
    target: Annotated[str, typer.Option(help=f"Whose page: {', '.join(NAMES)}.")],
    tables: Inputs,
    out: Output,
    figures: Inputs = NONE,
    curves: Inputs = NONE,
    receipts: Inputs = NONE,
) -> None:
    """The report page of a target, from its tables, figures, learning curves and receipts."""
    if target not in NAMES:
        raise typer.BadParameter(f"{target!r} is not one of {', '.join(NAMES)}", param_hint="--target")
    from uscl_med3d.target_pages import TARGETS, TargetFiles, build_page

    job = load_job(TARGETS[target].stage, params)
    build_page(target, job, TargetFiles(tables, figures, curves, receipts), out)
