"""The job of a pretraining, from the parameter files and what a call asks for; and how its adapter is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uscl_med3d.core import shipped
from uscl_med3d.core.params import job_model
from uscl_med3d.core.pretrained import BASE
from uscl_med3d.pretext import find_pretext

METHOD = "uscl_med3d"
STILL = 1e-12  # learning rate of an adapter that is held still


@dataclass(frozen=True)
class Wanted:
    """What a call asks for; None: as the parameters say.

    Attributes:
        task: pretext task. rank: of the adapter. steps, seed, threads, device: of the training.
        measuring: share of the patients that measure and teach nothing. table: says who is the patient of which clip.
        control: train a second time, with the adapter held still.
    """

    task: str | None
    rank: int | None
    steps: int | None
    seed: int | None
    threads: int | None
    device: str | None
    measuring: float
    table: Path | None
    control: bool


@dataclass(frozen=True)
class Base:
    """Base model: its weights, and the shape of its network."""

    weights: Path
    model: Mapping[str, Any]

    @classmethod
    def shipped(cls) -> Base:
        """SAM-Med3D as it comes with the package. Raises `InputError` where it is damaged."""
        return cls(shipped.list_files(BASE).weights, shipped.check(BASE)["network"]["model"])


def choose(wanted: Wanted, values: Mapping[str, Any]) -> tuple[str, int]:
    """Task and rank: those asked for, else those that the fine-tune of the parameters starts from."""
    grid = values["methods"][METHOD]["grid"]
    return wanted.task or grid["pretraining"], wanted.rank or grid["rank"]


def make_job(task: str, wanted: Wanted, values: Mapping[str, Any], base: Base) -> Any:
    """The job of the stage `pretrain`. Raises `InputError` for an unknown task.

    Args:
        values: of the parameter files: options of the tasks, schedule, seed, threads. Steps before the highest learning rate
            keep their share of all steps.
    """
    find_pretext(task)
    options = {**values["ssl"]["tasks"], **values["pretrain"]["tasks"]}[task]
    shared = {key: value for key, value in values["pretrain"].items() if key != "tasks"}
    usual = shared["schedule"]
    steps = wanted.steps or usual["steps"]
    schedule = usual | {
        "steps": steps,
        "warmup_steps": round(usual["warmup_steps"] * steps / usual["steps"]),
        "evaluate_every": max(1, round(steps / 4)),
        "resume_every": min(10, steps),
    }
    job = {name: values[name] for name in ("seed", "threads", "device", "precision", "numerics")}
    asked = {"seed": wanted.seed, "threads": wanted.threads, "device": wanted.device}
    job |= {name: value for name, value in asked.items() if value is not None}
    pretrain = shared | {"schedule": schedule, "tasks": {task: options}}
    return job_model("pretrain").model_validate(job | {"model": base.model, "pretrain": pretrain})


def hold_still(job: Any) -> Any:
    """The same job with an adapter that does not move: what the head alone can learn."""
    ((task, options),) = job.pretrain.tasks.items()
    tasks = {task: {**options, "learning_rate": STILL}}
    return job.model_copy(update={"pretrain": job.pretrain.model_copy(update={"tasks": tasks})})


def name_use(task: str, rank: int, output: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of an own cohort whose fine-tuning starts from the adapter."""
    usual = values["methods"][METHOD]["grid"]
    grid: dict[str, Any] = {}
    if rank != usual["rank"]:
        grid |= {"rank": rank, "ranks": [rank]}
    if task != usual["pretraining"]:
        grid |= {"pretraining": task}
    use: dict[str, Any] = {"pretrained": {f"{task}_r{rank}": str(output)}}
    return use | ({"methods": {METHOD: {"grid": grid}}} if grid else {})
