"""Stages of the comparison of pretext tasks (target `ssl`, docs/ssl.md)."""

from __future__ import annotations

from typing import Annotated

import typer

from uscl_med3d.cli.stage import Input, Inputs, Job, OptionalInput, Output, stage
from uscl_med3d.cli.stages import NONE, load_job
from uscl_med3d.core.reporting import SSL_FIGURES, SSL_TABLES


@stage()
def ssl_cell(
    params: Job,
    volumes: Input,
    splits: Input,
    pseudolabels: Input,
    labelled: Annotated[list[int], typer.Option(help="Labelled training patients of each group; 0: all.")],
    base: Input,
    scores: Output,
    watch: Output,
    start: OptionalInput = None,
) -> None:
    """Table 8: one start of the encoder, fine-tuned on few or all labelled patients, and scored."""
    from uscl_med3d.methods.base import Weights
    from uscl_med3d.ssl.cells import run_cells

    job, weights = load_job("ssl_cell", params), Weights(base, start)
    run_cells(job, labelled, volumes, splits, pseudolabels, weights, scores_out=scores, watch_out=watch)


@stage()
def ssl_frames(
    params: Job,
    arm: Annotated[str, typer.Option(help="Name of an arm in params/ssl.yaml.")],
    volumes: Input,
    splits: Input,
    pseudolabels: Input,
    scores: Output,
    curve: Output,
    metadata: OptionalInput = None,
) -> None:
    """One arm of the comparison on frames: pretraining from random weights, and probes."""
    from uscl_med3d.ssl.arms import run_arm

    job = load_job("ssl_frames", params)
    run_arm(job, arm, volumes, splits, pseudolabels, metadata, scores_out=scores, curve_out=curve)


@stage()
def ssl_metadata(params: Job, out: Output) -> None:
    """What is known of simulated patients, beside their images."""
    from uscl_med3d.ssl.metadata import write_metadata

    write_metadata(load_job("simulate_cohort", params), out)


@stage(made=lambda given: [given["out"] / f"{name}.csv" for name in SSL_TABLES])
def ssl(
    params: Job,
    splits: Input,
    out: Output,
    cells: Inputs = NONE,
    watch: Inputs = NONE,
    starts: Inputs = NONE,
    arms: Inputs = NONE,
    curves: Inputs = NONE,
) -> None:
    """Tables and claims of the comparison of pretext tasks."""
    from uscl_med3d.ssl.tables import build_tables

    build_tables(load_job("ssl", params), splits, cells, watch, starts, arms, curves, out)


@stage(made=lambda given: [given["out"] / f"{name}{end}" for name in SSL_FIGURES for end in (".png", ".pdf")])
def ssl_figures(params: Job, tables: Inputs, out: Output) -> None:
    """Figures of the comparison of pretext tasks, from its tables."""
    from uscl_med3d.ssl.figures import draw_all

    load_job("ssl", params)
    draw_all(tables, out)
