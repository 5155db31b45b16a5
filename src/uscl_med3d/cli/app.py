"""The tool itself: groups of verbs, version, and options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CLIPS = "Your clips"
RESULTS = "Results of a run"
DATA = "Data"
UPKEEP = "Upkeep of this repository"
STAGES = "Pipeline stages (run by the workflow, from job files)"

app = typer.Typer(
    name="uscl-med3d",
    help="Promptable segmentation of ultrasound sweeps: click on a structure, get a mask. Research software, not for "
    "clinical use; models that come with it learned from simulated sweeps.",
    epilog="Help on a verb, with examples: [bold]uscl-med3d segment --help[/bold]",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

Scale = Annotated[str, typer.Option(help="Whose results: the folder results/SCALE.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Params = Annotated[Path, typer.Option(help="Parameter file, for `ingest.fan` and `classes`.")]
WholeFrame = Annotated[
    bool, typer.Option("--whole-frame", help="Do not look for the ultrasound image region.")
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="Run id, checkpoint file (official ones, too), or folder of an export.",
        show_default="best validation Dice of --scale",
    ),
]
Base = Annotated[
    Path | None,
    typer.Option(
        help="Base model of a checkpoint file that holds only what was trained, or of a FastSAM3D encoder."
    ),
]
Start = Annotated[
    Path | None, typer.Option(help="Pretrained encoder adapter of such a file, where it needs one.")
]

DEFAULT_SCALE = "phantom"
DEFAULT_PARAMS = Path("params.yaml")


def _show_version(wanted: bool) -> None:
    if wanted:
        from uscl_med3d.cli.version import describe_version

        print(describe_version())
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Version, code commit and torch.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Its documentation is the tool's own (`help` above)."""
