"""Every task of the training engine, tiny: the registry that tests/contract/test_tasks.py goes through.

A new task is one function here: it makes the task anew, always the same, with its schedule.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
import yaml
from tiny_cohort import ROOT, Cohort, tiny_job, tiny_params
from tiny_sam import SHAPE, TWO_BLOCKS

from uscl_med3d.core.params.schedule import Schedule
from uscl_med3d.core.seeds import prepare_torch
from uscl_med3d.data.general import Reading
from uscl_med3d.pretext import list_pretexts
from uscl_med3d.train.engine import Task

SEED = 7
TINY_VIT = {
    "widths": [8, 12, 16, 16],
    "depths": [1, 1, 1, 1],
    "num_heads": [2, 2, 2, 2],
    "window_sizes": [2, 2, 4, 2],
    "merge_strides": [2, 1, 1],
    "mlp_ratio": 2.0,
    "expand_ratio": 2.0,
}
SEGGPT = {
    "image_height": 16,
    "image_width": 24,
    "patch_size": 8,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "mlp_dim": 32,
    "intermediate_hidden_state_indices": [0, 1],
}


class Example(NamedTuple):
    """A task, its schedule, and the parameters that must keep their bytes."""

    task: Task
    schedule: Schedule
    frozen: dict[str, torch.Tensor]


def _job(stage: str, seed: int) -> Any:
    changes: dict[str, Any] = {"seed": seed}
    for name in ("sam", "sam_med2d"):
        changes |= {f"foundation__{name}__architecture__{key}": value for key, value in SHAPE.items()}
    for name in ("mobile_sam", "tinysam"):
        changes |= {f"foundation__{name}__architecture__{key}": value for key, value in TINY_VIT.items()}
    changes |= {f"foundation__seggpt__architecture__{key}": value for key, value in SEGGPT.items()}
    changes |= {"foundation__sam__training__images__sides": [24, 32]}
    job = tiny_job(stage, **changes)
    prepare_torch(job.seed, job.threads, stage)
    return job


def _example(task: Task, schedule: Schedule, network: torch.nn.Module) -> Example:
    trained = {id(value) for group in task.groups() for value in group.parameters}
    frozen = {name: value for name, value in network.named_parameters() if id(value) not in trained}
    return Example(task, schedule, frozen)


def _sam_med3d(cohort: Cohort, seed: int, stage: str) -> Example:
    from uscl_med3d.foundation.general_crops import GeneralCrops
    from uscl_med3d.foundation.sam_med3d import DenseLabels, ObjectClicks
    from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d

    job = _job("foundation_sam_med3d", seed)
    training, network = job.sam_med3d.training, build_sam_med3d(SamMed3DConfig(**job.model.model_dump()))
    crops = GeneralCrops(cohort.general, Reading.of(job), job.model.image_size, training.crops, seed, "test")
    make = DenseLabels if stage == "dense" else ObjectClicks
    return _example(make(job, network, crops), getattr(training, stage), network)


def _sam(cohort: Cohort, seed: int, stage: str) -> Example:
    from uscl_med3d.foundation import sam

    job = _job("foundation_sam", seed)
    network = sam.build_sam(job.sam.architecture.model_dump(mode="json"))
    tasks = sam.make_tasks(job, network)
    return _example(tasks[stage](), getattr(job.sam.training, stage), network)


def _sam_med2d(cohort: Cohort, seed: int, stage: str) -> Example:
    from uscl_med3d.foundation import sam_med2d
    from uscl_med3d.foundation.general_slices import GeneralSlices
    from uscl_med3d.methods.sam_med2d import SamMed2DMethod

    job = _job("foundation_sam_med2d", seed)
    training, architecture = (
        job.sam_med2d.training,
        job.sam_med2d.architecture.model_dump(mode="json"),
    )
    network = SamMed2DMethod.build(architecture)
    method = SamMed2DMethod(network, architecture, training.images.percentiles, torch.device("cpu"))
    slices = GeneralSlices(cohort.general, Reading.of(job), training.images, 32, False, seed, "test")
    tasks = sam_med2d.make_tasks(job, method, slices)
    return _example(tasks[stage](), getattr(training, stage), network)


def _student(cohort: Cohort, seed: int, name: str) -> Example:
    from uscl_med3d.foundation import mobile_sam, students, tinysam
    from uscl_med3d.foundation.distillation_scenes import DistillationScenes
    from uscl_med3d.methods.mobile_sam import MobileSamMethod
    from uscl_med3d.methods.tinysam import TinySamMethod
    from uscl_med3d.nets.sam import build_sam

    job = _job(f"foundation_{name}", seed)
    settings = getattr(job, name)
    teacher = build_sam(job.sam.architecture.model_dump(mode="json")).requires_grad_(False)
    student, architecture = students.build_student(teacher, settings.architecture)
    scenes = DistillationScenes(job, settings.training, name, teacher)
    method = (MobileSamMethod if name == "mobile_sam" else TinySamMethod)(
        student, architecture, (0.0, 100.0), torch.device("cpu")
    )
    make: Any = mobile_sam.EmbeddingDistillation if name == "mobile_sam" else tinysam.FullStageDistillation
    return _example(make(scenes, method), settings.training, student)


def _fastsam3d(cohort: Cohort, seed: int) -> Example:
    from uscl_med3d.foundation import fastsam3d
    from uscl_med3d.foundation.general_crops import GeneralCrops
    from uscl_med3d.nets.fastsam3d import build_fastsam3d
    from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d

    job = _job("foundation_fastsam3d", seed)
    training = job.fastsam3d.training
    base = build_sam_med3d(SamMed3DConfig(**job.model.model_dump()))
    student = build_fastsam3d(fastsam3d.describe_student(job), base.config)
    crops = GeneralCrops(cohort.general, Reading.of(job), job.model.image_size, training.crops, seed, "test")
    return _example(fastsam3d.FeatureDistillation(job, base, student, crops), training, student)


def _seggpt(cohort: Cohort, seed: int) -> Example:
    from uscl_med3d.foundation import seggpt

    job = _job("foundation_seggpt", seed)
    task = seggpt.FollowObjects(job)
    return _example(task, job.seggpt.training, task.network)


def _finetune(cohort: Cohort, seed: int, run: str) -> Example:
    from uscl_med3d.methods.base import Weights
    from uscl_med3d.methods.registry import find_method
    from uscl_med3d.train.sweeps import LabelledSweeps
    from uscl_med3d.train.tasks import make_task

    job = tiny_job("finetune", run, seed=seed)
    prepare_torch(job.seed, job.threads, "finetune")
    method = find_method(job.run.method).load(job, Weights(cohort.base if job.method.base else None))
    sweeps = LabelledSweeps(cohort.volumes, cohort.splits, cohort.pseudolabels)
    task = make_task(job, method, sweeps)
    return _example(task, task.schedule, method.network)


def _finetune_slices(cohort: Cohort, seed: int) -> Example:
    """SAM tuned on frames: a line of parameters, no file."""
    from uscl_med3d.core import params as parameters
    from uscl_med3d.core.runs import list_runs
    from uscl_med3d.methods.sam import SamMethod
    from uscl_med3d.nets.sam import build_sam
    from uscl_med3d.train.sweeps import LabelledSweeps
    from uscl_med3d.train.tasks import make_task
    from uscl_med3d.tuning import find_tuning

    tuning = {"strategy": "full", "learning_rate": 0.003}
    params = tiny_params(seed=seed, methods__sam__trained=True, methods__sam__tuning=tuning)
    (run,) = [run for run in list_runs(params.methods, [0]) if run.id == "sam"]
    job = parameters.job_model("finetune").model_validate(parameters.slice_job(params, "finetune", run))
    prepare_torch(job.seed, job.threads, "finetune")
    method = SamMethod(build_sam(TWO_BLOCKS), TWO_BLOCKS, (0.5, 99.5), torch.device("cpu"))
    strategy = find_tuning("full")
    method.tuning = strategy(method.network, strategy.Options.model_validate(tuning), run, seed)
    task = make_task(job, method, LabelledSweeps(cohort.volumes, cohort.splits, cohort.pseudolabels))
    return _example(task, task.schedule, method.network)


def _pretext(cohort: Cohort, seed: int, name: str) -> Example:
    from uscl_med3d.nets.lora import add_lora, freeze_all_but_lora
    from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d, load_checkpoint
    from uscl_med3d.pretext import find_pretext
    from uscl_med3d.selfsupervised.sweeps import SweepImages

    job = tiny_job("pretrain", seed=seed)
    prepare_torch(job.seed, job.threads, "pretrain")
    model = build_sam_med3d(SamMed3DConfig(**job.model.model_dump()))
    load_checkpoint(model, cohort.base)
    add_lora(model, "encoder", 4, 4.0, 0.0, seed)
    freeze_all_but_lora(model, "encoder")
    kind = find_pretext(name)
    values = {**(SSL | job.pretrain.tasks)[name], **TINY_PRETEXT.get(name, {})}
    sweeps = SweepImages(cohort.volumes, cohort.splits)
    task = kind(job, kind.Options.model_validate(values), model.image_encoder, sweeps, seed)
    return _example(task, job.pretrain.schedule, model)


SSL = yaml.safe_load((ROOT / "params/ssl.yaml").read_text(encoding="utf-8"))["ssl"]["tasks"]
TWO_VIEWS = {"images": 4, "hidden_dim": 16, "head_dim": 8, "validation_images": 2}
TINY_PRETEXT: dict[str, dict[str, Any]] = {
    "vcl": {
        "random_crops": 2,
        "head_dim": 16,
        "head_components": 4,
        "whitening_sweeps": 2,
        "validation_crops": 2,
    },
    "simclr": TWO_VIEWS,
    "simclr_no_same_patient": TWO_VIEWS,
    "byol": TWO_VIEWS,
    "byol_patient": {**TWO_VIEWS, "branch_dim": 8},
    "mae": {"images": 2, "decoder_dim": 16, "decoder_heads": 2, "validation_images": 2},
    "simmim": {"images": 2, "validation_images": 2},
}

TASKS: dict[str, Callable[[Cohort, int], Example]] = {
    "sam_med3d dense": lambda cohort, seed: _sam_med3d(cohort, seed, "dense"),
    "sam_med3d clicks": lambda cohort, seed: _sam_med3d(cohort, seed, "clicks"),
    "sam dense": lambda cohort, seed: _sam(cohort, seed, "dense"),
    "sam clicks": lambda cohort, seed: _sam(cohort, seed, "clicks"),
    "sam_med2d dense": lambda cohort, seed: _sam_med2d(cohort, seed, "dense"),
    "sam_med2d clicks": lambda cohort, seed: _sam_med2d(cohort, seed, "clicks"),
    "mobile_sam": lambda cohort, seed: _student(cohort, seed, "mobile_sam"),
    "tinysam": lambda cohort, seed: _student(cohort, seed, "tinysam"),
    "fastsam3d": _fastsam3d,
    "seggpt": _seggpt,
    "finetune, LoRA on crops": lambda cohort, seed: _finetune(cohort, seed, "uscl_med3d_r32_both_none"),
    "finetune, all weights on crops": lambda cohort, seed: _finetune(cohort, seed, "full_tuning"),
    "finetune, AdaptFormer on crops": lambda cohort, seed: _finetune(cohort, seed, "adaptformer"),
    "finetune, slices": _finetune_slices,
    "finetune, windows": lambda cohort, seed: _finetune(cohort, seed, "unet"),
    **{f"pretext {name}": partial(_pretext, name=name) for name in list_pretexts()},
}
