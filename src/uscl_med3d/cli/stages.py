"""The stages of the pipeline, one verb each: the line that Snakemake runs also runs by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from uscl_med3d.cli.stage import Input, Inputs, Job, Measured, OptionalInput, Output, Store, stage

NONE: list[Path] = []


def load_job(stage: str, params: Path) -> Any:
    """Values of a stage from its job file."""
    from uscl_med3d.core.params import load_job

    return load_job(stage, params)


@stage()
def check(params: Job) -> None:
    """Before any work: are all external files there?"""
    from uscl_med3d.data.check import check

    check(load_job("check", params))


@stage()
def simulate_cohort(params: Job, out: Output) -> None:
    """Simulated ultrasound cohort as raw files."""
    from uscl_med3d.simulate.cohort import simulate_cohort

    simulate_cohort(load_job("simulate_cohort", params), out)


@stage()
def simulate_general(params: Job, out: Output) -> None:
    """Simulated general-domain sets."""
    from uscl_med3d.simulate.general import simulate_general

    simulate_general(load_job("simulate_general", params), out)


@stage()
def ingest(
    params: Job, cohort: Input, volumes: Output, splits: Output, failures: Output, store: Store = None
) -> None:
    """Sweep videos and key frames to volumes."""
    from uscl_med3d.data.ingest import ingest

    ingest(load_job("ingest", params), cohort, volumes, splits, failures, store)


@stage()
def ingest_sheets(params: Job, cohort: Input, sheets: Output) -> None:
    """A contact sheet of every sweep of a cohort table, and what was understood of it."""
    from uscl_med3d.user.sheets import write_sheets

    write_sheets(load_job("ingest_sheets", params), cohort, sheets)


@stage()
def foundation(
    params: Job,
    model: Annotated[str, typer.Option(help="Name in the section `foundation` of params.yaml.")],
    weights: Output,
    curve: Output,
    teacher: OptionalInput = None,
    general: Inputs = NONE,
) -> None:
    """One base model: shipped, trained here, or an official checkpoint."""
    from uscl_med3d.core.params.foundation import BASE_MODELS

    if model not in BASE_MODELS:
        raise typer.BadParameter(
            f"{model!r} is not one of {', '.join(sorted(BASE_MODELS))}", param_hint="--model"
        )
    from uscl_med3d.foundation import make

    make(model, load_job(f"foundation_{model}", params), _by_name(general), teacher, weights, curve)


@stage()
def pseudolabel(
    params: Job, volumes: Input, splits: Input, seggpt: Input, out: Output, store: Store = None
) -> None:
    """Propagate the key-frame masks through each sweep."""
    from uscl_med3d.pseudolabel.propagate import pseudolabel

    pseudolabel(load_job("pseudolabel", params), volumes, splits, seggpt, out, store)


@stage()
def pretrain(
    params: Job,
    volumes: Input,
    splits: Input,
    base: Input,
    rank: Annotated[int, typer.Option()],
    training_seed: Annotated[int, typer.Option()],
    weights: Output,
    curve: Output,
) -> None:
    """A pretext task teaches the encoder's LoRA layers on sweeps without labels."""
    from uscl_med3d.pretext.stage import pretrain
    from uscl_med3d.selfsupervised.sweeps import SweepImages

    job, sweeps = load_job("pretrain", params), SweepImages(volumes, splits)
    pretrain(job, rank, training_seed, sweeps, base, out_weights=weights, curve_csv=curve)


@stage()
def finetune(
    params: Job,
    volumes: Input,
    splits: Input,
    pseudolabels: Input,
    weights: Output,
    curve: Output,
    info: Output,
    cost: Measured,
    base: OptionalInput = None,
    start: OptionalInput = None,
) -> None:
    """Fine-tune one run on the pseudo-labels."""
    from uscl_med3d.methods.base import Weights
    from uscl_med3d.train.finetune import finetune
    from uscl_med3d.train.sweeps import LabelledSweeps

    finetune(
        load_job("finetune", params),
        LabelledSweeps(volumes, splits, pseudolabels),
        Weights(base, start),
        out_weights=weights,
        curve_csv=curve,
        info_json=info,
        cost_json=cost,
    )


@stage()
def evaluate(
    params: Job,
    volumes: Input,
    splits: Input,
    pseudolabels: Input,
    scores: Output,
    image_use: Output,
    predictions: Output,
    base: OptionalInput = None,
    checkpoint: OptionalInput = None,
    start: OptionalInput = None,
    general: Inputs = NONE,
) -> None:
    """Score one run per case, class, click and seed."""
    from uscl_med3d.evaluate.cases import Sources
    from uscl_med3d.evaluate.score import evaluate
    from uscl_med3d.methods.base import Weights

    evaluate(
        load_job("evaluate", params),
        Sources(volumes, splits, pseudolabels, _by_name(general)),
        Weights(base, start, checkpoint),
        scores_file=scores,
        image_use_file=image_use,
        predictions_dir=predictions,
    )


@stage()
def measure(
    params: Job,
    volumes: Input,
    splits: Input,
    cost: Measured,
    base: OptionalInput = None,
    checkpoint: OptionalInput = None,
    start: OptionalInput = None,
) -> None:
    """What one run costs at inference."""
    from uscl_med3d.evaluate.cost import measure_cost
    from uscl_med3d.methods.base import Weights

    measure_cost(load_job("measure", params), volumes, splits, Weights(base, start, checkpoint), cost)


@stage(made=lambda given: given["out"].glob("inference_cost.*"))
def inference_cost(params: Job, out: Output, cost: Inputs = NONE) -> None:
    """What each method costs at inference: parameters, operations, seconds, memory."""
    from uscl_med3d.report.tables.inference_cost import build_inference_cost

    build_inference_cost(load_job("report", params), cost, out / "inference_cost.csv")


@stage()
def gate(params: Job, result: Output, image_use: Inputs = NONE, scores: Inputs = NONE) -> None:
    """Do the models look at the image? Thresholds on validation patients."""
    from uscl_med3d.evaluate.gate import check_gate

    check_gate(load_job("gate", params), image_use, scores, result)


@stage(made=lambda given: [*given["out"].glob("table[0-9]*.*"), given["metrics"]])
def tables(params: Job, image_use: Input, out: Output, metrics: Output, scores: Inputs = NONE) -> None:
    """Tables 1 to 5 from per-case scores."""
    from uscl_med3d.report.metrics import write_metrics
    from uscl_med3d.report.tables import build_tables

    build_tables(load_job("report", params), scores, out, image_use)
    write_metrics(out, metrics)


@stage(made=lambda given: given["out"].glob("training_cost.*"))
def training_cost(params: Job, out: Output, info: Inputs = NONE, cost: Inputs = NONE) -> None:
    """What each fine-tune cost: parameters, seconds, memory."""
    from uscl_med3d.report.tables import build_training_cost

    build_training_cost(load_job("report", params), info, cost, out / "training_cost.csv")


@stage(made=lambda given: given["out"].glob("annotation_cost.*"))
def annotation(params: Job, out: Output, scores: Inputs = NONE, pseudolabels: Inputs = NONE) -> None:
    """The annotation-cost curve: key frames, pseudo-labels, and the model trained on them."""
    from uscl_med3d.report.annotation import build_annotation_cost

    build_annotation_cost(load_job("annotation", params), scores, pseudolabels, out)


@stage(made=lambda given: [given["out"].with_suffix(suffix) for suffix in (".csv", ".md", ".tex")])
def search(params: Job, out: Output, curves: Inputs = NONE) -> None:
    """Which training values are best on validation patients, and are they in use?"""
    from uscl_med3d.report.search import build_search

    build_search(load_job("search", params), curves, out)


@stage()
def figure_inputs(
    params: Job, volumes: Input, splits: Input, pseudolabels: Input, out: Output, predictions: Inputs = NONE
) -> None:
    """The frames and tables that figures show, small enough for Git."""
    from uscl_med3d.report.figure_inputs import build_figure_inputs
    from uscl_med3d.report.figures import FigureInputs

    inputs = FigureInputs(volumes, splits, pseudolabels, predictions=predictions)
    build_figure_inputs(load_job("figure_inputs", params), inputs, out)


@stage(made=lambda given: [given["out"] / f"{given['name']}{suffix}" for suffix in (".png", ".pdf")])
def figure(
    params: Job,
    name: Annotated[str, typer.Option()],
    inputs: Input,
    splits: Input,
    image_use: Input,
    out: Output,
    scores: Inputs = NONE,
    curves: Inputs = NONE,
) -> None:
    """One figure, as PNG and PDF."""
    from uscl_med3d.report.figures import FigureInputs, draw

    shown = FigureInputs.kept(inputs, splits, scores, curves, image_use)
    draw(name, load_job("figure", params), shown, out)


@stage(made=lambda given: [given["out"], given["out"].with_suffix(".md")])
def claims(
    params: Job, pseudolabels: Input, gate: Input, out: Output, scores: Inputs = NONE, info: Inputs = NONE
) -> None:
    """The paper's claims, each with our estimate and verdict."""
    from uscl_med3d.report.claims import build_claims

    build_claims(load_job("report", params), scores, info, pseudolabels, gate, out)


@stage(made=lambda given: [given["out"], given["out"].with_suffix(".md")])
def cost_claims(params: Job, tables: Inputs, out: Output) -> None:
    """Those of the paper's claims that are about measured seconds and memory."""
    from uscl_med3d.report.claims import build_cost_claims

    build_cost_claims(load_job("report", params), tables[0].parent, out)


@stage()
def html(
    params: Job,
    tables: Inputs,
    figures: Input,
    pseudolabels: Input,
    gate: Input,
    splits: Input,
    jobs: Input,
    receipts: Input,
    failures: Input,
    info: Inputs,
    image_use: Input,
    out: Output,
    claims: OptionalInput = None,
    sheets: OptionalInput = None,
) -> None:
    """The report: one page that opens offline."""
    from uscl_med3d.report.html import ReportInputs, build_report

    inputs = ReportInputs(
        tables[0].parent,
        figures,
        claims,
        pseudolabels,
        gate,
        splits,
        jobs,
        receipts,
        failures,
        info,
        image_use,
        sheets,
    )
    build_report(load_job("report", params), inputs, out)


@stage()
def image_use_table(params: Job, out: Output, image_use: Inputs = NONE) -> None:
    """Dice with the own image minus Dice with another patient's, of every method."""
    from uscl_med3d.report.image_use import build_image_use

    build_image_use(load_job("report", params), image_use, out)


@stage()
def run_cost(receipts: Inputs, out: Output) -> None:
    """Seconds and memory of every job of a run, as each has measured them itself."""
    from uscl_med3d.report.run_cost import build_run_cost

    build_run_cost(receipts, out)


@stage()
def complete(params: Job, failures: Input, splits: Input, out: Output) -> None:
    """Has every sweep of the cohort been used? The last step of a run; an error names those left out."""
    from uscl_med3d.data.failures import confirm_complete

    confirm_complete(failures, splits, out)


def _by_name(folders: Sequence[Path]) -> dict[str, Path]:
    """General-domain folders by their set's name, which is the folder's name."""
    return {folder.name: folder for folder in folders}
