"""The stages of the pipeline, each declared once: what it reads and makes, its jobs, its code.

`uscl-med3d dvc_yaml` makes dvc.yaml from this, and tests compare it with the rules of `workflow/rules/<stage>.smk`. Paths
are those of the default scale, the only one that DVC versions.
"""

from __future__ import annotations

from dataclasses import dataclass

from uscl_med3d.core.params import SLICES
from uscl_med3d.core.params.foundation import BASE_MODELS

RESULTS = "results/phantom"
RAW = "data/raw/phantom"
GENERAL = "data/general/phantom"
SPLITS = "data/splits/phantom.csv"
VOLUMES = f"{RESULTS}/volumes"
FAILURES = f"{RESULTS}/failures.csv"
BASES = f"{RESULTS}/checkpoints/foundation"
PSEUDOLABELS = f"{RESULTS}/pseudolabels"
ENCODERS = f"{RESULTS}/checkpoints/pretrain"
CHECKPOINTS = f"{RESULTS}/checkpoints"
SCORES = f"{RESULTS}/scores"
IMAGE_USE = f"{RESULTS}/image_use"
PREDICTIONS = f"{RESULTS}/predictions"
GATE = f"{RESULTS}/gate.json"


@dataclass(frozen=True)
class Stage:
    """One stage. Its name is that of its rule file, and of its section of the parameters where it has one of its own.

    Attributes:
        jobs: kinds of its jobs: keys of `core.params.SLICES`, which say what parameters they read.
        rules: Snakemake's rules that it may run. targets: of these, what it asks for.
        inputs: files and folders that it reads, beside its code.
        kept: what it makes and DVC's cache keeps. small: what it makes and Git keeps. metrics: of these, numbers for
            `dvc metrics`.
        modules: what its rules import. finds: packages of which a module is found by its name, in the parameters.
        asks: sections that decide which jobs there are, beside those that the jobs read.
    """

    name: str
    jobs: tuple[str, ...]
    rules: tuple[str, ...]
    targets: tuple[str, ...]
    inputs: tuple[str, ...]
    kept: tuple[str, ...]
    small: tuple[str, ...]
    modules: tuple[str, ...]
    finds: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()

    @property
    def sections(self) -> list[str]:
        """Sections of the parameters that change what the stage makes, in the order of the jobs' slices."""
        read = [name.split(".")[0] for job in self.jobs for name in SLICES[job]]
        return [name for name in dict.fromkeys((*read, *self.asks)) if name not in ("scale", "foundation")]

    @property
    def recipes(self) -> list[str]:
        """Recipes of base models that the jobs read: files, or their folder where they are all."""
        read = {
            name.partition(".")[2]
            for job in self.jobs
            for name in SLICES[job]
            if name.startswith("foundation.")
        }
        if read >= set(BASE_MODELS):
            return ["params/foundation"]
        return [f"params/foundation/{name}.yaml" for name in sorted(read)]


STAGES = (
    Stage(
        name="simulate",
        jobs=("simulate_cohort", "simulate_general"),
        rules=("simulate", "simulate_general"),
        targets=("simulate", "simulate_general"),
        inputs=(),
        kept=(RAW, GENERAL),
        small=(f"{RESULTS}/receipts/simulate",),
        modules=("simulate.cohort", "simulate.general"),
        asks=("cohort", "general"),
    ),
    Stage(
        name="ingest",
        jobs=("ingest",),
        rules=("ingest",),
        targets=("ingest",),
        inputs=(RAW,),
        kept=(VOLUMES,),
        small=(SPLITS, FAILURES, f"{RESULTS}/receipts/ingest"),
        modules=("data.ingest",),
    ),
    Stage(
        name="foundation",
        jobs=tuple(f"foundation_{name}" for name in BASE_MODELS),
        rules=("foundation", "foundation_all"),
        targets=("foundation_all",),
        inputs=("src/uscl_med3d/shipped", GENERAL),
        kept=(BASES,),
        small=(f"{RESULTS}/curves/foundation", f"{RESULTS}/receipts/foundation"),
        modules=(),
        finds=("foundation",),
        asks=("compared", "methods"),
    ),
    Stage(
        name="pseudolabel",
        jobs=("pseudolabel",),
        rules=("pseudolabel",),
        targets=("pseudolabel",),
        inputs=(VOLUMES, SPLITS, BASES),
        kept=(PSEUDOLABELS,),
        small=(f"{RESULTS}/receipts/pseudolabel",),
        modules=("pseudolabel.propagate",),
    ),
    Stage(
        name="pretrain",
        jobs=("pretrain",),
        rules=("pretrain", "pretrain_all"),
        targets=("pretrain_all",),
        inputs=(VOLUMES, SPLITS, BASES),
        kept=(ENCODERS,),
        small=(f"{RESULTS}/curves/pretrain", f"{RESULTS}/receipts/pretrain"),
        modules=("pretext.stage",),
        finds=("pretext",),
        asks=("compared", "methods"),
    ),
    Stage(
        name="finetune",
        jobs=("finetune",),
        rules=("finetune", "finetune_all"),
        targets=("finetune_all",),
        inputs=(VOLUMES, SPLITS, PSEUDOLABELS, BASES, ENCODERS),
        kept=(f"{RESULTS}/checkpoints/finetune",),
        small=(f"{RESULTS}/curves/finetune", f"{RESULTS}/receipts/finetune"),
        modules=("train.finetune",),
        finds=("methods", "tuning", "train.tasks"),
        asks=("training_seeds", "compared", "methods"),
    ),
    Stage(
        name="evaluate",
        jobs=("evaluate", "measure", "gate"),
        rules=("evaluate", "gate", "measure", "evaluate_all"),
        targets=("evaluate_all",),
        inputs=(VOLUMES, SPLITS, GENERAL, CHECKPOINTS, PSEUDOLABELS),
        kept=(PREDICTIONS,),
        small=(SCORES, IMAGE_USE, f"{RESULTS}/receipts/evaluate", f"{RESULTS}/receipts/measure"),
        metrics=(GATE,),
        modules=("evaluate.score", "evaluate.cost", "evaluate.gate"),
        finds=("methods", "tuning"),
        asks=("compared", "methods"),
    ),
    Stage(
        name="report",
        jobs=("report", "figure_inputs", "figure"),
        rules=(
            "image_use_table",
            "tables",
            "training_cost",
            "inference_cost",
            "figure_inputs",
            "claims",
            "cost_claims",
            "figure",
            "html",
            "complete",
            "run_cost",
            "report_all",
        ),
        targets=("report_all",),
        inputs=(
            SCORES,
            IMAGE_USE,
            PREDICTIONS,
            f"{RESULTS}/receipts/evaluate",
            GATE,
            PSEUDOLABELS,
            VOLUMES,
            f"{RESULTS}/curves",
            SPLITS,
            FAILURES,
        ),
        kept=(),
        small=tuple(
            f"{RESULTS}/{name}"
            for name in (
                "tables",
                "figures",
                "claims.csv",
                "claims.md",
                "cost_claims.csv",
                "cost_claims.md",
                "image_use.csv",
                "figure_inputs",
                "report.html",
                "complete.json",
                "receipts/report",
            )
        ),
        metrics=(f"{RESULTS}/metrics.json",),
        modules=(
            "report.image_use",
            "report.tables",
            "report.metrics",
            "report.tables.cost",
            "report.tables.inference_cost",
            "report.figure_inputs",
            "report.claims",
            "report.html",
            "report.run_cost",
            "data.failures",
        ),
        finds=("report.figures",),
        asks=("compared", "methods"),
    ),
)
"""In the order in which they run."""
