"""`report` and `trace`: what a finished run says, and where its numbers come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from uscl_med3d.cli.app import DEFAULT_SCALE, RESULTS, Json, Scale, app

REPORT_EXAMPLES = """Examples

uscl-med3d report --open

uscl-med3d report --scale study --json
"""

TRACE_EXAMPLES = """Example

uscl-med3d trace table1 method=USCL-Med3D points=10 class=liver
"""


@app.command(rich_help_panel=RESULTS, epilog=REPORT_EXAMPLES)
def report(
    scale: Scale = DEFAULT_SCALE,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    json_: Json = False,
) -> None:
    """What a finished run says in a few lines, and which page, tables and figures show it."""
    from uscl_med3d.report.overview import describe, read_overview

    overview = read_overview(Path("results", scale))
    print(json.dumps(overview, indent=2) if json_ else describe(overview))
    if open_:
        import webbrowser

        webbrowser.open(Path(overview["page"]).resolve().as_uri())


@app.command(rich_help_panel=RESULTS, epilog=TRACE_EXAMPLES)
def trace(
    cells: Annotated[
        list[str], typer.Argument(help="A table as table1, then key=value of the wanted cells.")
    ],
    scale: Scale = DEFAULT_SCALE,
) -> None:
    """Where a table's numbers come from: files and hashes, parameters, code commit."""
    from uscl_med3d.provenance.trace import trace

    print(trace(cells[0], cells[1:], scale))
