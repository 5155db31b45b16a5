"""`audit-phi` and `import_set`: data before it enters the pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uscl_med3d.cli.app import DATA, DEFAULT_PARAMS, Params, app
from uscl_med3d.core.errors import InputError

AUDIT_EXAMPLES = """Example

uscl-med3d audit-phi data/raw/my_sweeps --out findings.csv
"""

IMPORT_EXAMPLES = """Example

uscl-med3d import_set camus CAMUS_public --out data/cohorts/public.csv
"""


@app.command("audit-phi", rich_help_panel=DATA, epilog=AUDIT_EXAMPLES)
def audit_phi(
    folder: Annotated[Path, typer.Argument(help="Folder with raw files or results.")],
    out: Annotated[Path | None, typer.Option(help="Write the list as CSV, too.")] = None,
    params_file: Params = DEFAULT_PARAMS,
) -> None:
    """What may identify a patient in a folder, for a person to sign off: no certification of anything."""
    from uscl_med3d.user.defaults import read_fan
    from uscl_med3d.user.phi import audit_phi, describe, write_findings

    findings = audit_phi(folder, read_fan(params_file))
    print(describe(folder, findings))
    if out is not None:
        write_findings(out, findings)


@app.command("import_set", rich_help_panel=DATA, epilog=IMPORT_EXAMPLES)
def import_set(
    layout: Annotated[str, typer.Argument(help="tdsc_abus, camus or segthy (docs/public_sets.md).")],
    folder: Annotated[Path, typer.Argument(help="The set as it was unpacked.")],
    out: Annotated[Path, typer.Option(help="Cohort table to write.")],
    key_frames: Annotated[int, typer.Option(help="Annotated frames per clip.")] = 5,
    params_file: Params = DEFAULT_PARAMS,
    overlay: Annotated[Path, typer.Option(help="Overlay whose `classes` are added.")] = Path(
        "workflow/scales/public.yaml"
    ),
) -> None:
    """A published ultrasound set as a cohort table."""
    from uscl_med3d.data.public import write_cohort
    from uscl_med3d.user.defaults import read_params

    classes = read_params(params_file, overlay)["classes"]
    if key_frames < 2:
        raise InputError(
            file="--key-frames",
            found=str(key_frames),
            expected="at least 2 (first and last)",
            remedy="give more annotated frames",
        )
    write_cohort(layout, folder, out, classes, key_frames)
    print(f"{out}: set `cohort: {out}` in {overlay} and run that scale (docs/public_sets.md)")
