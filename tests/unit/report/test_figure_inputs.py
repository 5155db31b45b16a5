"""The small inputs of figures give the same figures, hold no more than these show, and cohorts may lack any part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from uscl_med3d.core.io import load_volume, sha256
from uscl_med3d.core.receipts import hash_tree
from uscl_med3d.core.reporting import VOLUME_FIGURES
from uscl_med3d.report.figure_inputs import build_figure_inputs, find_needed
from uscl_med3d.report.figures import FigureInputs, draw


@pytest.fixture(scope="module")
def job(run) -> SimpleNamespace:
    return SimpleNamespace(classes=run.job.classes, example_sweeps=run.job.figures.example_sweeps)


@pytest.fixture(scope="module")
def kept(run, job, tmp_path_factory) -> FigureInputs:
    """The same run from its small inputs."""
    folder = tmp_path_factory.mktemp("kept") / "figure_inputs"
    build_figure_inputs(job, run.inputs, folder)
    return FigureInputs.kept(folder, run.inputs.splits_csv, run.inputs.scores, run.inputs.curves)


@pytest.mark.parametrize("name", [*VOLUME_FIGURES, "pseudolabel_quality", "pseudolabel_gap"])
def test_figures_from_the_small_inputs_have_the_same_bytes(run, kept, name, tmp_path):
    for label, inputs in (("whole", run.inputs), ("kept", kept)):
        draw(name, run.job, inputs, tmp_path / label)
    for suffix in ("png", "pdf"):
        assert sha256(tmp_path / f"whole/{name}.{suffix}") == sha256(tmp_path / f"kept/{name}.{suffix}")


def test_making_them_again_from_themselves_changes_nothing(job, kept, tmp_path):
    build_figure_inputs(job, kept, tmp_path / "again")
    assert hash_tree(tmp_path / "again") == hash_tree(Path(kept.volumes_dir).parent)


def test_images_are_black_but_for_the_frames_shown(run, job, kept):
    frames = find_needed(job, run.inputs)
    assert None in frames.values() and any(frames.values())
    for sweep, shown in frames.items():
        whole, small = (
            load_volume(Path(one.volumes_dir) / sweep / "image.nii.gz")[0] for one in (run.inputs, kept)
        )
        alike = set(np.flatnonzero((whole == small).all((1, 2))))
        assert alike == (set(range(len(whole))) if shown is None else shown)


def test_every_figure_of_volumes_is_drawn_from_the_black_frames_too(run, kept, tmp_path):
    """Control: a frame that is missing from the small inputs shows in the figure."""
    sweeps = sorted(Path(kept.volumes_dir).iterdir())
    black = tmp_path / "black"
    for sweep in sweeps:
        (black / sweep.name).mkdir(parents=True)
        for path in sweep.iterdir():
            (black / sweep.name / path.name).write_bytes(path.read_bytes())
        image, spacing = load_volume(sweep / "image.nii.gz")
        from uscl_med3d.core.io import save_volume

        save_volume(black / sweep.name / "image.nii.gz", image * 0, spacing)
    for name in VOLUME_FIGURES:
        draw(name, run.job, kept, tmp_path / "kept")
        draw(name, run.job, replace(kept, volumes_dir=black), tmp_path / "other")
        assert sha256(tmp_path / f"kept/{name}.png") != sha256(tmp_path / f"other/{name}.png"), name


def test_a_cohort_without_masks_and_pseudo_labels_has_small_inputs_too(run, job, tmp_path):
    bare = FigureInputs(run.inputs.volumes_dir, run.inputs.splits_csv)
    build_figure_inputs(job, bare, tmp_path / "kept")
    made = FigureInputs.kept(tmp_path / "kept", run.inputs.splits_csv)
    for name in ("fig2", "fig6", "pseudolabel_quality"):
        draw(name, run.job, made, tmp_path / "figures")
