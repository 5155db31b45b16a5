"""Whole weights under the names of the official SAM-Med3D, adapters merged into them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import write_json
from uscl_med3d.core.params.methods import MethodEntry, Run
from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d, save_checkpoint
from uscl_med3d.nets.sam_med3d.checkpoint import export_state
from uscl_med3d.nets.tensors import describe_differences
from uscl_med3d.user.models import Choice, load_method

NAME = "sam_med3d"


def write(choice: Choice, folder: Path) -> str:
    """Write sam_med3d.safetensors, .pth and .json; returns how to use them. Raises `InputError`."""
    network = merge(choice)
    save_checkpoint(network, folder / f"{NAME}.safetensors")
    save_checkpoint(network, folder / f"{NAME}.pth")
    write_json(folder / f"{NAME}.json", describe_model(choice))
    return USAGE.format(name=NAME, prompts=describe_prompts(choice))


def merge(choice: Choice) -> Any:
    """The trained network of a choice. Raises `InputError` where its weights are not those of a SAM-Med3D."""
    network = load_method(choice).network
    plain = build_sam_med3d(SamMed3DConfig(**choice.job.model.model_dump()))
    differences = describe_differences(export_state(network), plain.state_dict())
    if differences:
        raise InputError(
            file=choice.name,
            found=f"{len(differences)} tensors that SAM-Med3D does not have ({differences[0]})",
            expected="weights of SAM-Med3D, or LoRA adapters, which can be merged",
            remedy="export a run of sam_med3d, full_tuning or uscl_med3d",
        )
    return network


def describe_model(choice: Choice) -> dict[str, Any]:
    """What a reader needs beside whole weights: shape, grid, prompts; `segment --weights` reads it."""
    run = Run(
        id=choice.name,
        method="sam_med3d",
        rank=None,
        modules=None,
        pretraining=None,
        training_seed=choice.job.run.training_seed,
        datasets=choice.job.run.datasets,
    )
    entry = MethodEntry(
        label=choice.name,
        takes="clicks",
        works_on="crop",
        base="sam_med3d",
        weights_of=None,
        trained=False,
        datasets=run.datasets,
        grid=None,
        options={},
    )
    job = choice.job.model_copy(update={"run": run, "method": entry})
    return {
        "model": choice.name,
        "preprocessing": choice.preprocessing,
        "preprocessing_steps": describe_preprocessing(choice),
        "prompts": describe_prompts(choice),
        "ingest": choice.ingest.model_dump(mode="json"),
        "job": job.model_dump(mode="json"),
    }


def describe_preprocessing(choice: Choice) -> list[str]:
    """From a clip to the network's input, in steps."""
    ingest, side = choice.ingest, choice.job.model.image_size
    return [
        "grey values 0..255, axes (d, h, w) = (frame, row, column)",
        "everything outside the ultrasound image region set to 0, inside at least 1",
        f"area-weighted mean to {ingest.spacing_mm} mm in the image plane; where the pixel size is unknown, the longer side "
        f"of the image region to {ingest.max_side} voxels",
        f"frames reduced to at most {ingest.max_frames} by {ingest.frame_reduction}",
        f"a cube of {side} voxels a side around the first click, moved to stay inside the volume, zeros where it sticks out",
        "z-score: mean and sample standard deviation over voxels > 0 of the cube, applied to all of its voxels",
    ]


def describe_prompts(choice: Choice) -> dict[str, str]:
    """How clicks reach the decoder."""
    prompts = choice.job.prompts
    swapped = prompts.click_axes == "hdw"
    return {
        "coordinates": "voxel indices of the cube, (h, d, w): first two axes swapped"
        if swapped
        else "voxel indices of the cube, (d, h, w)",
        "labels": "1 object, 0 background, -1 no click",
        "clicks_given": "all clicks so far" if prompts.clicks_given == "all" else "the newest click only",
        "mask_prompt": "zeros for the first prediction, then the low-resolution logits of the one before",
    }


USAGE = """# Using these weights

`{name}.safetensors` and `{name}.pth` hold the same tensors, adapters merged, under the names of the official SAM-Med3D; the
`.pth` has them under `model_state_dict`, as official files do. `{name}.json` states the shape of the network, the
preprocessing, and how clicks are given:

    {prompts}

Official code builds networks of its own sizes only and gives clicks unswapped; give it this file's shape and click order.

    uscl-med3d segment sweep.mp4 --weights {name}.safetensors --point 310,220,40 -o mask.nii.gz
"""
