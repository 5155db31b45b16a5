"""`trace`: where the numbers of a finished run come from."""

from __future__ import annotations

from typing import Annotated

import typer

from uscl_med3d.cli.app import DEFAULT_SCALE, RESULTS, Scale, app

EXAMPLES = """Example

uscl-med3d trace table1 method=uscl_med3d click=5
"""


@app.command(rich_help_panel=RESULTS, epilog=EXAMPLES)
def trace(
    cells: Annotated[
        list[str], typer.Argument(help="A table as table1, then key=value of the wanted cells.")
    ],
    scale: Scale = DEFAULT_SCALE,
) -> None:
    """Where a table's numbers come from: files and hashes, parameters, code commit."""
    from uscl_med3d.provenance.trace import trace

    print(trace(cells[0], cells[1:], scale))
