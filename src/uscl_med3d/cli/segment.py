"""`segment`: a mask for a user's own clip, from clicks."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from uscl_med3d.cli.app import CLIPS, DEFAULT_SCALE, Base, Json, Scale, Start, Weights, WholeFrame, app
from uscl_med3d.cli.words import PromptCommand, Spacing
from uscl_med3d.core.errors import InputError

EMPTY = 3  # exit status where a mask is empty
EXAMPLES = """Examples

uscl-med3d segment sweep.mp4 --point 310,220,40 -o mask.nii.gz

uscl-med3d segment sweep.nii.gz --object liver --point 310,220,40 --object kidney --point 90,60,20 -o mask.nrrd

uscl-med3d segment us.dcm --mm lps --point=-12.5,30,88 --weights uscl_med3d_r16 -o mask.nii.gz

uscl-med3d segment still.png --model samus --point 210,140 -o mask.npy

uscl-med3d segment ct.nii.gz --weights sam_med3d_turbo.pth --point 120,140,60 -o mask.nii.gz
"""


Points = Annotated[
    list[str] | None,
    typer.Option(
        metavar="X,Y,Z",
        help="Click at column,row,frame, counted from 0; X,Y in a picture. X,Y,Z,0 is a click on background. "
        "Negative: --point=-1,2,3",
    ),
]
Boxes = Annotated[
    list[str] | None,
    typer.Option(metavar="BOX", help="First and last voxel of the object: X0,Y0,Z0,X1,Y1,Z1"),
]
Objects = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="The prompts after it are of this object; may be repeated."),
]
World = Annotated[
    str | None,
    typer.Option(
        metavar="[ras|lps]",
        help="Prompts are patient coordinates in mm; alone: RAS for NIfTI, LPS for the rest.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="Network of official weights: samus, medsam, msa, sam, ... Alone: one for pictures (uscl-med3d models)."
    ),
]
SweepAxes = Annotated[
    Literal["column_row_frame", "frame_row_column"],
    typer.Option(help="Official 3D weights, clip without patient coordinates: its axes that play x, y, z."),
]
Grid = Annotated[
    Literal["centre_floor", "corner_ceil"],
    typer.Option(help="Official 3D weights: how the 1.5 mm grid lies; corner_ceil is the older rule."),
]
Device = Annotated[
    Literal["cpu", "cuda"] | None, typer.Option(help="Default: as the run's parameters, else cpu.")
]
AllowEmpty = Annotated[
    bool, typer.Option("--allow-empty", help="An empty mask is no failure: exit status 0, not 3.")
]


@app.command(cls=PromptCommand, rich_help_panel=CLIPS, epilog=EXAMPLES)
def segment(
    context: typer.Context,
    input: Annotated[Path, typer.Argument(help="Video, picture, DICOM file or folder, NIfTI, NRRD or MHA.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Mask: .nii.gz, .nii, .nrrd, .mha or .npy.",
            show_default="NAME_mask.nii.gz",
        ),
    ] = None,
    point: Points = None,
    box: Boxes = None,
    object: Objects = None,
    mm: World = None,
    spacing_mm: Spacing = None,
    whole_frame: WholeFrame = False,
    weights: Weights = None,
    model: Model = None,
    base: Base = None,
    start: Start = None,
    scale: Scale = DEFAULT_SCALE,
    sweep_axes: SweepAxes = "column_row_frame",
    grid: Grid = "centre_floor",
    device: Device = None,
    precision: Annotated[Literal["float32", "bfloat16"], typer.Option(help="Of the network.")] = "float32",
    allow_empty: AllowEmpty = False,
    json_: Json = False,
) -> None:
    """Segment your own file from clicks: video, picture, DICOM, NIfTI, NRRD or MHA to a mask on its own grid."""
    from uscl_med3d.user.inputs import check_exists
    from uscl_med3d.user.save import check_suffix, name_mask
    from uscl_med3d.user.segmenter import DEFAULT_OBJECT, Segmenter

    if mm not in (None, "ras", "lps", "file"):
        raise typer.BadParameter(f"{mm!r}: ras or lps, or no value", param_hint="--mm")
    prompts = list_prompts(context.meta["prompts"], DEFAULT_OBJECT)
    check_exists(input)
    output = output or _new_name(name_mask(input))
    check_suffix(output)
    segmenter = Segmenter.load(weights, base, start, scale, device, precision, model)
    print(f"model: {segmenter.describe()}", file=sys.stderr)
    spacing: Any = spacing_mm  # parse_spacing made it numbers
    try:
        segmenter.encode(input, spacing, whole_frame, sweep_axes, grid)
    except ValueError as error:
        raise _refuse(error, str(input)) from None
    give_prompts(segmenter, prompts, {None: False, "file": True}.get(mm, mm))
    for note in segmenter.notes:
        print(f"note: {note}", file=sys.stderr)
    try:
        written = segmenter.save(output)
    except ValueError as error:
        raise _refuse(error, str(input)) from None
    if say_written(written, output, json_) and not allow_empty:
        raise typer.Exit(EMPTY)


def _new_name(output: Path) -> Path:
    """The same path, of which no file is there: nobody asked for this name, so nothing of this name may be lost."""
    if output.exists():
        raise InputError(
            file=output,
            found="a file of this name",
            expected="none, where no -o is given",
            remedy=f"say where the mask goes: -o FILE (-o {output} replaces it)",
        )
    return output


def give_prompts(segmenter: Any, prompts: Sequence[tuple[str, str, list[float], str]], world: Any) -> None:
    """Give a segmenter the prompts of `list_prompts`, in their order.

    Args:
        world: as `Segmenter.click` takes it.

    Raises:
        InputError: for a prompt outside the clip, or of the wrong kind for it.
    """

    for kind, name, numbers, text in prompts:
        try:
            if kind == "box":
                segmenter.box(numbers, name, world)
            else:
                if len(numbers) == 2:
                    numbers = in_picture(numbers, segmenter.frames, world, text)
                segmenter.click(numbers[:3], int(numbers[3]) if len(numbers) > 3 else 1, name, world)
        except ValueError as error:
            raise _refuse(error, f"--{kind} {text}") from None


def say_written(written: dict[str, Any], output: Path, as_json: bool) -> list[str]:
    """Print what was saved, and where; the names of objects whose mask is empty."""
    if as_json:
        print(json.dumps(written, indent=2))
    else:
        for name, value in written["labels"].items():
            print(f"{value} {name}: {written['voxels'][name]} voxels")
    print(f"mask: {output}", file=sys.stderr)
    empty = [name for name, count in written["voxels"].items() if count == 0]
    if empty:
        advice = "Click in the middle of the object, add clicks, or name other weights by --weights."
        print(f"empty: {', '.join(empty)}. {advice}", file=sys.stderr)
    return empty


def list_prompts(given: list[tuple[str, str]], default: str) -> list[tuple[str, str, list[float], str]]:
    """Options in the order given -> (point | box, object, numbers, text as given).

    Raises:
        InputError: no prompt, an object without prompts, numbers that are none, or too many of them.
    """
    prompts, name, empty = [], default, False
    for kind, text in given:
        if kind == "object":
            if empty:
                raise _bad(
                    f"--object {name}", "no --point or --box after it", "prompts of the object after its name"
                )
            if not text.strip():
                raise _bad("--object", "an empty name", "a name")
            name, empty = text.strip(), True
            continue
        numbers, empty = _numbers(kind, text), False
        prompts.append((kind, name, numbers, text))
    if empty:
        raise _bad(f"--object {name}", "no --point or --box after it", "prompts of the object after its name")
    if not prompts:
        raise _bad("the command", "no prompt", "at least one --point x,y,z or --box x0,y0,z0,x1,y1,z1")
    return prompts


def in_picture(numbers: list[float], frames: int, world: Any, text: str) -> list[float]:
    """`x,y` as a click in the only frame.

    Raises:
        InputError: for a clip, or patient coordinates, which need a third number.
    """
    if world or frames != 1:
        found = "two patient coordinates" if world else f"two numbers, and an input of {frames} frames"
        raise _bad(f"--point {text}", found, "x,y,z (x,y in a single picture)")
    return [*numbers, 0.0]


def _numbers(kind: str, text: str) -> list[float]:
    wanted, form = ((6,), "x0,y0,z0,x1,y1,z1") if kind == "box" else ((2, 3, 4), "x,y,z or x,y,z,label")
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise _bad(f"--{kind} {text}", "something that is no number", form) from None
    if len(numbers) not in wanted:
        raise _bad(f"--{kind} {text}", f"{len(numbers)} numbers", form)
    if kind == "point" and len(numbers) == 4 and numbers[3] not in (0, 1):
        raise _bad(f"--{kind} {text}", f"label {numbers[3]:g}", "label 1 (object) or 0 (background)")
    return numbers


def _bad(file: str, found: str, expected: str) -> InputError:
    return InputError(
        file=file, found=found, expected=expected, remedy="correct the command (uscl-med3d segment --help)"
    )


def _refuse(error: ValueError, given: str) -> InputError:
    """A bad prompt or option as the message of the command line."""
    return InputError(
        file=given,
        found=str(error),
        expected="prompts on the image, in coordinates of the input",
        remedy="correct the prompt (x,y,z = column,row,frame from 0, or millimetres with --mm) or the option",
    )
