"""The command line tool `uscl-med3d`: one verb per stage. Imports happen inside the verbs, because torch is slow to load.

Every verb reads one job file (`--params`, written by the workflow) and the paths given, so the line that Snakemake
runs also runs by hand.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

from uscl_med3d.core import receipts, watchdog
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.foundations import FOUNDATIONS
from uscl_med3d.core.params import load_job
from uscl_med3d.user.commands import add_verbs

Verb = Callable[[SimpleNamespace], None]


def check(a: SimpleNamespace) -> None:
    """Before any work: are all external files there?"""
    from uscl_med3d.data.check import check

    check(load_job("check", a.params))


def simulate_cohort(a: SimpleNamespace) -> None:
    """Simulated ultrasound cohort as raw files."""
    from uscl_med3d.simulate.cohort import simulate_cohort

    simulate_cohort(load_job("simulate_cohort", a.params), a.out)


def simulate_general(a: SimpleNamespace) -> None:
    """Simulated general-domain sets."""
    from uscl_med3d.simulate.general import simulate_general

    simulate_general(load_job("simulate_general", a.params), a.out)


def ingest(a: SimpleNamespace) -> None:
    """Sweep videos and key frames to volumes."""
    from uscl_med3d.data.ingest import ingest

    ingest(load_job("ingest", a.params), a.cohort, a.volumes, a.splits, a.failures, a.store)


def foundation(a: SimpleNamespace) -> None:
    """One base model: trained here, or an official checkpoint."""
    from importlib import import_module

    train = import_module(f"uscl_med3d.foundation.{a.model}").train
    train(load_job(f"foundation_{a.model}", a.params), _by_name(a.general), a.teacher, a.weights, a.curve)


def pseudolabel(a: SimpleNamespace) -> None:
    """Propagate the key-frame masks through each sweep."""
    from uscl_med3d.pseudolabel.propagate import pseudolabel

    pseudolabel(load_job("pseudolabel", a.params), a.volumes, a.splits, a.seggpt, a.out, a.store)


def pretrain(a: SimpleNamespace) -> None:
    """VCL pretraining of the encoder's LoRA layers."""
    from uscl_med3d.train.pretrain import pretrain

    pretrain(
        load_job("pretrain", a.params),
        a.rank,
        a.training_seed,
        a.volumes,
        a.splits,
        a.base,
        a.weights,
        a.curve,
    )


def finetune(a: SimpleNamespace) -> None:
    """Fine-tune one run on the pseudo-labels."""
    from uscl_med3d.train.finetune import finetune

    finetune(load_job("finetune", a.params), a.volumes, a.splits, a.pseudolabels, a.base, a.vcl, a.weights, a.curve,
             a.info, a.cost)  # fmt: skip


def evaluate(a: SimpleNamespace) -> None:
    """Score one run per case, class, click and seed."""
    from uscl_med3d.evaluate.score import evaluate

    evaluate(load_job("evaluate", a.params), a.volumes, a.splits, a.pseudolabels, _by_name(a.general), a.base,
             a.checkpoint, a.vcl, a.scores, a.predictions)  # fmt: skip


def measure(a: SimpleNamespace) -> None:
    """What one run costs at inference."""
    from uscl_med3d.evaluate.cost import measure_cost

    measure_cost(load_job("measure", a.params), a.volumes, a.splits, a.base, a.checkpoint, a.vcl, a.cost)


def inference_cost(a: SimpleNamespace) -> None:
    """What each method costs at inference: parameters, operations, seconds, memory."""
    from uscl_med3d.report.tables.inference_cost import build_inference_cost

    build_inference_cost(load_job("report", a.params), a.cost, a.out / "inference_cost.csv")


def gate(a: SimpleNamespace) -> None:
    """Does the small model mean something? Thresholds on validation patients."""
    from uscl_med3d.evaluate.gate import check_gate

    check_gate(load_job("gate", a.params), a.scores, a.result)


def tables(a: SimpleNamespace) -> None:
    """Tables 1 to 5 from per-case scores."""
    from uscl_med3d.report.metrics import write_metrics
    from uscl_med3d.report.tables import build_tables

    build_tables(load_job("report", a.params), a.scores, a.out)
    write_metrics(a.out, a.metrics)


def training_cost(a: SimpleNamespace) -> None:
    """What each fine-tune cost: parameters, seconds, memory."""
    from uscl_med3d.report.tables import build_training_cost

    build_training_cost(load_job("report", a.params), a.info, a.cost, a.out / "training_cost.csv")


def annotation(a: SimpleNamespace) -> None:
    """The annotation-cost curve: key frames, pseudo-labels, and the model trained on them."""
    from uscl_med3d.report.annotation import build_annotation_cost

    build_annotation_cost(load_job("annotation", a.params), a.scores, a.pseudolabels, a.out)


def search(a: SimpleNamespace) -> None:
    """Which training values are best on validation patients, and are they in use?"""
    from uscl_med3d.report.search import build_search

    build_search(load_job("search", a.params), a.curves, a.out)


def figure(a: SimpleNamespace) -> None:
    """One figure, as PNG and PDF."""
    from uscl_med3d.report.figures import FigureInputs, draw

    inputs = FigureInputs(a.volumes, a.splits, a.pseudolabels, a.scores, a.curves, a.predictions)
    draw(a.name, load_job("figure", a.params), inputs, a.out)


def claims(a: SimpleNamespace) -> None:
    """The paper's claims, each with our estimate and verdict."""
    from uscl_med3d.report.claims import build_claims

    build_claims(load_job("report", a.params), a.tables, a.scores, a.out, a.pseudolabels)


def html(a: SimpleNamespace) -> None:
    """The report: one page that opens offline."""
    from uscl_med3d.report.html import build_report

    build_report(load_job("report", a.params), a.tables, a.figures, a.claims, a.pseudolabels, a.gate, a.splits,
                 a.jobs, a.receipts, a.out, a.failures)  # fmt: skip


def complete(a: SimpleNamespace) -> None:
    """Has every sweep of the cohort been used? The last step of a run; an error names those left out."""
    from uscl_med3d.data.failures import confirm_complete

    confirm_complete(a.failures, a.splits, a.out)


def bench(a: SimpleNamespace) -> None:
    """Time the encoder against the padded reference, or ingest, into results/bench/."""
    if a.ingest:
        from uscl_med3d.bench_ingest import main as main_ingest

        main_ingest([])
        return
    from uscl_med3d.bench import main

    main([f"--{name}" for name in ("quick", "fastsam3d") if getattr(a, name)])


def trace(a: SimpleNamespace) -> None:
    """Where a table's numbers come from: files and hashes, parameters, code commit."""
    from uscl_med3d.trace import trace

    print(trace(a.cells[0], a.cells[1:], a.scale))


def audit(a: SimpleNamespace) -> None:
    """Do the files of a finished scale belong together, and to dvc.lock?"""
    from uscl_med3d.audit import audit

    print(f"{audit(a.scale)} receipts: files, parameters and dvc.lock agree")


def regenerate(a: SimpleNamespace) -> None:
    """Rebuild tables and figures from scores and curves, without torch; are they the same, byte for byte?"""
    from uscl_med3d.regenerate import describe, regenerate

    result = regenerate(a.scale)
    print(describe(result))
    if result.different:
        raise InputError(file=f"results/{a.scale}", found=f"{len(result.different)} files that differ",
                         expected="what scores, curves and parameters give",
                         remedy="run the pipeline again (make record) and commit its results")  # fmt: skip


def compare(a: SimpleNamespace) -> None:
    """Do the tables of two folders agree, cell by cell within a tolerance?"""
    from uscl_med3d.compare import compare, count_cells

    different = compare(a.folders[0], a.folders[1], a.tolerance)
    print("\n".join([*different, f"{count_cells(a.folders[0])} values compared, {len(different)} differ"]))
    if different:
        raise InputError(file=a.folders[1], found=f"{len(different)} values that differ",
                         expected=f"differences of at most {a.tolerance:g}",
                         remedy="see the list above")  # fmt: skip


def readme(a: SimpleNamespace) -> None:
    """Rewrite the result sections of README.md and docs/study.md from the results folders."""
    from uscl_med3d.report.readme import PAGES, update_page

    for page, results in PAGES.items():
        update_page(Path(page), Path(results))


def _by_name(folders: Sequence[Path]) -> dict[str, Path]:
    """General-domain folders by their set's name, which is the folder's name."""
    return {folder.name: folder for folder in folders}


def _named(a: SimpleNamespace, names: Sequence[str]) -> list[Path]:
    """Paths given under some option names."""
    values = [getattr(a, name) for name in names]
    return [path for value in values if value for path in (value if isinstance(value, list) else [value])]


def _made(a: SimpleNamespace) -> list[Path]:
    """Files and folders that a verb has written; several verbs share the folder of tables and that of figures."""
    shared = {
        "tables": "table[0-9]*.*",
        "training_cost": "training_cost.*",
        "inference_cost": "inference_cost.*",
    }
    if a.verb in shared:
        return sorted(a.out.glob(shared[a.verb])) + _named(a, [name for name in a.outputs if name != "out"])
    if a.verb == "figure":
        return [a.out / f"{a.name}.png", a.out / f"{a.name}.pdf"]
    if a.verb == "claims":
        return [a.out, a.out.with_suffix(".md")]
    # What a training cost is measured anew in every run.
    return _named(a, [name for name in a.outputs if name != "cost"])


def build_parser() -> argparse.ArgumentParser:
    """The parser of every verb; option names are the names of the rules' inputs and outputs."""
    parser = argparse.ArgumentParser(prog="uscl-med3d", description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)

    def add(
        verb: Verb,
        *inputs: str,
        optional: Sequence[str] = (),
        several: Sequence[str] = (),
        outputs: Sequence[str] = (),
    ) -> argparse.ArgumentParser:
        sub = verbs.add_parser(verb.__name__, help=(verb.__doc__ or "").strip())
        sub.set_defaults(function=verb, inputs=[*inputs, *optional, *several], outputs=outputs)
        sub.add_argument("--params", type=Path, required=True, help="job file written by the workflow")
        if outputs:
            sub.add_argument("--receipt", type=Path, help="where to say what this job was made from")
        for name in (*inputs, *outputs):
            sub.add_argument(f"--{name}", type=Path, required=True)
        for name in optional:
            sub.add_argument(f"--{name}", type=Path, nargs="?", default=None)
        for name in several:
            sub.add_argument(f"--{name}", type=Path, nargs="*", default=[])
        return sub

    trained = ("weights", "curve")
    add(check)
    add(simulate_cohort, outputs=["out"])
    add(simulate_general, outputs=["out"])
    _add_store(add(ingest, "cohort", outputs=["volumes", "splits", "failures"]))
    add(foundation, optional=["teacher"], several=["general"], outputs=trained).add_argument(
        "--model", required=True, choices=sorted(FOUNDATIONS)
    )
    _add_store(add(pseudolabel, "volumes", "splits", "seggpt", outputs=["out"]))
    pretraining = add(pretrain, "volumes", "splits", "base", outputs=trained)
    pretraining.add_argument("--rank", type=int, required=True)
    pretraining.add_argument("--training-seed", type=int, required=True)
    add(
        finetune,
        "volumes",
        "splits",
        "pseudolabels",
        optional=["base", "vcl"],
        outputs=[*trained, "info", "cost"],
    )
    add(evaluate, "volumes", "splits", "pseudolabels", optional=["base", "checkpoint", "vcl"], several=["general"],
        outputs=["scores", "predictions"])  # fmt: skip
    add(measure, "volumes", "splits", "cost", optional=["base", "checkpoint", "vcl"])
    add(inference_cost, several=["cost"], outputs=["out"])
    add(gate, "scores", outputs=["result"])
    add(tables, several=["scores"], outputs=["out", "metrics"])
    add(training_cost, several=["info", "cost"], outputs=["out"])
    add(
        figure,
        "volumes",
        "splits",
        "pseudolabels",
        several=["scores", "curves", "predictions"],
        outputs=["out"],
    ).add_argument("--name", required=True)
    add(search, several=["curves"], outputs=["out"])
    add(annotation, several=["scores", "pseudolabels"], outputs=["out"])
    add(claims, "tables", "pseudolabels", several=["scores"], outputs=["out"])
    add(
        html,
        "tables",
        "figures",
        "claims",
        "pseudolabels",
        "gate",
        "splits",
        "jobs",
        "receipts",
        "failures",
        outputs=["out"],
    )
    add(complete, "failures", "splits", outputs=["out"])
    for tool in (bench, readme, trace, audit, regenerate, compare):
        verbs.add_parser(tool.__name__, help=(tool.__doc__ or "").strip()).set_defaults(function=tool)
    verbs.choices["bench"].add_argument("--quick", action="store_true", help="small sizes only")
    verbs.choices["bench"].add_argument(
        "--fastsam3d", action="store_true", help="FastSAM3D's encoder instead"
    )
    verbs.choices["bench"].add_argument("--ingest", action="store_true", help="ingest of one sweep instead")
    verbs.choices["trace"].add_argument("cells", nargs="+", help="table1, then key=value of the wanted cells")
    verbs.choices["compare"].add_argument("folders", nargs=2, type=Path, help="folders of tables")
    verbs.choices["compare"].add_argument("--tolerance", type=float, required=True, help="in Dice points")
    for name in ("trace", "audit", "regenerate"):
        verbs.choices[name].add_argument("--scale", default="phantom", help="whose results")
    add_verbs(verbs)
    return parser


def _add_store(sub: argparse.ArgumentParser) -> None:
    """No input and no output: results are the same without it."""
    sub.add_argument("--store", type=Path, help="folder that keeps the results of single sweeps between runs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; a problem with the input is one message on standard error and exit status 2."""
    # Interface threads of BLAS libraries are set before anything loads them; torch's own come from the job file.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parsed = SimpleNamespace(**vars(build_parser().parse_args(arguments)))
    watchdog.watch()
    try:
        given = _named(parsed, parsed.inputs) if hasattr(parsed, "inputs") else []
        # Hashed before the work, so that the receipt says what was there when the job read it.
        receipts.hash_all(given)
        parsed.function(parsed)
        if getattr(parsed, "receipt", None) is not None:
            receipts.write_receipt(parsed.receipt, parsed.verb, parsed.params, given, _made(parsed))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
