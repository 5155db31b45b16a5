"""`reconstruct` and `review`: volumes from tracked sweeps, doubtful pseudo-labels as images to correct."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from uscl_med3d.cli.app import CLIPS, DEFAULT_PARAMS, DEFAULT_SCALE, Params, WholeFrame, app
from uscl_med3d.cli.words import parse_frames
from uscl_med3d.core.errors import InputError

REVIEW_EXAMPLES = """Examples

uscl-med3d review us_0007 --out corrections/us_0007

uscl-med3d review us_0007 --frames 12,31 --results results/phantom --out corrections/us_0007
"""

RECONSTRUCT_EXAMPLES = """Example

uscl-med3d reconstruct sweep.igs.mha --spacing-mm 0.5 --calibration PlusConfig.xml -o volume.nii.gz

uscl-med3d reconstruct tracker.igs.mha --video sweep.mp4 --spacing-mm 0.5 -o volume.nii.gz
"""


@app.command(rich_help_panel=CLIPS, epilog=REVIEW_EXAMPLES)
def review(
    sweep: Annotated[str, typer.Argument(help="Id of a training or validation sweep.")],
    out: Annotated[Path, typer.Option(help="Folder for the images.")],
    frames: Annotated[
        str | None,
        typer.Option(
            metavar="12,31",
            parser=parse_frames,
            help="Frames of the clip, from 0.",
            show_default="those that the gate rejected",
        ),
    ] = None,
    results: Annotated[Path, typer.Option(help="Results folder of the run.")] = Path(
        "results", DEFAULT_SCALE
    ),
) -> None:
    """Pseudo-labels of doubtful frames as images to correct, on the clip's own pixels."""
    from uscl_med3d.user.review import describe, export_review

    print(describe(export_review(results, sweep, frames, out)))  # type: ignore[arg-type]  # parse_frames made it a list


@app.command(rich_help_panel=CLIPS, epilog=RECONSTRUCT_EXAMPLES)
def reconstruct(
    sweep: Annotated[Path, typer.Argument(help="PLUS sequence file with poses: .igs.mha, .igs.nrrd.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Volume: .nii.gz, .nii, .nrrd or .mha.")],
    spacing_mm: Annotated[float, typer.Option(help="Voxel size along all axes.")],
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="PLUS configuration, or text with the 16 numbers of ImageToProbe.",
            show_default="NAME.calibration.xml or .txt beside the sweep",
        ),
    ] = None,
    video: Annotated[
        Path | None, typer.Option(help="File of the frames, where the sequence holds the tracker alone.")
    ] = None,
    axes: Annotated[
        Literal["sweep", "world"],
        typer.Option(help="sweep: slices are like frames; world: those of the poses."),
    ] = "sweep",
    interpolation: Annotated[Literal["nearest", "linear"], typer.Option()] = "nearest",
    fill_mm: Annotated[float, typer.Option(help="Gaps are filled so far from what was seen.")] = 1.0,
    whole_frame: WholeFrame = False,
    params_file: Params = DEFAULT_PARAMS,
) -> None:
    """A volume in millimetres from a tracked sweep, whose header has a pose for every frame."""
    from uscl_med3d.user.defaults import read_fan
    from uscl_med3d.user.reconstruct import describe, reconstruct_file

    if not (0 < spacing_mm < float("inf") and 0 <= fill_mm < float("inf")):
        raise InputError(
            file="--spacing-mm and --fill-mm",
            found=f"{spacing_mm:g} and {fill_mm:g}",
            expected="a spacing above zero, a distance of at least zero",
            remedy="correct the command",
        )
    made = reconstruct_file(
        sweep,
        output,
        spacing_mm=spacing_mm,
        calibration=calibration,
        axes=axes,
        interpolation=interpolation,
        fill_mm=fill_mm,
        fan=None if whole_frame else read_fan(params_file),
        video=video,
    )
    print(describe(output, made))
