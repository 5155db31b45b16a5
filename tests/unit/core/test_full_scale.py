"""What workflow/scales/full.yaml may change of the scale `paper`: counts, places and the machine, but no size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from uscl_med3d.core import params
from uscl_med3d.core.params.files import overlay, read_defaults
from uscl_med3d.core.runs import list_runs

ROOT = Path(__file__).resolve().parents[3]
MACHINE = {"scale", "device", "precision", "threads"}
PLACES = {"cohort", "general.amos", "general.totalsegmentator", "general.brats"}
SHOWN = {"figures.drawn", "report.points", "report.n_boot", "report.n_permutations", "annotation.key_frames"}
COUNTS = {
    "ingest.workers",
    "ingest.max_frames",
    "pseudolabel.prompts",
    "pretrain.schedule.steps",
    "pretrain.schedule.batch_size",
    "pretrain.schedule.warmup_steps",
    "pretrain.schedule.evaluate_every",
    "pretrain.tasks.vcl.random_crops",
    "pretrain.tasks.vcl.whitening_sweeps",
    "pretrain.tasks.vcl.validation_crops",
    "finetune.steps",
    "finetune.batch_size",
    "finetune.clicks",
    "finetune.warmup_steps",
    "finetune.evaluate_every",
    "finetune.validation_targets",
    "finetune.validation_clicks",
    "evaluate.clicks",
    "evaluate.image_use.classes_per_case",
    "evaluate.image_use.points",
    "evaluate.surface_at",
    "evaluate.max_classes_per_case",
    "evaluate.general_validation_patients",
    "evaluate.batch_size",
    "measure.methods",
    "measure.alone",
    "measure.least_passes",
    "measure.most_passes",
}
GRID = ("ranks", "modules", "sweep_modules", "without_pretraining")
LEFT_OUT = {"adaptformer", "unet", "unet_told", "swin_unetr", "seggpt", "shape_interpolation"}


@pytest.fixture(scope="module")
def scales() -> tuple[params.Params, params.Params]:
    paper = overlay(read_defaults(ROOT), yaml.safe_load((ROOT / "workflow/scales/paper.yaml").read_text()))
    full = overlay(paper, yaml.safe_load((ROOT / "workflow/scales/full.yaml").read_text()))
    return params.validate(paper, "paper"), params.validate(full, "full")


def flatten(values: Any, name: str = "") -> dict[str, Any]:
    """Dotted key -> value of everything that is no mapping."""
    if not isinstance(values, dict) or not values:
        return {name: values}
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flatten(value, f"{name}.{key}" if name else str(key))
    return found


def test_nothing_but_counts_differs_from_the_scale_paper(scales) -> None:
    paper, full = (flatten(scale.model_dump(mode="json", exclude={"methods"})) for scale in scales)
    changed = {name for name in paper.keys() | full.keys() if paper.get(name) != full.get(name)}
    rest = changed - MACHINE - PLACES - SHOWN - COUNTS
    assert not {name for name in rest if not name.startswith(("simulate.", "search."))}


def test_networks_crops_and_checkpoints_are_those_of_the_paper(scales) -> None:
    paper, full = scales
    for section in ("model", "foundation", "prompts", "general_reading", "classes"):
        assert getattr(full, section) == getattr(paper, section)
    assert full.ingest.spacing_mm == paper.ingest.spacing_mm == 1.5
    assert full.model.image_size == 128 and full.model.embed_dim == 768 and full.model.depth == 12


def test_methods_are_those_of_the_paper_but_for_what_is_left_out(scales) -> None:
    paper, full = scales
    assert (
        paper.methods.keys() - full.methods.keys() == LEFT_OUT and full.methods.keys() <= paper.methods.keys()
    )
    for name, entry in full.methods.items():
        given = paper.methods[name]
        grid = given.grid and given.grid.model_copy(update={key: getattr(entry.grid, key) for key in GRID})
        assert set(entry.datasets) <= set(given.datasets)
        assert entry == given.model_copy(update={"datasets": entry.datasets, "grid": grid}), name
    runs = {run.id for run in list_runs(full.methods, full.training_seeds)}
    assert {"uscl_med3d_r32_both_vcl", "full_tuning"} <= runs
