"""Every figure is drawn from a full run and from nothing; equal inputs give equal bytes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import fake_run
import numpy as np
import pytest
from PIL import Image

from uscl_med3d.core.errors import InputError
from uscl_med3d.report import style
from uscl_med3d.report.figures import FIGURES, FigureInputs, draw, find_figure
from uscl_med3d.report.figures.fig4 import decoder_adapter_size, encoder_adapter_size
from uscl_med3d.report.figures.fig5 import base_boxes, draw_boxes, overlaps


def test_a_figure_has_a_module_and_every_module_is_a_figure_or_its_helper():
    import pkgutil

    from uscl_med3d.report import figures

    helpers = {"diagram", "errors", "images", "inputs"}
    assert set(FIGURES) == {module.name for module in pkgutil.iter_modules(figures.__path__)} - helpers


def test_a_job_file_holds_only_what_its_figure_shows(run):
    from uscl_med3d.core.params.report import SHOWN_IN

    source = (fake_run.ROOT / "src/uscl_med3d/report/figures").glob("*.py")
    for path in source:
        for value, shown_in in SHOWN_IN.items():
            if f"figures.{value}" in path.read_text():
                assert path.stem in shown_in, f"{path.stem} uses figures.{value}"


@pytest.mark.parametrize("name", FIGURES)
def test_a_full_run_is_drawn(run, tmp_path, name):
    draw(name, run.job, run.inputs, tmp_path)
    with Image.open(tmp_path / f"{name}.png") as image:
        assert image.width == pytest.approx(7.2 * run.job.figures.dpi, abs=2)
        grey = np.asarray(image.convert("L"))
    assert grey.std() > 10
    edges = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    assert (edges == 255).all(), "something is cut at the edge"
    assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert find_figure(name).TITLE and find_figure(name).CAPTION


@pytest.mark.parametrize("name", FIGURES)
def test_what_is_missing_is_said_in_words(run, tmp_path, name):
    figure = find_figure(name).build(run.job, FigureInputs())
    if name == "fig4":
        return
    words = " ".join(
        text.get_text().replace("\n", " ") for text in figure.findobj(lambda a: hasattr(a, "get_text"))
    )
    assert any(word in words for word in ("no ", "not scored"))


@pytest.mark.parametrize("name", ["fig1", "fig2", "fig3", "fig5", "fig6", "failures"])
def test_a_cohort_without_labels_is_drawn(run, tmp_path, name):
    made = fake_run.make_volumes(tmp_path, sweeps=1, references=False, annotated=False)
    inputs = FigureInputs(made.volumes_dir, made.splits_csv, tmp_path / "none", scores=run.scores)
    draw(name, run.job, inputs, tmp_path)
    assert (tmp_path / f"{name}.png").is_file()


def test_an_unknown_figure_is_refused(run, tmp_path):
    with pytest.raises(InputError, match="fig9"):
        draw("fig9", run.job, run.inputs, tmp_path)


def digest(folder: Path) -> str:
    """Hash of all files of a folder."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.iterdir()))).hexdigest()


SCRIPT = """
import sys
from pathlib import Path
from uscl_med3d.core.params import load_job
from uscl_med3d.report.figures import FigureInputs, draw
from uscl_med3d.report.tables import build_tables
from uscl_med3d.report.claims import build_claims
from uscl_med3d.report.html import build_report
folder, out = Path(sys.argv[1]), Path(sys.argv[2])
job = load_job("figure", folder / "params" / "report.json")
inputs = FigureInputs(folder / "volumes", folder / "splits.csv", folder / "pseudolabels",
                      sorted((folder / "scores").glob("*.parquet")))
for name in ("fig2", "forgetting"):
    draw(name, job, inputs, out)
heavy = {"torch", "monai", "transformers"} & set(sys.modules)
assert not heavy, heavy
"""


def test_bytes_depend_on_nothing_but_the_inputs_and_no_torch_is_loaded(run, tmp_path):
    inputs = FigureInputs(
        run.inputs.volumes_dir, run.inputs.splits_csv, run.inputs.pseudolabels_dir, run.scores
    )
    for name in ("fig2", "forgetting"):
        draw(name, run.job, inputs, tmp_path / "here")
    source = Path(__file__).resolve().parents[3] / "src"
    environment = os.environ | {"PYTHONHASHSEED": "77", "PYTHONPATH": str(source), "TZ": "Asia/Tokyo"}
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(run.folder), str(tmp_path / "there")], env=environment, check=True
    )
    assert digest(tmp_path / "here") == digest(tmp_path / "there")


def test_overlap_labels_against_counting_voxels():
    shape, grid = (5, 7, 9), (1, 2, 2)
    base = base_boxes(shape, grid)
    crops = draw_boxes(shape, grid, 6, np.random.default_rng(0))
    labels = overlaps(crops, base)
    assert labels.sum(1) == pytest.approx(1.0)
    for crop, (index, cell) in product(range(len(crops)), enumerate(base)):
        volume, inside = np.zeros(shape), np.zeros(shape)
        d0, h0, w0, d1, h1, w1 = crops[crop]
        volume[d0:d1, h0:h1, w0:w1] = 1
        inside[cell[0] : cell[3], cell[1] : cell[4], cell[2] : cell[5]] = 1
        assert labels[crop, index] == pytest.approx((volume * inside).sum() / volume.sum())


def test_adapter_sizes_against_counting_matrices():
    model = SimpleNamespace(
        depth=3, embed_dim=12, mlp_ratio=2.0, prompt_dim=8, decoder_depth=2, decoder_mlp_dim=20
    )
    encoder = 3 * sum(4 * (rows + columns) for rows, columns in ((12, 36), (12, 12)))
    wide, half = 4 * [(8, 8)], 3 * [(8, 4)] + [(4, 8)]
    decoder = sum(4 * (a + b) for a, b in 2 * (wide + half + half) + half)
    assert encoder_adapter_size(model, 4, with_mlp=False) == encoder
    assert decoder_adapter_size(model, 4, with_mlp=False) == decoder
    assert encoder_adapter_size(model, 4, with_mlp=True) == encoder + 3 * 4 * 2 * (12 + 24)
    assert decoder_adapter_size(model, 4, with_mlp=True) == decoder + 2 * 4 * 2 * (8 + 20)


def test_panels_do_not_hang_on_the_last_digits_of_the_automatic_layout(tmp_path):
    with style.styled():
        figure = style.new_figure(2.0)
        panels = figure.subplots(1, 3)
        for panel, label in zip(panels, ("short", "a much longer label", "x"), strict=True):
            panel.set_ylabel(label)
        style.save(figure, tmp_path, "layout", 80)
    places = np.array([panel.get_position(original=True).bounds for panel in panels])
    assert np.allclose(places, places.round(6), rtol=0, atol=1e-12) and len(np.unique(places[:, 0])) == 3
    # Making room for the labels is still the layout's work.
    assert places[1, 0] > places[0, 0] + places[0, 2] + 0.02
