"""`models`, `ship` and `ship_still`: what models are there, and how one comes to be there for everybody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from uscl_med3d.cli.app import CLIPS, DEFAULT_SCALE, UPKEEP, Json, Scale, app

EXAMPLES = """Examples

uscl-med3d models

uscl-med3d models --json --scale mine
"""


@app.command(rich_help_panel=CLIPS, epilog=EXAMPLES)
def models(scale: Scale = DEFAULT_SCALE, json_: Json = False) -> None:
    """What models are here: shipped with the package, own runs, official files in place."""
    from uscl_med3d.user.model_list import as_json, describe, list_models

    found = list_models(scale)
    print(json.dumps(as_json(found), indent=2) if json_ else describe(found))


@app.command(rich_help_panel=UPKEEP)
def ship(
    name: Annotated[str, typer.Argument(help="Name that users give to --weights.")],
    weights: Annotated[str, typer.Option(help="Run id of the scale.")],
    domain: Annotated[str, typer.Option(help="What the model is for, in words.")],
    scale: Scale = DEFAULT_SCALE,
    folder: Annotated[Path | None, typer.Option(help="Where to, instead of the package.")] = None,
) -> None:
    """Put a run's weights and card among the models that come with the package."""
    from uscl_med3d.user import models as runs
    from uscl_med3d.user import shipped

    made = shipped.ship(runs.choose_run(weights, scale), name, domain, folder or shipped.FOLDER)
    print("\n".join(str(path) for path in made))


@app.command("ship_still", rich_help_panel=UPKEEP)
def ship_still(
    name: Annotated[str, typer.Argument(help="Method that the scale kept; what users give to --model.")],
    domain: Annotated[str, typer.Option(help="What the model is for, in words.")],
    attribution: Annotated[str, typer.Option(help="Whose images it learned from, as their authors ask.")],
    data_licence: Annotated[str, typer.Option(help="Licence of these images.")],
    limits: Annotated[str, typer.Option(help="What its scores do not show.")],
    scale: Scale = "usgra",
    folder: Annotated[Path | None, typer.Option(help="Where to, instead of the package.")] = None,
) -> None:
    """Put a model for single pictures, its card and its scores among those that come with the package."""
    from uscl_med3d.user import still_models

    words = still_models.Words(domain, attribution, data_licence, limits)
    made = still_models.ship(scale, name, words, folder or still_models.FOLDER)
    print("\n".join(str(path) for path in made))
