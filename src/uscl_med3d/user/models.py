"""Which trained model to use, and loading it: a run of a finished scale, a checkpoint file, or an exported model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json, sha256
from uscl_med3d.core.params import job_model, load_job
from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.core.params.methods import Run
from uscl_med3d.core.pretrained import refuse_as_model
from uscl_med3d.core.runs import pretraining_id
from uscl_med3d.nets.card import read_card, read_preprocessing
from uscl_med3d.user import still_models
from uscl_med3d.user.official import OfficialChoice, load_official

HOW_TO_GET_ONE = (
    "run the pipeline (make reproduce) or fetch its outputs (make pull), or name weights by --weights"
)
WEIGHTS = (".safetensors", ".pth", ".pt")
_PARTS_OF_NAME = ("adaptformer", "full_tuning", "sam_med3d", "uscl_med3d")


@dataclass(frozen=True)
class Choice:
    """A model by its files.

    Attributes:
        name: run id, or the stem of a checkpoint file.
        job: as of the stage `evaluate`: device, classes, model, prompts, run, method.
        ingest: how its volumes were made; a user's input is brought to the same grid.
        validation_dice: mean Dice (0..100) over validation cases of ultrasound at the last click; None if unknown.
        scale: whose results it belongs to, or None.
        preprocessing: how its network is fed; official weights are an `OfficialChoice` and nothing else.
    """

    name: str
    job: Any
    ingest: Ingest
    base: Path
    checkpoint: Path | None
    start: Path | None
    validation_dice: float | None
    scale: str | None
    preprocessing: Literal["ours"] = "ours"


def owns_score(choice: Choice) -> bool:
    """Whether `validation_dice` was measured with the very weights that lie there now.

    By the receipt of the scoring; of a model that came as a file, by the hash in its card.
    """
    if choice.validation_dice is None:
        return False
    weights = choice.checkpoint or choice.base
    if choice.scale is None:
        return read_card(weights).get("sha256") == sha256(weights)
    file = Path("results", choice.scale, f"receipts/evaluate/{choice.name}.json")
    return file.is_file() and sha256(weights) in set(read_json(file).get("inputs", {}).values())


def choose_best(scale: str) -> Choice:
    """The run of results/<scale> with the highest mean validation Dice on ultrasound at the last click.

    Only runs that take clicks in the volume, and whose weights and scores are there, take part; of equal runs the first by
    name is chosen. Test scores are not looked at.

    Raises:
        InputError: where there is none.
    """
    results = Path("results", scale)
    scored: list[tuple[float, Choice]] = []
    for file in sorted((results / "scores").glob("*.parquet")):
        if (results / "params/evaluate" / f"{file.stem}.json").is_file():
            choice = choose_run(file.stem, scale, must_exist=False)
            if choice is not None and choice.validation_dice is not None:
                scored.append((choice.validation_dice, choice))
    if not scored:
        raise InputError(
            file=results,
            found="no run with weights and validation scores",
            expected="the results of a finished run of this scale",
            remedy=HOW_TO_GET_ONE,
        )
    return max(scored, key=lambda pair: pair[0])[1]


@overload
def choose_run(run: str, scale: str) -> Choice: ...
@overload
def choose_run(run: str, scale: str, must_exist: bool) -> Choice | None: ...
def choose_run(run: str, scale: str, must_exist: bool = True) -> Choice | None:
    """A run of results/<scale> by its id; None, or an `InputError`, where it takes no clicks or has no weights."""
    results = Path("results", scale)
    job_file = results / f"params/evaluate/{run}.json"
    if not job_file.is_file():
        known = sorted(path.stem for path in job_file.parent.glob("*.json"))
        raise InputError(
            file=job_file,
            found=f"no run {run!r} in {results}, and no file of this name",
            expected=f"one of {', '.join(known)}" if known else "the results of a finished run",
            remedy="correct --weights or --scale" if known else HOW_TO_GET_ONE,
        )
    job = load_job("evaluate", job_file)
    if (job.method.takes, job.method.works_on) != ("clicks", "crop") or job.method.weights_of is not None:
        found = f"{run}, which takes {job.method.takes} and works on a {job.method.works_on}"
        _refuse(must_exist, job_file, found, "a method of clicks in the volume")
        return None
    weights = results / "checkpoints"
    base = weights / f"foundation/{job.method.base}.safetensors"
    checkpoint = weights / f"finetune/{run}.safetensors" if job.method.trained else None
    name = pretraining_id(job.run)
    start = _find_start(results, name) if name else None
    missing = [str(path) for path in (base, checkpoint, start) if path is not None and not path.is_file()]
    if missing:
        _refuse(must_exist, missing[0], "no such file", f"the weights of {run}")
        return None
    ingest = load_job("ingest", results / "params/ingest.json").ingest
    return Choice(run, job, ingest, base, checkpoint, start, read_validation_dice(results, run), scale)


def _find_start(results: Path, name: str) -> Path:
    """The pretrained encoder adapter of a run: the one that it was given, else the one that was made for it."""
    said = results / "params/all.json"
    given = read_json(said).get("pretrained", {}) if said.is_file() else {}
    return Path(given.get(name, results / f"checkpoints/pretrain/{name}.safetensors"))


def choose_file(weights: Path, base: Path | None, start: Path | None, scale: str) -> Choice:
    """A model in a file: exported with its JSON beside it, whole SAM-Med3D weights, or a run's with `base`.

    Without a JSON beside it the shape of the network and the grid are those of results/<scale>/params.
    """
    values = read_card(weights)
    # Cards of base models have no job; that of a shipped adapter has one, and names the base that it needs.
    if "job" in values and values.get("base") is None:
        job = job_model("evaluate").model_validate(values["job"])
        return Choice(
            weights.stem, job, Ingest.model_validate(values["ingest"]), weights, None, None, None, None
        )
    belongs = _read_belongs(weights)
    method = belongs.get("method", belongs.get("model", "sam_med3d"))
    if method not in _PARTS_OF_NAME:
        raise InputError(
            file=weights,
            found=f"weights of {method}",
            expected=f"one of {', '.join(_PARTS_OF_NAME)}",
            remedy="give weights of a method of clicks in the volume",
        )
    job = _job_of_file(belongs, method, scale)
    ingest = load_job("ingest", Path("results", scale, "params/ingest.json")).ingest
    if method == "sam_med3d":
        return Choice(weights.stem, job, ingest, weights, None, None, None, None)
    if base is None or not base.is_file():
        raise InputError(
            file=weights,
            found=f"what {method} changed, and {f'no {base}' if base else 'no base model'}",
            expected="the base model it was trained on, by --base",
            remedy="give --base (results/<scale>/checkpoints/foundation/sam_med3d.safetensors)",
        )
    needs_start = job.run.pretraining is not None and job.run.modules == "decoder"
    if needs_start and start is None:
        raise InputError(
            file=weights,
            found="adapters of the decoder on top of a pretrained encoder, no --start",
            expected="the pretrained adapter of the encoder",
            remedy="give --start results/<scale>/checkpoints/pretrain/<task>_r<rank>.safetensors",
        )
    return Choice(weights.stem, job, ingest, base, weights, start, None, None)


def choose(
    weights: str | Path | None, base: Path | None, start: Path | None, scale: str, model: str | None = None
) -> Choice | OfficialChoice:
    """The model that a user names: a file, the folder of an export, a run id, a shipped model, or nothing.

    `model` says which network official weights hold; alone, it names a model for single pictures (`find_still`).

    Nothing: the best run of results/<scale>, or the best shipped model where that scale has no run with weights and
    scores here: a clone has the scores alone.

    Raises:
        InputError: where there is none, or a file is something else.
    """
    from uscl_med3d.user import shipped

    if weights is None and model is not None:
        weights = find_still(model, scale)
    if weights is None:
        try:
            return choose_best(scale)
        except InputError:
            if not any(map(shipped.can_segment, shipped.read_cards().values())):
                raise
            return shipped.choose_shipped(None)
    path, known = Path(weights), Path("results", scale, f"params/evaluate/{weights}.json").is_file()
    if path.is_dir() and not known:
        path = find_exported(path)
    if path.is_file():
        if path.suffix not in WEIGHTS:
            raise InputError(
                file=path,
                found=f"suffix {path.suffix!r}",
                expected=f"one of {', '.join(WEIGHTS)}",
                remedy="name a weights file by --weights",
            )
        refuse_as_model(path)
        if path.resolve().parent == shipped.FOLDER.resolve():
            return shipped.choose_shipped(path.stem)
        preprocessing = read_preprocessing(path)
        if preprocessing == "official" or (preprocessing is None and not _is_known_scale(path, scale)):
            return still_models.with_notes(path, load_official(path, base, model))
        _refuse_model(path, model)
        return choose_file(path, base, start, scale)
    _refuse_model(path, model)
    if path.suffix in WEIGHTS or path.parent != Path("."):
        raise InputError(file=path, found="no such file", expected="a checkpoint", remedy="correct --weights")
    if not known:
        if weights in shipped.read_cards():
            return shipped.choose_shipped(str(weights))
        still_models.refuse_in_volumes(str(weights))
    return choose_run(str(weights), scale)


def find_still(model: str, scale: str) -> Path:
    """Weights of a model for single pictures: trained by the scale, else by `usgra`, else shipped.

    Raises:
        InputError: where there are none.
    """
    places = [Path("results", each, "checkpoints/stills") for each in dict.fromkeys((scale, "usgra"))]
    found = [place / f"{model}.safetensors" for place in (*places, still_models.FOLDER)]
    there = [file for file in found if file.is_file()]
    if not there:
        shipped = ", ".join(still_models.read_cards())
        raise InputError(
            file=found[0],
            found=f"no weights of {model}",
            expected=f"a checkpoint, by --weights or from a run; or a shipped model: {shipped}",
            remedy="name official weights by --weights, or train it (docs/samus.md)",
        )
    return there[0]


def _refuse_model(weights: Path, model: str | None) -> None:
    if model is not None:
        raise InputError(
            file=weights,
            found=f"--model {model}, and weights of this pipeline",
            expected="--model with official weights, or without --weights",
            remedy="leave out --model",
        )


def find_exported(folder: Path) -> Path:
    """The weights in a folder that `export` wrote. Raises `InputError` where `segment` cannot use it."""
    for file in (folder / "sam_med3d.safetensors", folder / "models/sam_med3d.safetensors"):
        if file.is_file():
            return file
    known = {"adapter_config.json": "a peft adapter", "encoder.onnx": "an ONNX model"}
    found = next((text for name, text in known.items() if (folder / name).is_file()), "no exported model")
    raise InputError(
        file=folder,
        found=found,
        expected="an export of the format official or monai-bundle",
        remedy="export the model in one of these formats (uscl-med3d export), or name a weights file",
    )


def load_method(choice: Choice, adapters: Literal["merged", "separate"] = "merged") -> Any:
    """The method of a choice, ready to predict. Raises `InputError` for files that do not fit it.

    adapters: LoRA is added to the weights that it adapts (`user.merged`), or stays beside them as in training.
    """
    from uscl_med3d.methods.base import Weights
    from uscl_med3d.methods.registry import find_method
    from uscl_med3d.nets.tensors import read_tensors
    from uscl_med3d.user.merged import load_merged

    if choice.checkpoint is not None and adapters == "merged":
        merged = load_merged(choice.job, choice.base, choice.checkpoint)
        if merged is not None:
            return merged
    run, kind = choice.job.run, find_method(choice.job.method.module or choice.job.run.method)
    if run.pretraining is None or choice.start is not None or choice.checkpoint is None:
        return kind.load(choice.job, Weights(choice.base, choice.start, choice.checkpoint))
    # Trained adapters of the encoder replace the pretrained ones entirely, so that file is not needed.
    job = choice.job.model_copy(update={"run": run.model_copy(update={"pretraining": None})})
    method = kind.load(job, Weights(choice.base))
    assert method.tuning is not None  # only what is tuned has a checkpoint
    method.load_trained(
        read_tensors(choice.checkpoint, method.tuning.belongs | {"pretraining": run.pretraining})
    )
    return method


def read_validation_dice(results: Path, run: str) -> float | None:
    """Mean Dice (0..100) of a run over validation cases of ultrasound at the last click; None without scores.

    On the human reference with the most scored patients, never on pseudo-labels.
    """
    from uscl_med3d.core.scores import read_score_file
    from uscl_med3d.report.scores import choose_reference

    file = results / f"scores/{run}.parquet"
    if not file.is_file():
        return None
    scores = read_score_file(file, ("dataset", "split", "patient", "reference", "click", "dice"))
    scores = scores[(scores["dataset"] == "us") & (scores["split"] == "val")].dropna(subset=["dice"])
    scores = scores[scores["reference"] == choose_reference(scores)]
    if scores.empty:
        return None
    return float(scores.loc[scores["click"] == scores["click"].max(), "dice"].mean())


def _is_known_scale(weights: Path, scale: str) -> bool:
    """Whether a file without a card lies among the results of a scale, whose parameters say what it is."""
    return Path("results", scale).resolve() in weights.resolve().parents


def _read_belongs(weights: Path) -> dict[str, str]:
    from uscl_med3d.nets.tensors import read_metadata

    return read_metadata(weights) if weights.suffix == ".safetensors" else {}


def _job_of_file(belongs: dict[str, str], method: str, scale: str) -> Any:
    folder = Path("results", scale, "params/evaluate")
    rank = int(belongs["rank"]) if "rank" in belongs else None
    modules, task = belongs.get("modules"), belongs.get("pretraining")
    for file in sorted(folder.glob(f"{method}*.json")):
        job = load_job("evaluate", file)
        if job.run.method == method:
            cell = {"rank": rank, "modules": modules, "pretraining": None if task == "None" else task}
            run = Run.model_validate(job.run.model_dump() | cell)
            tuning = job.method.tuning
            if "alpha" in belongs:
                scale = f"fixed:{float(belongs['alpha']):g}"
                tuning = dict(tuning or {}, alpha_rule=scale, layers=belongs.get("layers", "attention"))
            return job.model_copy(
                update={"run": run, "method": job.method.model_copy(update={"tuning": tuning})}
            )
    raise InputError(
        file=folder,
        found=f"no job file of {method}",
        expected="the parameters the weights were made with",
        remedy="name the scale whose results they are from by --scale",
    )


def _refuse(must_exist: bool, file: str | Path, found: str, expected: str) -> None:
    if must_exist:
        raise InputError(file=file, found=found, expected=expected, remedy=HOW_TO_GET_ONE)
