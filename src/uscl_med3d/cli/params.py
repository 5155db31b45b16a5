"""`params`: every parameter with its default, its type and its meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uscl_med3d.cli.app import RESULTS, app
from uscl_med3d.core.errors import InputError

EXAMPLES = """Examples

uscl-med3d params

uscl-med3d params pseudolabel.gate
"""


@app.command(rich_help_panel=RESULTS, epilog=EXAMPLES)
def params(
    section: Annotated[
        str | None, typer.Argument(help="Name of a section or of a parameter, dotted; without: all sections.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="The page docs/parameters.md.")] = False,
) -> None:
    """Every parameter of the pipeline: its default, its type, its meaning."""
    from uscl_med3d.core.params.describe import as_list, as_page, as_text, choose, describe_params
    from uscl_med3d.user.defaults import FOLDER

    if markdown and section:
        raise InputError(
            file="--markdown", found=f"with {section}", expected="the whole page", remedy="leave one out"
        )
    # Outside a checkout: the copy that comes with the package, without the recipes of base models.
    here = Path("params.yaml").is_file() or not (FOLDER / "params.yaml").is_file()
    found = describe_params(Path() if here else FOLDER)
    if section:
        print(as_text(choose(found, section)))
    else:
        print(as_page(found) if markdown else as_list(found), end="" if markdown else "\n")
