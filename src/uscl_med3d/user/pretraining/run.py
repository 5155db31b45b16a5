"""One call: a folder of clips in; an encoder adapter, its card and its learning curve out."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic, read_json, remove, sha256, write_csv, write_json
from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.core.pretrained import BASE
from uscl_med3d.core.store import fingerprint
from uscl_med3d.methods.base import torch_device
from uscl_med3d.nets.lora import lora_alpha
from uscl_med3d.pretext import stage
from uscl_med3d.selfsupervised.sweeps import SweepImages
from uscl_med3d.user.pretraining.clips import describe_patients, find_clips, name_patients
from uscl_med3d.user.pretraining.job import Base, Wanted, choose, hold_still, make_job, name_use
from uscl_med3d.user.pretraining.judge import describe_measures, judge, read_measures, watch_collapse
from uscl_med3d.user.pretraining.volumes import Volumes, make_volumes

SEVERAL = ("simclr_no_same_patient", "byol_patient")
"""Tasks that tell patients apart: they need at least two that teach."""
IS = "encoder adapter (LoRA) of SAM-Med3D from a pretext task: a start for fine-tuning; it segments nothing by itself"


def pretrain_clips(
    folder: Path, output: Path, wanted: Wanted, values: Mapping[str, Any], base: Base
) -> list[str]:
    """Pretrain an encoder adapter on the clips below a folder; returns what to say of it, in lines.

    Writes `output` (.safetensors), its card (.json) and its learning curve (.csv), the adapter last. Until then volumes and
    progress are in a hidden folder beside it, so the same call goes on where an interrupted one was.

    Args:
        values: of the parameter files.

    Raises:
        InputError: an output that exists, an unknown task, a folder without a usable clip, a table that does not fit, too
            few patients for the task.
    """
    curve_csv, card_json = check_output(output)
    task, rank = choose(wanted, values)
    job, settings = make_job(task, wanted, values, base), Ingest.model_validate(values["ingest"])
    torch_device(job.device)
    found = find_clips(folder)
    patients = name_patients(list(found.clips), wanted.table)
    _say(f"{folder}: {describe_patients(patients, wanted.table)}")
    if found.others:
        _say(f"no clips: {', '.join(found.others[:5])}{' and more' if len(found.others) > 5 else ''}")
    work = _make_work_folder(output)
    volumes = make_volumes(found.clips, patients, settings, job.seed, wanted.measuring, work)
    _say_use(volumes)
    _check_patients(folder, task, volumes)
    adapter, curve = _train(job, rank, volumes, base, work / "adapter")
    still = _train(hold_still(job), rank, volumes, base, work / "still")[1] if wanted.control else None
    measures, alpha = read_measures(curve, still), lora_alpha(job.pretrain.alpha_rule, rank)
    sweeps = SweepImages(volumes.folder, volumes.splits_csv)
    watched = watch_collapse(job, rank, alpha, sweeps, base.weights, adapter)
    verdict = judge(measures, watched, len(volumes.measuring))
    card = {
        "adapter": output.name,
        "is": IS,
        "sha256": sha256(adapter),
        "task": task,
        "rank": rank,
        "alpha": alpha,
        "base": {"name": BASE, "sha256": sha256(base.weights)},
        "verdict": verdict,
        "measured": [one.as_dict() for one in measures],
        "collapse_watch": watched,
        "use": name_use(task, rank, output, values),
        **_describe_clips(volumes, wanted),
        "parameters": {"ingest": settings.model_dump(mode="json"), **job.model_dump(mode="json")},
    }
    write_csv(curve_csv, curve)
    write_json(card_json, card)
    with atomic(output) as temporary:
        shutil.copyfile(adapter, temporary)
    remove(work)
    return [*describe_measures(measures), *verdict, *_say_files(output, card["use"])]


def check_output(output: Path) -> tuple[Path, Path]:
    """Learning curve and card beside an adapter. Raises `InputError` where one is there, or for another suffix."""
    if output.suffix != ".safetensors":
        raise InputError(
            file=output,
            found=f"suffix {output.suffix!r}",
            expected=".safetensors",
            remedy="give the adapter another name",
        )
    beside = output.with_suffix(".csv"), output.with_suffix(".json")
    for path in (output, *beside):
        if path.exists():
            raise InputError(
                file=path,
                found="a file of this name",
                expected="none: nothing is replaced",
                remedy="give another name by -o, or move the file away",
            )
    return beside


def _make_work_folder(output: Path) -> Path:
    work = output.with_name(f".{output.stem}.pretraining")
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            file=work,
            found=str(error.strerror),
            expected="a folder that this user may write to",
            remedy="give a place for the adapter by -o where you may write",
        ) from None
    return work


def _train(job: Any, rank: int, volumes: Volumes, base: Base, out: Path) -> tuple[Path, pd.DataFrame]:
    """The stage `pretrain`, unless an interrupted call has finished it: the adapter's file and the learning curve."""
    adapter, curve, done = (out.with_suffix(suffix) for suffix in (".safetensors", ".csv", ".json"))
    sweeps = SweepImages(volumes.folder, volumes.splits_csv)
    facts = {
        "job": job.model_dump(mode="json"),
        "rank": rank,
        "base": sha256(base.weights),
        "splits": sweeps.splits_sha256,
        "volumes": [read_json(sweeps.path(name).with_name("made_from.json")) for name in sweeps.train],
    }
    key = {"fingerprint": fingerprint(facts)}
    if not (done.is_file() and read_json(done) == key):
        try:
            stage.pretrain(job, rank, 0, sweeps, base.weights, out_weights=adapter, curve_csv=curve)
        except FloatingPointError as error:
            raise InputError(
                file=adapter,
                found=str(error),
                expected="a loss that stays a number",
                remedy="lower pretrain.tasks.TASK.learning_rate (of other tasks: ssl.tasks) in a file for --overlay",
            ) from None
        write_json(done, key)
    return adapter, pd.read_csv(curve)


def _check_patients(folder: Path, task: str, volumes: Volumes) -> None:
    teaching = {one.patient for one in volumes.used if one.teaches}
    if task in SEVERAL and len(teaching) < 2:
        raise InputError(
            file=folder,
            found=f"{len(volumes.used)} usable clips, of which {len(teaching)} patient teaches",
            expected=f"at least two patients that teach and one that measures: {task} tells patients apart",
            remedy="add clips of other patients, say by --patients whose clips they are, or choose another --task",
        )


def _describe_clips(volumes: Volumes, wanted: Wanted) -> dict[str, Any]:
    clips = [
        {
            "file": one.name,
            "sha256": one.sha256,
            "frames": one.frames,
            "patient": one.patient,
            "use": "teaches" if one.teaches else "measures",
            "assumed": list(one.assumed),
        }
        for one in volumes.used
    ]
    by = "a table" if wanted.table else "names of files, else each clip its own"
    return {"patients_by": by, "clips": clips, "left_out": dict(volumes.left_out)}


def _say_use(volumes: Volumes) -> None:
    for name, reason in volumes.left_out.items():
        _say(f"left out: {name}: {reason}")
    for one in volumes.used:
        for text in one.assumed:
            _say(f"assumed: {one.name}: {text}")
    clips = [one.name for one in volumes.used if not one.teaches]
    teaching = len(volumes.used) - len(clips)
    who = f"{', '.join(clips[:3])}{' and more' if len(clips) > 3 else ''}" if clips else "none"
    _say(f"{teaching} clips teach, {len(clips)} measure and teach nothing: {who}")


def _say_files(output: Path, use: Mapping[str, Any]) -> list[str]:
    parameters = yaml.safe_dump(dict(use), default_flow_style=None, sort_keys=False).rstrip()
    return [
        f"written: {output}, with its card (.json) and learning curve (.csv)",
        "to start fine-tuning from it, put this into the parameters of your cohort (docs/own_cohort.md):",
        *(f"  {line}" for line in parameters.splitlines()),
    ]


def _say(text: str) -> None:
    """To the console, beside the progress bars."""
    print(text, file=sys.stderr)
