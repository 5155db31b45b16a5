"""A MONAI bundle: whole weights, metadata and an inference configuration that `monai.bundle run` runs."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from uscl_med3d.core.io import write_json
from uscl_med3d.nets.sam_med3d import save_checkpoint
from uscl_med3d.user.export.official import NAME, describe_model, describe_prompts, merge
from uscl_med3d.user.models import Choice


def write(choice: Choice, folder: Path) -> str:
    """Write configs/metadata.json, configs/inference.json and models/; returns how to use them. Raises `InputError`."""
    network = merge(choice)
    save_checkpoint(network, folder / f"models/{NAME}.safetensors")
    write_json(folder / f"models/{NAME}.json", describe_model(choice))
    write_json(folder / "configs/metadata.json", _describe(choice))
    write_json(folder / "configs/inference.json", _configure())
    return USAGE


def segment_file(
    weights: str, input: str, prompts: dict[str, list[list[float]]], output: str, whole_frame: bool = False
) -> str:
    """What the bundle runs: one file, named objects with clicks (x, y, z, label), mask to `output`; returns its path.

    Raises:
        InputError: for unreadable files. ValueError: for clicks outside the image.
    """
    from uscl_med3d.user.save import check_suffix
    from uscl_med3d.user.segmenter import Segmenter

    check_suffix(Path(output))
    segmenter = Segmenter.load(weights)
    segmenter.encode(input, whole_frame=whole_frame)
    for name, clicks in prompts.items():
        for x, y, z, label in clicks:
            segmenter.click((x, y, z), int(label), name)
    segmenter.save(output)
    return output


def _describe(choice: Choice) -> dict[str, Any]:
    side = choice.job.model.image_size
    return {
        "version": "0.1.0",
        "changelog": {"0.1.0": "exported"},
        "monai_version": metadata.version("monai"),
        "pytorch_version": metadata.version("torch").split("+")[0],
        "numpy_version": metadata.version("numpy"),
        "python_version": platform.python_version(),
        "required_packages_version": {"uscl-med3d": metadata.version("uscl-med3d")},
        "task": "Promptable segmentation of ultrasound sweeps",
        "description": f"{choice.name}: SAM-Med3D for ultrasound sweeps, prompted by clicks",
        "authors": "the maintainers of USCL-Med3D",
        "copyright": "the maintainers of USCL-Med3D",
        "intended_use": "research only; not a medical device",
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "magnitude",
                    "modality": "US",
                    "num_channels": 1,
                    "spatial_shape": [side] * 3,
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": True,
                    "channel_def": {"0": "grey value, z-scored over voxels above 0"},
                },
                "points": {
                    "type": "series",
                    "format": "clicks",
                    "num_channels": 3,
                    "spatial_shape": ["n"],
                    "dtype": "float32",
                    "value_range": [0, side - 1],
                    "is_patch_data": False,
                    "channel_def": {"0": describe_prompts(choice)["coordinates"]},
                },
            },
            "outputs": {
                "logits": {
                    "type": "image",
                    "format": "segmentation",
                    "num_channels": 1,
                    "spatial_shape": [side] * 3,
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": True,
                    "channel_def": {"0": "object where above zero"},
                }
            },
        },
    }


def _configure() -> dict[str, Any]:
    return {
        "imports": ["$from uscl_med3d.user.export.monai_bundle import segment_file"],
        "bundle_root": ".",
        "weights": f"$@bundle_root + '/models/{NAME}.safetensors'",
        "input": "sweep.mp4",
        "output": "mask.nii.gz",
        "whole_frame": False,
        "prompts": {"liver": [[310, 220, 40, 1]]},
        "run": ["$print(segment_file(@weights, @input, @prompts, @output, @whole_frame))"],
    }


USAGE = """# Using this bundle

It needs the Python package `uscl-med3d`, which reads clips and knows the network. Prompts are objects by name, each with
clicks (column, row, frame, label) in voxels of the input; label 1 is the object, 0 background.

```python
from monai.bundle import run

run(config_file="configs/inference.json", meta_file="configs/metadata.json", bundle_root=".",
    input="sweep.mp4", output="mask.nii.gz", prompts={"liver": [[310, 220, 40, 1]]})
```

With the package `fire` the same from a shell:

    python -m monai.bundle run --config_file configs/inference.json --meta_file configs/metadata.json \\
        --bundle_root . --input sweep.mp4 --output mask.nii.gz --prompts "{'liver': [[310, 220, 40, 1]]}"
"""
