"""`inspect`: what is understood of a file, before anything is made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from uscl_med3d.cli.app import CLIPS, DEFAULT_PARAMS, Json, Params, app

EXAMPLES = """Examples

uscl-med3d inspect sweep.mp4 --labels key_frames/P01

uscl-med3d inspect my_cohort/cohort.csv --out looked_at
"""


@app.command(rich_help_panel=CLIPS, epilog=EXAMPLES)
def inspect(
    files: Annotated[
        list[Path], typer.Argument(help="Clips, folders of single DICOM frames, or a cohort table.")
    ],
    labels: Annotated[
        Path | None, typer.Option(help="Annotation of the clip, in any format that is read.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the contact sheets.")] = Path("inspected"),
    as_json: Json = False,
    params_file: Params = DEFAULT_PARAMS,
    overlay: Annotated[Path | None, typer.Option(help="Your own parameters, for their classes.")] = None,
) -> None:
    """What is read of a clip and its labels, what is assumed, and a contact sheet to look at."""
    from uscl_med3d.core.params.ingest import Fan
    from uscl_med3d.user.defaults import read_params
    from uscl_med3d.user.inspect import inspect_files

    values = read_params(params_file, *([] if overlay is None else [overlay]))
    found = inspect_files(files, labels, Fan.model_validate(values["ingest"]["fan"]), values["classes"], out)
    if as_json:
        print(json.dumps([one.as_dict() for one in found], indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(one.as_text() for one in found))
    if any(one.errors for one in found):
        raise typer.Exit(1)
