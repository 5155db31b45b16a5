"""The job of target `samus`, small, with a tiny base SAM: everything of it, in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny_stills import ROOT

from uscl_med3d.core.params import job_model, slice_job, validate
from uscl_med3d.core.params.files import overlay, read_defaults

TINY: dict[str, Any] = {
    "scans": {"workers": 1, "patients": {"train": 2, "test": 2}, "frames": 6},
    "n_boot": 40,
    "points": [1, 2],
    "places": 2,
    "training": {"steps": 2, "batch_size": 2, "warmup_steps": 1, "evaluate_every": 2, "resume_every": 1},
}


def tiny_samus(stage: str, **changes: Any) -> Any:
    """The job of `samus_scans` or `samus`; `changes` overlay the section."""
    values = read_defaults(ROOT)
    small: dict[str, Any] = {"methods": {name: {"image_size": 32} for name in values["samus"]["methods"]}}
    for name in ("unetr", "swin_unetr"):  # their coarsest stage would be one pixel, which no norm takes
        small["methods"][name]["image_size"] = 64
    small["methods"]["unet"]["options"] = {"features": [4, 8, 8]}
    small["methods"]["samus"]["options"] = {"cnn_widths": [4, 4], "window_size": 4}
    changed = overlay(overlay(overlay(values, {"samus": TINY}), {"samus": small}), {"samus": changes})
    return job_model(stage).model_validate(slice_job(validate(changed, "params.yaml"), stage))


def make_scans(folder: Path) -> Path:
    """The tiny image sets, written."""
    from uscl_med3d.simulate.scans import simulate_scans

    folder.mkdir(parents=True, exist_ok=True)
    simulate_scans(tiny_samus("samus_scans"), folder)
    return folder


def few(job: Any, *names: str) -> Any:
    """The job with some of its methods."""
    kept = {name: job.samus.methods[name] for name in names}
    return job.model_copy(update={"samus": job.samus.model_copy(update={"methods": kept})})
