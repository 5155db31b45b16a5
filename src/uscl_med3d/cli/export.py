"""`export`: a trained model for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from uscl_med3d.cli.app import CLIPS, DEFAULT_SCALE, Base, Scale, Start, Weights, app

EXAMPLES = """Examples

uscl-med3d export --format onnx --out exported

uscl-med3d export --format monai-bundle --weights uscl_med3d_r16 --results results/phantom --out bundle
"""


@app.command(rich_help_panel=CLIPS, epilog=EXAMPLES)
def export(
    format: Annotated[Literal["official", "peft", "onnx", "monai-bundle"], typer.Option()],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    results: Annotated[
        Path | None, typer.Option(help="Results folder that the model card describes (results/SCALE).")
    ] = None,
    weights: Weights = None,
    base: Base = None,
    start: Start = None,
    scale: Scale = DEFAULT_SCALE,
) -> None:
    """A trained model for other tools: official SAM-Med3D names, peft adapter, ONNX, or a MONAI bundle."""
    from uscl_med3d.user.export import export

    print("\n".join(str(path) for path in export(format, weights, base, start, scale, out, results)))
