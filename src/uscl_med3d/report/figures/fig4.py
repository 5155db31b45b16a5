"""Figure 4: the architecture, drawn from the parameters.

Every number in it is computed from the configuration.
"""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uscl_med3d.report.figures.diagram import DATA_FACE, arrow, box, note, prepare, trained_box
from uscl_med3d.report.figures.inputs import FigureInputs
from uscl_med3d.report.style import INK, MUTED, OURS, new_figure

TITLE = "Figure 4. Architecture of USCL-Med3D"
CAPTION = (
    "SAM-Med3D with LoRA in the transformer blocks of encoder and decoder (blue), everything else frozen "
    "(grey). Shapes and adapter sizes are computed from this run's configuration, not from the paper's ViT-B."
)


def build(job: Any, inputs: FigureInputs) -> Figure:
    """Encoder above, prompt encoder below, decoder at the right."""
    figure = new_figure(3.35)
    axes = figure.subplots()
    prepare(axes, 100, 46)
    rank, with_mlp = main_rank(job), adapts_mlp(job)
    _encoder(axes, job, rank, with_mlp)
    _prompts(axes, job)
    _decoder(axes, job, rank, with_mlp)
    _legend(axes)
    return figure


def main_rank(job: Any) -> int:
    """Rank of the method with a LoRA sweep (0 without one)."""
    return next((entry.grid.rank for entry in job.methods.values() if entry.grid is not None), 0)


def adapts_mlp(job: Any) -> bool:
    """Whether that method adapts the MLPs beside the attention layers."""
    layers = (entry.tuning.get("layers") for entry in job.methods.values() if entry.grid is not None)
    return next(layers, None) == "attention_and_mlp"


def encoder_adapter_size(model: Any, rank: int, with_mlp: bool) -> int:
    """Parameters of the encoder's adapters.

    A and B of query-key-value (dim to 3 dim) and of the output projection, and of both layers of the MLP.
    """
    dim, hidden = model.embed_dim, int(model.embed_dim * model.mlp_ratio)
    mlp = 2 * (dim + hidden) if with_mlp else 0
    return model.depth * rank * (((1 + 3) + (1 + 1)) * dim + mlp)


def decoder_adapter_size(model: Any, rank: int, with_mlp: bool) -> int:
    """Parameters of the decoder's adapters.

    Four projections of every attention, cross attention at half width, and both layers of the MLP.
    """
    wide, half = 4 * 2 * model.prompt_dim, 4 * (model.prompt_dim + model.prompt_dim // 2)
    mlp = 2 * (model.prompt_dim + model.decoder_mlp_dim) if with_mlp else 0
    return rank * (model.decoder_depth * (wide + 2 * half + mlp) + half)


def _cube(side: int) -> str:
    return f"{side}×{side}×{side}"


def _encoder(axes: Axes, job: Any, rank: int, with_mlp: bool) -> None:
    m, grid = job.model, job.model.image_size // job.model.patch_size
    box(axes, 0, 31, 10.5, 10, f"crop of\nthe sweep\n1×{_cube(m.image_size)}", face=DATA_FACE, size=6)
    embedding = f"patch embedding\nconv {m.patch_size}³, stride {m.patch_size}\n+ position"
    box(axes, 13, 31, 13, 10, embedding, size=6)
    trained_box(axes, 30, 26.5, 29, 17.5, "")
    windowed, blocks = m.depth - len(m.global_blocks), ", ".join(map(str, m.global_blocks))
    note(axes, 44.5, 41.9, f"image encoder: {m.depth} transformer blocks", 7)
    note(axes, 44.5, 39.3, f"{windowed} windowed ({m.window_size}³); global: {blocks}", 6)
    trained_box(axes, 31.2, 31.8, 13.8, 5.6, f"attention, {m.num_heads} heads\n+ LoRA r = {rank}", 6)
    mlp = f"MLP\n{m.embed_dim} → {round(m.embed_dim * m.mlp_ratio)}"
    if with_mlp:
        trained_box(axes, 47.5, 31.8, 10.3, 5.6, mlp, 6)
    else:
        box(axes, 47.5, 31.8, 10.3, 5.6, mlp, size=6)
    where, size = "qkv, proj, MLP" if with_mlp else "qkv and proj", encoder_adapter_size(m, rank, with_mlp)
    note(axes, 44.5, 28.8, f"LoRA on {where}: {size:,} parameters", 5.8, OURS)
    box(axes, 63, 31, 8.5, 10, f"neck\n{m.embed_dim} → {m.prompt_dim}", size=6)
    for start, end in ((10.5, 13), (26, 30), (59, 63), (71.5, 75.5)):
        arrow(axes, (start, 36), (end, 36))
    arrow(axes, (45, 34.6), (47.5, 34.6))
    note(axes, 28, 39, f"{grid}³\n×{m.embed_dim}", 5.6, MUTED)
    note(axes, 73.5, 39, f"{m.prompt_dim}\n×{grid}³", 5.6, MUTED)


def _prompts(axes: Axes, job: Any) -> None:
    m, grid = job.model, job.model.image_size // job.model.patch_size
    clicks = f"clicks (inside / outside)\nup to {max(job.report.points)}"
    box(axes, 0, 13, 18.5, 6.5, clicks, face=DATA_FACE, size=6)
    box(axes, 0, 4, 18.5, 6.5, f"mask after the last click\n1×{_cube(4 * grid)}", face=DATA_FACE, size=6)
    box(axes, 30, 3, 29, 17.5, "")
    note(axes, 44.5, 18.4, "prompt encoder", 7)
    note(axes, 44.5, 14.3, f"points: sin/cos encoding,\n{m.prompt_dim} channels per click", 6)
    convolutions = f"({m.mask_channels // 4}, {m.mask_channels} channels), then {m.prompt_dim}×{grid}³"
    note(axes, 44.5, 7.5, f"mask: two convolutions of stride 2\n{convolutions}", 6)
    arrow(axes, (18.5, 16.2), (30, 16.2))
    arrow(axes, (18.5, 7.2), (30, 7.2))
    arrow(axes, (59, 13), (75.5, 24))
    note(axes, 64.5, 21.3, "tokens,\ndense map", 5.6, MUTED)


def _decoder(axes: Axes, job: Any, rank: int, with_mlp: bool) -> None:
    m, grid = job.model, job.model.image_size // job.model.patch_size
    trained_box(axes, 75.5, 18.5, 24.5, 25.5, "")
    note(axes, 87.7, 41.9, "mask decoder", 7)
    transformer = f"two-way transformer, {m.decoder_depth} layers\n{m.decoder_heads} heads, + LoRA r = {rank}"
    trained_box(axes, 76.7, 32.2, 22.1, 7.2, transformer, 6)
    channels = f"{m.prompt_dim} → {m.prompt_dim // 4} → {m.prompt_dim // 8} channels"
    box(axes, 76.7, 22.9, 22.1, 6.5, f"two transposed convolutions\n{channels}", size=6)
    arrow(axes, (87.7, 32.2), (87.7, 29.4))
    where = "q, k, v, out, MLP" if with_mlp else "q, k, v, out"
    note(axes, 87.7, 20.5, f"LoRA on {where}: {decoder_adapter_size(m, rank, with_mlp):,}", 5.8, OURS)
    output = f"mask logits {_cube(4 * grid)}\ntrilinear to {_cube(m.image_size)}\n+ quality estimate"
    box(axes, 77, 4, 21.5, 9.5, output, face=DATA_FACE, size=6)
    arrow(axes, (87.7, 18.5), (87.7, 13.5))
    axes.plot([77, 70, 70, 9.2, 9.2], [7, 7, 1.2, 1.2, 2.4], color=INK, lw=0.9, zorder=1.5)
    arrow(axes, (9.2, 2.4), (9.2, 4))
    note(axes, 64, 2.3, "for the next click", 5.6, MUTED)


def _legend(axes: Axes) -> None:
    box(axes, 0, 25.2, 2.4, 2.2, "")
    note(axes, 3.2, 26.3, "frozen", 6.3, ha="left")
    trained_box(axes, 9.5, 25.2, 2.4, 2.2, "")
    note(axes, 12.7, 26.3, "with trained LoRA", 6.3, ha="left")
    note(axes, 30, 23.8, "the encoder's LoRA starts from VCL pretraining (Figure 5)", 6, OURS, ha="left")
