"""The stages on single images, one verb each: cross-validation on an image set, and SAMUS's experiments."""

from __future__ import annotations

from typing import Annotated

import typer

from uscl_med3d.cli.stage import Input, Inputs, Job, Measured, OptionalInput, Output, stage
from uscl_med3d.cli.stages import NONE, load_job
from uscl_med3d.core.reporting import SAMUS_TABLES


@stage()
def samus_scans(params: Job, out: Output) -> None:
    """Simulated single images from a seen and an unseen scanner."""
    from uscl_med3d.simulate.scans import simulate_scans

    simulate_scans(load_job("samus_scans", params), out)


@stage()
def still_fold(
    params: Job,
    name: Annotated[str, typer.Option(help="Key of `stills.methods` in params/stills.yaml.")],
    fold: Annotated[int, typer.Option()],
    images: Input,
    scores: Output,
    curve: Output,
    base: OptionalInput = None,
) -> None:
    """One method on one fold of single images: trained on the others, scored on its own."""
    from uscl_med3d.stills.fold import run_fold

    run_fold(load_job("stills", params), name, fold, images, base, scores, curve)


@stage()
def still_weights(
    params: Job,
    name: Annotated[str, typer.Option(help="Key of `stills.methods` in params/stills.yaml.")],
    images: Input,
    weights: Output,
    curve: Output,
    base: OptionalInput = None,
) -> None:
    """One method trained on all single images, for `segment --model`."""
    from uscl_med3d.stills.fold import run_all

    run_all(load_job("stills", params), name, images, base, weights, curve)


@stage()
def samus_scores(
    params: Job,
    name: Annotated[
        str, typer.Option(help="Key of `samus.methods` in params/stills.yaml, or a variant of `samus`.")
    ],
    images: Input,
    scores: Output,
    curve: Output,
    base: OptionalInput = None,
) -> None:
    """One method on the simulated single images: trained on the seen scanner, scored on both."""
    from uscl_med3d.stills.sets import run_sets

    run_sets(load_job("samus", params), name, images, base, scores, curve)


@stage()
def samus_cost(params: Job, images: Input, base: Input, counted: Output, speed: Measured) -> None:
    """What the methods for single images cost: parameters, memory, arithmetic, and (measured) speed."""
    from uscl_med3d.data.images2d import open_set
    from uscl_med3d.stills.deploy import run_deploy

    classes = len(open_set("scans", images).classes)
    run_deploy(load_job("samus", params), classes, base, counted, speed)


@stage(made=lambda given: [given["out"] / f"{name}.csv" for name in SAMUS_TABLES])
def samus_tables(params: Job, counted: Input, out: Output, scores: Inputs = NONE) -> None:
    """The tables of SAMUS's article and the verdicts on its claims."""
    from uscl_med3d.stills.samus import build_samus

    build_samus(load_job("samus", params), scores, counted, out)


@stage(made=lambda given: [given["out"] / f"s5_radar.{suffix}" for suffix in ("png", "pdf")])
def samus_radar(params: Job, s5: Input, s2: Input, speed: Input, out: Output) -> None:
    """The radar figure of SAMUS's experiment S5, from its tables."""
    from uscl_med3d.stills.radar import draw

    draw(s5, s2, speed, out)


@stage()
def still_table(params: Job, table: Output, all_scores: Output, scores: Inputs = NONE) -> None:
    """The table of all methods on single images."""
    from uscl_med3d.stills.table import build_table

    build_table(load_job("stills", params), scores, table, all_scores)
