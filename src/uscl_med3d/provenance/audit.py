"""Do the files of a scale belong together? Compares receipts with job files, with the files here, and with dvc.lock.

`uscl-med3d audit` lists every contradiction: files changed by hand, results of other parameters, jobs made from another
version of a file than the one that is here, and a dvc.lock that names parameters its files were not made with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from uscl_med3d.core.errors import InputError, InputErrors
from uscl_med3d.core.io import read_json
from uscl_med3d.core.params import SLICES, choose_methods, validate
from uscl_med3d.core.params.files import overlay, read_defaults
from uscl_med3d.core.params.methods import MethodEntry
from uscl_med3d.core.plan import Plan
from uscl_med3d.core.receipts import complete_params, find_maker, hash_tree, read_receipts
from uscl_med3d.core.runs import list_runs

_LOCK = Path("dvc.lock")
_PARAMS = Path("params.yaml")
_DVC_SCALE = "phantom"
REPORTS = (
    "image_use",
    "tables",
    "training_cost",
    "inference_cost",
    "figure_inputs",
    "claims",
    "cost_claims",
    "html",
    "complete",
)
"""Jobs of the stage `report` that each scale has once."""
OF_THE_BENCHMARK = ("claims", "cost_claims")
"""Of these, those that a cohort without the benchmark does not have."""


def audit(scale: str) -> int:
    """Check everything that is here; the number of receipts that were checked.

    Raises:
        InputErrors: one entry for each contradiction.
        InputError: when the scale has no receipts.
    """
    results = Path("results", scale)
    receipts = read_receipts(results)
    if not receipts:
        raise InputError(
            file=results / "receipts",
            found="no receipts",
            expected="those of a finished run",
            remedy=f"run the scale {scale} first",
        )
    problems = [*_check_made(results, receipts), *_check_jobs(results, receipts)]
    problems += [*_check_files(receipts), *_check_chain(receipts)]
    if scale == _DVC_SCALE and _PARAMS.is_file():
        problems += _check_params(results, _PARAMS)
    if scale == _DVC_SCALE and _LOCK.is_file():
        lock = yaml.safe_load(_LOCK.read_text(encoding="utf-8"))
        problems += [*_check_lock(receipts, lock), *_check_lock_files(lock)]
    if problems:
        raise InputErrors(
            problems, file=results, remedy="run the pipeline again (make record); it makes what is listed"
        )
    return len(receipts)


def job_file(results: Path, name: str) -> Path:
    """The present job file of the job that wrote the receipt `name`."""
    if name.startswith("annotation/k"):
        count, _, name = name.removeprefix("annotation/").partition("/")
        if name == "pseudolabel":
            return results / f"params/annotation/{count}.json"
    stage, _, job = name.partition("/")
    names = {
        "annotation": "annotation",
        "search": "search" if job == "search" else name,
        "simulate": f"simulate_{job}",
        "foundation": f"foundation_{job}",
        "evaluate/gate-check": "gate",
        "finetune": name,
        "evaluate": name,
        "measure": name,
        "ingest": "ingest",
        "ingest/sheets": "ingest_sheets",
        "pseudolabel": "pseudolabel",
        "pretrain": f"pretrain/{job.rpartition('_r')[0]}",
        "report/figure_inputs": "figure_inputs",
        "report": job.replace("figures/", "figure/") if job.startswith("figures/") else "report",
    }
    return results / "params" / f"{names.get(name, names.get(stage))}.json"


def slice_name(name: str) -> str:
    """Key of `SLICES` for the receipt `name`."""
    file = job_file(Path(), name).relative_to("params")
    return file.parts[0] if len(file.parts) > 1 else file.stem


def list_planned(plan: Plan) -> list[str]:
    """Names of the receipts that a finished scale has."""
    names = ["simulate/cohort"] * plan.simulated + ["simulate/general"] * bool(plan.simulated_sets)
    names += ["ingest/ingest", "pseudolabel/pseudolabel", "evaluate/gate-check"]
    names += [] if plan.simulated else ["ingest/sheets"]
    names += [f"foundation/{model}" for model in plan.foundations]
    names += [f"pretrain/{name}" for name in plan.pretrainings]
    names += [f"finetune/{run}" for run in plan.trained] + [f"evaluate/{run}" for run in plan.runs]
    names += [f"measure/{run}" for run in plan.measured] + [f"report/{name}" for name in _list_reports(plan)]
    return sorted(names + [f"report/figures/{name}" for name in plan.figures])


def _list_reports(plan: Plan) -> list[str]:
    return [name for name in REPORTS if plan.params.benchmark or name not in OF_THE_BENCHMARK]


def _check_made(results: Path, receipts: Mapping[str, Any]) -> Iterator[InputError]:
    for name in list_planned(Plan.of_results(results.name)):
        if name not in receipts:
            yield _problem(
                f"{results}/receipts/{name}.json", "no receipt: the job has not run", "all jobs done"
            )


def _check_jobs(results: Path, receipts: Mapping[str, Any]) -> Iterator[InputError]:
    for name, receipt in receipts.items():
        file = job_file(results, name)
        if not file.is_file():
            yield _problem(
                f"{results}/receipts/{name}.json",
                "the receipt of a job that is no longer planned",
                "receipts of planned jobs only",
            )
        elif changed := _differences(receipt["params"], complete_params(read_json(file))):
            yield _problem(
                f"{name}, made with other parameters",
                f"now {', '.join(changed)}",
                "outputs of the present parameters",
            )


def _check_files(receipts: Mapping[str, Any]) -> Iterator[InputError]:
    for receipt in receipts.values():
        for path, expected in receipt["outputs"].items():
            # What is not here was not pulled; it is no contradiction.
            if Path(path).exists() and hash_tree(Path(path)) != expected:
                yield InputError(
                    file=path,
                    found=f"SHA-256 {hash_tree(Path(path))[:16]}",
                    expected=f"{expected[:16]}, as its job wrote it",
                    remedy="delete it, so that the pipeline makes it again (or dvc checkout)",
                )


def _check_chain(receipts: Mapping[str, Any]) -> Iterator[InputError]:
    for name, receipt in receipts.items():
        for path, used in receipt["inputs"].items():
            maker = find_maker(receipts, path)
            made = receipts[maker]["outputs"].get(path) if maker else None
            if made is not None and made != used:
                yield _problem(
                    f"{name}, made from another {path}", f"SHA-256 {used[:16]}", f"{made[:16]} of {maker}"
                )


def _check_params(results: Path, params: Path) -> Iterator[InputError]:
    """Job files are written whenever the workflow is parsed, so they lag behind an edited params.yaml."""
    given = validate(read_defaults(params.parent), str(params)).model_dump(mode="json")
    changed = _differences(complete_params(read_json(results / "params/all.json")), given)
    if changed:
        yield _problem(params, f"now {', '.join(changed)}", f"the parameters of {results}")


def _check_lock(receipts: Mapping[str, Any], lock: Mapping[str, Any]) -> Iterator[InputError]:
    stages = lock.get("stages", {})
    recorded_of = {stage: _recorded(stages, stage) for stage in {name.partition("/")[0] for name in receipts}}
    for name, receipt in receipts.items():
        stage = name.partition("/")[0]
        recorded = recorded_of[stage]
        for section in SLICES[slice_name(name)]:
            found, used = _look_up(recorded, section), receipt["params"].get(section.rpartition(".")[2])
            if found is not None and not _agrees(section, used, found):
                yield _problem(
                    f"dvc.lock, stage {stage}", f"another value of {section}", f"that of receipt {name}"
                )
        run, methods = receipt["params"].get("run"), recorded.get("methods")
        if run and methods:
            entry, used = methods.get(run["method"]) or {}, receipt["params"]["method"]
            for key in ("options", "tuning"):
                if not used["weights_of"] and entry.get(key) != used.get(key):
                    yield _problem(
                        f"dvc.lock, stage {stage}",
                        f"other {key} of {run['method']}",
                        f"those of receipt {name}",
                    )
    for stage in ("finetune", "evaluate"):
        yield from _check_lock_runs(receipts, stages, stage)


def _recorded(stages: Mapping[str, Any], stage: str) -> dict[str, Any]:
    """Parameters that dvc.lock holds of a stage, of all files; of the methods, those that were compared."""
    files = stages.get(stage, {}).get("params") or {}
    found: dict[str, Any] = {}
    # As `read_defaults`: params.yaml fills what another file leaves empty.
    for file in sorted(files, key=lambda name: name == str(_PARAMS)):
        found = overlay(found, files[file] or {})
    written = found.get("methods")
    if not written:
        return found
    return found | {"methods": choose_methods(found.get("compared", "all"), written, str(_LOCK))}


def _check_lock_runs(
    receipts: Mapping[str, Any], stages: Mapping[str, Any], stage: str
) -> Iterator[InputError]:
    """The runs that the recorded methods ask for are those that were made."""
    recorded = _recorded(stages, stage)
    seeds = _recorded(stages, "finetune").get("training_seeds")
    if "methods" not in recorded or seeds is None:
        return
    methods = {
        name: MethodEntry.model_validate(entry) for name, entry in recorded["methods"].items() if entry
    }
    asked = {
        run.id for run in list_runs(methods, seeds) if stage == "evaluate" or methods[run.method].trained
    }
    made = {
        receipt["params"]["run"]["id"]
        for name, receipt in receipts.items()
        if name.startswith(f"{stage}/") and receipt["params"].get("run")
    }
    if asked != made:
        yield _problem(
            f"dvc.lock, stage {stage}",
            f"methods that give the runs {', '.join(sorted(asked - made))}"
            f" more and {', '.join(sorted(made - asked))} less",
            "the runs with receipts",
        )


def _check_lock_files(lock: Mapping[str, Any]) -> Iterator[InputError]:
    """The files that dvc.lock names are those that are here, and each stage used what the one before made."""
    made: dict[str, tuple[str, str]] = {}
    for stage, entry in lock.get("stages", {}).items():
        for out in entry.get("outs", []):
            path, recorded = Path(out["path"]), out["md5"]
            made[out["path"]] = (stage, recorded)
            if path.exists() and _hash_as_dvc(path) != recorded:
                yield InputError(
                    file=path,
                    found="other files than those that dvc.lock names",
                    expected=f"MD5 {recorded}, of the stage {stage}",
                    remedy="pull all of it (make pull), or record what is here (make record)",
                )
    for stage, entry in lock.get("stages", {}).items():
        for dependency in entry.get("deps", []):
            maker, hashed = made.get(dependency["path"], ("", dependency["md5"]))
            if hashed != dependency["md5"]:
                yield _problem(
                    f"dvc.lock, stage {stage}",
                    f"made from another {dependency['path']}",
                    f"MD5 {hashed} of the stage {maker}",
                )


def _hash_as_dvc(path: Path) -> str:
    """MD5 as DVC computes it: of a file; of a folder, over the sorted list of its files."""
    if path.is_file():
        return hashlib.md5(path.read_bytes()).hexdigest()
    files = sorted(
        (file for file in path.rglob("*") if file.is_file()), key=lambda file: file.relative_to(path).parts
    )
    listing = [{"md5": _hash_as_dvc(file), "relpath": file.relative_to(path).as_posix()} for file in files]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode()).hexdigest() + ".dir"


def _look_up(values: Mapping[str, Any], dotted: str) -> Any:
    node: Any = values
    for part in dotted.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    return node


def _agrees(section: str, used: Any, recorded: Any) -> bool:
    """Whether a receipt's value of a section is the one that dvc.lock names."""
    if section == "figures":
        # A figure's job file holds only what the figure shows.
        recorded = {key: value for key, value in recorded.items() if used.get(key) is not None}
    if section == "methods":
        recorded = {name: entry for name, entry in recorded.items() if entry is not None}
        return used.keys() == recorded.keys() and _covers(used, recorded)
    return _covers(used, recorded)


def _covers(used: Any, recorded: Any) -> bool:
    """Equal values; a recorded mapping may lack keys that have a default."""
    if isinstance(recorded, Mapping) and isinstance(used, Mapping):
        return all(key in used and _covers(used[key], value) for key, value in recorded.items())
    return used == recorded


def _differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    """Dotted names of the values that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted({*old, *new})
        return [item for key in names for item in _differences(old.get(key), new.get(key), f"{prefix}.{key}")]
    return [] if old == new else [f"{prefix[1:]} = {new!r}"]


def _problem(file: str | Path, found: str, expected: str) -> InputError:
    return InputError(file=file, found=found, expected=expected, remedy="run the pipeline again")
