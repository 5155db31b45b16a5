"""Every number of the pipeline, typed and strict; read in one place.

`params.yaml` (with an overlay of `workflow/scales/`) is validated once, when the workflow is parsed. Each job then
gets its own small file with exactly the values it may depend on (`slice_job`), and reads nothing else (`load_job`).
So a changed value re-runs the jobs whose file it changes, and no others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    create_model,
    model_serializer,
    model_validator,
)

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json
from uscl_med3d.core.params.annotation import Annotation
from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.evaluate import Evaluate, Gate
from uscl_med3d.core.params.finetune import Finetune
from uscl_med3d.core.params.foundation import BASE_MODELS, Foundation
from uscl_med3d.core.params.general import GeneralReading
from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.core.params.measure import Measure
from uscl_med3d.core.params.methods import MethodEntry, Run
from uscl_med3d.core.params.model import Model
from uscl_med3d.core.params.pretrain import Pretrain
from uscl_med3d.core.params.prompts import Prompts
from uscl_med3d.core.params.pseudolabel import Pseudolabel
from uscl_med3d.core.params.report import SHOWN_IN, Figures, Report
from uscl_med3d.core.params.samus import Samus
from uscl_med3d.core.params.search import Search
from uscl_med3d.core.params.simulate import Simulate
from uscl_med3d.core.params.ssl import Ssl
from uscl_med3d.core.params.stills import Stills


class Params(Section):
    """The whole of params.yaml."""

    scale: str = Field(pattern=r"^[a-z0-9_]+$")
    seed: int
    training_seeds: tuple[int, ...] = Field(min_length=1)
    threads: int = Field(ge=1)
    device: Literal["cpu", "cuda"]
    precision: Literal["float32", "bfloat16"]
    # Job files of earlier versions do not name it.
    numerics: Literal["native", "portable"] = "native"
    cohort: str
    benchmark: bool | None = None
    compared: Literal["all"] | tuple[str, ...] = "all"  # `all_but` has become a list
    pretrained: dict[str, str] = Field(default_factory=dict)
    general: dict[str, str]
    general_reading: GeneralReading
    classes: dict[str, int]
    model: Model
    prompts: Prompts
    simulate: Simulate
    ingest: Ingest
    foundation: Foundation
    pseudolabel: Pseudolabel
    pretrain: Pretrain
    finetune: Finetune
    evaluate: Evaluate
    measure: Measure
    gate: Gate
    annotation: Annotation
    search: Search
    report: Report
    figures: Figures
    methods: dict[str, MethodEntry]
    stills: Stills
    samus: Samus
    ssl: Ssl

    @model_serializer(mode="wrap")
    def _name_what_is_given(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Values of runs that are given no adapter are those of earlier versions, which did not know `pretrained`."""
        values: dict[str, Any] = dump(self)
        return (
            values
            if self.pretrained
            else {key: value for key, value in values.items() if key != "pretrained"}
        )

    @property
    def pretext_tasks(self) -> dict[str, dict[str, Any]]:
        """Options of every pretext task: those of the default run, and those that are compared with it."""
        return self.ssl.tasks | self.pretrain.tasks

    @model_validator(mode="after")
    def _refer_to_what_exists(self) -> Params:
        for name, entry in self.methods.items():
            bases = list(type(self.foundation).model_fields)
            if entry.base is not None and entry.base not in bases:
                raise ValueError(
                    f"methods.{name}.base is {entry.base!r}, which is none of foundation: {', '.join(bases)}"
                )
            if entry.weights_of is not None and entry.weights_of not in self.methods:
                raise ValueError(f"methods.{name}.weights_of is {entry.weights_of!r}, which is no method")
            task = entry.grid.pretraining if entry.grid else None
            if task is not None and task not in self.pretext_tasks:
                known = ", ".join(self.pretext_tasks) or "nothing"
                raise ValueError(
                    f"methods.{name}.grid.pretraining is {task!r}; pretrain.tasks and ssl.tasks have {known}"
                )
        if self.ssl.table8 is None or self.ssl.frames.augment is None:
            raise ValueError("ssl.table8 and ssl.frames.augment must have a value")
        self.ssl.check(self.pretext_tasks)
        for place, name in (("annotation.method", self.annotation.method),):
            if name not in self.methods:
                raise ValueError(
                    f"methods.{name} is left out, but {place} needs it: name another method there"
                )
        for name, rule in self.gate.seeing.items():
            if self.gate.required and rule.required and name not in self.methods:
                raise ValueError(
                    f"methods.{name} is left out, but gate.seeing requires it: set gate.seeing.{name}.required to false"
                )
        return self

    @model_validator(mode="after")
    def _tell_classes_apart(self) -> Params:
        values = list(self.classes.values())
        shared = sorted({value for value in values if values.count(value) > 1})
        if shared:
            names = ", ".join(name for name, value in self.classes.items() if value in shared)
            raise ValueError(
                f"classes {names} share the value(s) {', '.join(map(str, shared))}: give each its own"
            )
        wrong = [f"{name}: {value}" for name, value in self.classes.items() if not 1 <= value <= 254]
        if wrong or not values:
            raise ValueError(f"classes must have values of 1 to 254, found {', '.join(wrong) or 'none'}")
        return self

    @model_validator(mode="after")
    def _draw_with_every_value(self) -> Params:
        empty = [name for name in SHOWN_IN if getattr(self.figures, name) is None]
        if empty:
            raise ValueError(f"figures.{', figures.'.join(empty)} must have a value")
        return self

    @model_validator(mode="after")
    def _share_the_adapter(self) -> Params:
        """Fine-tuning starts from the pretrained adapter, so both must wrap the same layers and scale them alike."""
        for name, entry in self.methods.items():
            if entry.grid is None:
                continue
            for key in ("alpha_rule", "layers"):
                pretrained = getattr(self.pretrain, key)
                value = (entry.tuning or {}).get(key, pretrained)
                if value != pretrained:
                    raise ValueError(
                        f"methods.{name}.tuning.{key} is {value!r} but pretrain.{key} is {pretrained!r}: "
                        "give both the same value"
                    )
        return self


# What tables, claims and figures read.
REPORTED = (
    "scale",
    "seed",
    "training_seeds",
    "benchmark",
    "classes",
    "model",
    "pseudolabel",
    "pretrain",
    "finetune",
    "evaluate",
    "report",
    "methods",
)

# What a job of each stage may depend on; "foundation.seggpt" becomes the job's field `seggpt`.
# `run` and `method` are added per run.
SLICES: dict[str, tuple[str, ...]] = {
    "check": ("scale", "seed", "cohort", "general", "ingest", "foundation", "device", "methods"),
    "simulate_cohort": ("seed", "classes", "simulate.cohort"),
    "simulate_general": ("seed", "simulate.general"),
    "ingest": ("seed", "classes", "ingest"),
    "ingest_sheets": ("classes", "ingest.fan"),
    **{f"foundation_{name}": (*model.job, f"foundation.{name}") for name, model in BASE_MODELS.items()},
    "pseudolabel": ("seed", "threads", "device", "classes", "foundation.seggpt", "pseudolabel"),
    "pretrain": ("seed", "threads", "device", "precision", "model", "pretrain"),
    "finetune": ("seed", "threads", "device", "precision", "classes", "model", "prompts", "finetune"),
    "evaluate": ("seed", "threads", "device", "classes", "model", "prompts", "general_reading", "evaluate"),
    "measure": ("seed", "threads", "device", "classes", "model", "prompts", "evaluate", "measure"),
    "gate": ("classes", "evaluate", "gate", "methods"),
    "annotation": (
        "scale",
        "seed",
        "training_seeds",
        "benchmark",
        "classes",
        "evaluate",
        "report",
        "figures",
        "methods",
        "annotation",
    ),
    "search": ("methods", "finetune", "search"),
    "samus_scans": ("seed", "classes", "simulate.cohort", "samus.scans"),
    "samus": ("seed", "threads", "device", "precision", "samus"),
    "stills": ("seed", "threads", "device", "precision", "stills"),
    "ssl": ("seed", "classes", "report", "ssl"),
    "ssl_cell": (
        "seed",
        "threads",
        "device",
        "precision",
        "classes",
        "model",
        "prompts",
        "finetune",
        "evaluate",
    ),
    "ssl_frames": ("seed", "threads", "device", "precision", "classes", "ssl"),
    "report": REPORTED,
    "figure_inputs": ("classes", "figures.example_sweeps"),
    "figure": (*REPORTED, "figures"),
}
# Every job sets its kernels before it imports a library (`core.numerics`).
SLICES = {stage: ("numerics", *sections) for stage, sections in SLICES.items()}


def validate(values: dict[str, Any], file: str) -> Params:
    """Check a parameter dictionary; every wrong or missing key is named in one `InputError`.

    A method or general-domain set that an overlay sets to null is left out, because an overlay cannot remove a key. What
    follows from other values is filled in: `benchmark`, and colours of classes without one. The result is stable: its
    own dump gives it again.
    """
    # For the plan alone: jobs find every colour filled in.
    from uscl_med3d.core.palette import complete_colours

    try:
        found = Params.model_validate(_leave_out(values, file))
    except ValidationError as error:
        raise _explain(error, file) from None
    benchmark = found.cohort == "simulate" if found.benchmark is None else found.benchmark
    colours = complete_colours(found.classes, found.figures.colours or {})
    figures = found.figures.model_copy(update={"colours": colours})
    return found.model_copy(update={"benchmark": benchmark, "figures": figures})


def _leave_out(values: dict[str, Any], file: str) -> dict[str, Any]:
    """Without what is null, without methods that are not `compared`, and methods without the sets that are left out."""
    kept = {
        name: {key: entry for key, entry in values[name].items() if entry is not None}
        for name in ("methods", "general")
        if isinstance(values.get(name), dict)
    }
    methods, compared = kept.get("methods", {}), values.get("compared", "all")
    if methods:
        methods = choose_methods(compared, values["methods"], file)
        if isinstance(compared, dict) and isinstance(compared.get("all_but"), list | tuple):
            rest = {key: value for key, value in compared.items() if key != "all_but"}
            values = values | {"compared": rest or list(methods)}
    sets = {"us", *kept.get("general", {})}
    for name, entry in methods.items():
        if isinstance(entry, dict) and isinstance(entry.get("datasets"), list | tuple):
            methods = methods | {
                name: entry | {"datasets": [one for one in entry["datasets"] if one in sets]}
            }
    return values | kept | ({"methods": methods} if "methods" in kept else {})


def choose_methods(compared: Any, written: dict[str, Any], file: str) -> dict[str, Any]:
    """Of the methods `written` in the file those that are run: not null, and `compared`.

    `Params` judges what is no list of names.
    """
    methods = {name: entry for name, entry in written.items() if entry is not None}
    without = isinstance(compared, dict)
    named = compared.get("all_but") if without else compared
    if not isinstance(named, list | tuple):
        return methods
    known = written if without else methods
    if unknown := [str(name) for name in named if name not in known]:
        raise InputError(
            file=file,
            found=f"compared: {', '.join(unknown)}",
            expected=f"`all`, a list of {', '.join(known)}, or `all_but` with such a list",
            remedy="correct the names",
        )
    return {name: entry for name, entry in methods.items() if (name in named) != without}


def job_model(stage: str) -> type[Section]:
    """The typed class of one stage's job file."""
    fields: dict[str, Any] = {}
    for name in SLICES[stage]:
        section, _, part = name.partition(".")
        field = Params.model_fields[section]
        if part:
            model: Any = field.annotation
            field = model.model_fields[part]
        fields[name.split(".")[-1]] = (field.annotation, field)
    fields["run"] = (Run | None, None)
    fields["method"] = (MethodEntry | None, None)
    return create_model(f"{stage}_job", __base__=Section, **fields)


def slice_job(
    params: Params, stage: str, run: Run | None = None, pretext: str | None = None
) -> dict[str, Any]:
    """The values that one job may depend on, ready for JSON; of one run, or of one pretext task."""
    values = params.model_dump(mode="json")
    ordered: dict[str, Any] = {}
    for name in SLICES[stage]:
        section, _, part = name.partition(".")
        ordered[part or section] = values[section][part] if part else values[section]
    if stage == "measure":
        ordered["measure"] = ordered["measure"] | {"methods": None}
    if pretext is not None:
        ordered["pretrain"] = ordered["pretrain"] | {"tasks": {pretext: params.pretext_tasks[pretext]}}
    if run is not None:
        entry = params.methods[run.method].model_dump(mode="json")
        if source := params.methods[run.method].weights_of:
            entry["options"] = params.methods[source].options | entry["options"]
            entry |= {"tuning": params.methods[source].tuning, "trained": True}
        # A job depends on its own cell of the sweep, not on which other cells exist, nor on a row's name.
        ordered |= {
            "run": run.model_dump(mode="json"),
            "method": entry | {"grid": None, "label": run.method},
        }
    return ordered


def slice_figure(params: Params, name: str) -> dict[str, Any]:
    """The values that one figure may depend on: those of the report, and what of `figures` it shows."""
    values = slice_job(params, "figure")
    foreign = {key: None for key, figures in SHOWN_IN.items() if name not in figures}
    return values | {"figures": values["figures"] | foreign | {"drawn": None}}


def load_job(stage: str, path: str | Path) -> Any:
    """Read a job file written by the workflow; errors name the file and the key."""
    try:
        return job_model(stage).model_validate(read_json(path))
    except ValidationError as error:
        raise _explain(error, str(path)) from None


def _explain(error: ValidationError, file: str) -> InputError:
    lines = [
        f"{'.'.join(map(str, item['loc']))}: {item['msg']} (got {item['input']!r:.80})"
        for item in error.errors()
    ]
    return InputError(
        file=file,
        found="; ".join(lines),
        expected="every key of params.yaml once, with the type documented there",
        remedy="correct or remove the named keys (params.yaml shows every valid key)",
    )
