"""`pretrain-clips`: an encoder adapter from a folder of clips that nobody has annotated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from uscl_med3d.cli.app import CLIPS, DEFAULT_PARAMS, app
from uscl_med3d.core.errors import InputError

EXAMPLES = """Examples

uscl-med3d pretrain-clips my_clips -o my_adapter.safetensors

uscl-med3d pretrain-clips my_clips --task mae --steps 300 --patients whose.csv -o my_adapter.safetensors
"""


@app.command("pretrain-clips", rich_help_panel=CLIPS, epilog=EXAMPLES)
def pretrain_clips(
    folder: Annotated[
        Path, typer.Argument(help="Clips of any format that is read, also in folders below it.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Adapter: .safetensors.")],
    task: Annotated[
        str | None,
        typer.Option(
            help="Pretext task: vcl, simclr, byol, mae, simmim, ... (docs/ssl.md)", show_default="vcl"
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Of training.", show_default="150")] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="Of the adapter.", show_default="32")] = None,
    patients: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="CSV with the columns file, patient.",
            show_default="by names as P01, pat2, sub-03; else each clip its own",
        ),
    ] = None,
    measure: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Share of the patients that measure and teach nothing.")
    ] = 0.2,
    control: Annotated[
        bool,
        typer.Option("--control", help="Train once more with the adapter held still. Takes twice as long."),
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Of all that is drawn.", show_default="as params")] = None,
    device: Annotated[Literal["cpu", "cuda"] | None, typer.Option(show_default="cpu")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch.", show_default="1")] = None,
    params_file: Annotated[
        Path, typer.Option(help="Parameter file, for `ingest` and the options of the tasks.")
    ] = DEFAULT_PARAMS,
    overlay: Annotated[Path | None, typer.Option(help="Your own parameters, which win over it.")] = None,
) -> None:
    """Teach an encoder adapter from your clips without any label: a start for fine-tuning on your own cohort."""
    from uscl_med3d.user.defaults import read_params
    from uscl_med3d.user.pretraining.job import Base, Wanted
    from uscl_med3d.user.pretraining.run import check_output, pretrain_clips

    check_output(output)
    tasks = params_file.parent / "params/ssl.yaml"
    values = read_params(params_file, tasks, *([] if overlay is None else [overlay]))
    wanted = Wanted(task, rank, steps, seed, threads, device, measure, patients, control)
    try:
        print("\n".join(pretrain_clips(folder, output, wanted, values, Base.shipped())))
    except KeyboardInterrupt:
        raise InputError(
            file=output,
            found="an interruption",
            expected="a finished training",
            remedy="the same command goes on where it was",
        ) from None
