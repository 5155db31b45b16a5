"""Verbs of the command line for a user of the models; heavy imports happen inside the verbs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from uscl_med3d.core.errors import InputError

FORMATS = ("official", "peft", "onnx", "monai-bundle")
DEFAULT_SCALE = "phantom"


def add_verbs(verbs: Any) -> None:
    """Add the verbs of this module to the subparsers of the command line."""
    _add_segment(verbs)
    _add_reconstruct(verbs)
    _add_export(verbs)
    _add_review(verbs)
    sub = _add(verbs, "audit-phi", audit_phi)
    sub.add_argument("folder", type=Path, help="folder with raw files or results")
    sub.add_argument("--out", type=Path, help="write the list as CSV, too")
    sub.add_argument(
        "--params-file", type=Path, default=Path("params.yaml"), help="whose `ingest.fan` is used"
    )
    sub = _add(verbs, "import_set", import_set)
    sub.add_argument("layout", help="tdsc_abus, camus or segthy (docs/public_sets.md)")
    sub.add_argument("folder", type=Path, help="the set as it was unpacked")
    sub.add_argument("--out", type=Path, required=True, help="cohort table to write")
    sub.add_argument("--key-frames", type=int, default=5, help="annotated frames per clip (5)")
    sub.add_argument("--params-file", type=Path, default=Path("params.yaml"), help="whose `classes` are used")
    sub.add_argument(
        "--overlay",
        type=Path,
        default=Path("workflow/scales/public.yaml"),
        help="overlay whose `classes` are added",
    )


def review(a: SimpleNamespace) -> None:
    """Pseudo-labels of doubtful frames as images to correct, on the clip's own pixels."""
    from uscl_med3d.user.review import describe, export_review

    print(describe(export_review(a.results, a.sweep, a.frames, a.out)))


def segment(a: SimpleNamespace) -> None:
    """Segment your own file from clicks: video, DICOM, NIfTI, NRRD or MHA to a mask on its own grid."""
    from uscl_med3d.user.save import check_suffix
    from uscl_med3d.user.segmenter import DEFAULT_OBJECT, Segmenter, refuse

    prompts = list_prompts(a.prompts or [], DEFAULT_OBJECT)
    check_suffix(a.output)
    segmenter = Segmenter.load(a.weights, a.base, a.vcl, a.scale)
    known = segmenter.choice.validation_dice
    print(f"model: {segmenter.choice.name}" + (f" of results/{segmenter.choice.scale}" if segmenter.choice.scale else "")
          + (f", validation Dice {known:.1f}" if known is not None else ""), file=sys.stderr)  # fmt: skip
    try:
        segmenter.encode(a.input, a.spacing_mm, a.whole_frame)
    except ValueError as error:
        raise refuse(error, "--spacing-mm") from None
    if segmenter.source.pixel_spacing_mm is None:
        print("note: the input does not say its pixel size; the whole image region is scaled to the model's size "
              "(give --spacing-mm if you know it)", file=sys.stderr)  # fmt: skip
    for kind, name, numbers, text in prompts:
        try:
            if kind == "box":
                segmenter.box(numbers, name, a.mm)
            else:
                segmenter.click(numbers[:3], int(numbers[3]) if len(numbers) > 3 else 1, name, a.mm)
        except ValueError as error:
            raise refuse(error, f"--{kind} {text}") from None
    written = segmenter.save(a.output)
    for name, value in written["labels"].items():
        print(f"{value} {name}: {written['voxels'][name]} voxels")


def reconstruct(a: SimpleNamespace) -> None:
    """A volume in millimetres from a tracked sweep, whose header has a pose for every frame."""
    from uscl_med3d.core.params.ingest import Fan
    from uscl_med3d.user.reconstruct import describe, reconstruct_file

    if not (0 < a.spacing_mm < float("inf") and 0 <= a.fill_mm < float("inf")):
        raise InputError(file="--spacing-mm and --fill-mm", found=f"{a.spacing_mm:g} and {a.fill_mm:g}",
                         expected="a spacing above zero, a distance of at least zero",
                         remedy="correct the command")  # fmt: skip
    fan = None if a.whole_frame else Fan.model_validate(_read_params(a.params_file)["ingest"]["fan"])
    made = reconstruct_file(
        a.sweep, a.output, spacing_mm=a.spacing_mm, calibration=a.calibration, axes=a.axes,
        interpolation=a.interpolation, fill_mm=a.fill_mm, fan=fan,
    )  # fmt: skip
    print(describe(a.output, made))


def export(a: SimpleNamespace) -> None:
    """A trained model for other tools: official SAM-Med3D names, peft adapter, ONNX, or a MONAI bundle."""
    from uscl_med3d.user.export import export

    print(
        "\n".join(str(path) for path in export(a.format, a.weights, a.base, a.vcl, a.scale, a.out, a.results))
    )


def audit_phi(a: SimpleNamespace) -> None:
    """What may identify a patient in a folder, for a person to sign off: no certification of anything."""
    from uscl_med3d.core.params.ingest import Fan
    from uscl_med3d.user.phi import audit_phi, describe, write_findings

    findings = audit_phi(a.folder, Fan.model_validate(_read_params(a.params_file)["ingest"]["fan"]))
    print(describe(a.folder, findings))
    if a.out is not None:
        write_findings(a.out, findings)


def import_set(a: SimpleNamespace) -> None:
    """A published ultrasound set as a cohort table."""
    from uscl_med3d.data.public import write_cohort

    classes = _read_params(a.params_file, a.overlay)["classes"]
    if a.key_frames < 2:
        raise InputError(file="--key-frames", found=str(a.key_frames), expected="at least 2 (first and last)",
                         remedy="give more annotated frames")  # fmt: skip
    write_cohort(a.layout, a.folder, a.out, classes, a.key_frames)
    print(f"{a.out}: set `cohort: {a.out}` in {a.overlay} and run that scale (docs/public_sets.md)")


def _read_params(*files: Path) -> dict[str, Any]:
    """Values of a parameter file with those of overlays, section by section."""
    import yaml

    merged: dict[str, Any] = {}
    for file in files:
        try:
            values = yaml.safe_load(file.read_text(encoding="utf-8"))
            for section, value in values.items():
                known = merged.get(section)
                merged[section] = (
                    known | value if isinstance(known, dict) and isinstance(value, dict) else value
                )
        except (OSError, yaml.YAMLError, AttributeError) as error:
            raise InputError(
                file=file,
                found=f"{type(error).__name__}: {error}",
                expected="a parameter file",
                remedy="run from the repository's folder, or name the file by --params-file",
            ) from None
    return merged


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


def _numbers(kind: str, text: str) -> list[float]:
    wanted, form = ((6,), "x0,y0,z0,x1,y1,z1") if kind == "box" else ((3, 4), "x,y,z or x,y,z,label")
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


class _Ordered(argparse.Action):
    """Collects options of several names in the order given."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        assert option_string is not None  # these arguments are options
        kept = list(getattr(namespace, "prompts", None) or [])
        namespace.prompts = [*kept, (option_string.lstrip("-"), values)]


def _add(verbs: Any, name: str, function: Any) -> argparse.ArgumentParser:
    summary = function.__doc__.strip()
    sub = verbs.add_parser(name, help=summary, description=summary)
    sub.set_defaults(function=function)
    return sub


def _add_weights(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--weights", help="run id, checkpoint file or exported model; default: the run with the best "
                                       "validation Dice of --scale")  # fmt: skip
    sub.add_argument(
        "--base", type=Path, help="base model of a checkpoint file that holds only what was trained"
    )
    sub.add_argument("--vcl", type=Path, help="pretrained encoder adapter of such a file, where it needs one")
    sub.add_argument("--scale", default=DEFAULT_SCALE, help=f"whose results ({DEFAULT_SCALE})")


def _add_segment(verbs: Any) -> None:
    sub = _add(verbs, "segment", segment)
    sub.set_defaults(prompts=None)
    sub.add_argument("input", type=Path, help="video, DICOM file, folder of DICOM frames, NIfTI, NRRD or MHA")
    sub.add_argument(
        "--object",
        action=_Ordered,
        metavar="NAME",
        help="the prompts after it are of this object; may be repeated",
    )
    sub.add_argument(
        "--point",
        action=_Ordered,
        metavar="X,Y,Z[,LABEL]",
        help="click at column,row,frame from 0; label 1 object (default) or 0 background; --point=-1,2,3 if negative",
    )
    sub.add_argument(
        "--box", action=_Ordered, metavar="X0,Y0,Z0,X1,Y1,Z1", help="first and last voxel of the object"
    )
    sub.add_argument("--mm", nargs="?", choices=("ras", "lps"), const=True, default=False,
                     help="prompts are patient coordinates in mm; default: RAS for NIfTI, LPS for the rest")  # fmt: skip
    sub.add_argument(
        "--spacing-mm", type=_spacing, metavar="ROW[,COLUMN]", help="pixel size, where the file lacks it"
    )
    sub.add_argument("--whole-frame", action="store_true", help="do not look for the ultrasound image region")
    sub.add_argument(
        "-o", "--output", type=Path, required=True, help="mask: .nii.gz, .nii, .nrrd, .mha or .npy"
    )
    _add_weights(sub)


def _add_reconstruct(verbs: Any) -> None:
    sub = _add(verbs, "reconstruct", reconstruct)
    sub.add_argument("sweep", type=Path, help="PLUS sequence file with poses: .igs.mha, .igs.nrrd")
    sub.add_argument("-o", "--output", type=Path, required=True, help="volume: .nii.gz, .nii, .nrrd or .mha")
    sub.add_argument("--spacing-mm", type=float, required=True, help="voxel size along all axes")
    sub.add_argument("--calibration", type=Path, help="PLUS configuration, or text with the 16 numbers of ImageToProbe; "
                                                      "default: NAME.calibration.xml or .txt beside the sweep")  # fmt: skip
    sub.add_argument("--axes", choices=("sweep", "world"), default="sweep",
                     help="sweep: slices are like frames (default); world: those of the poses")  # fmt: skip
    sub.add_argument("--interpolation", choices=("nearest", "linear"), default="nearest")
    sub.add_argument(
        "--fill-mm", type=float, default=1.0, help="gaps are filled so far from what was seen (1)"
    )
    sub.add_argument("--whole-frame", action="store_true", help="do not look for the ultrasound image region")
    sub.add_argument(
        "--params-file", type=Path, default=Path("params.yaml"), help="whose `ingest.fan` is used"
    )


def _add_export(verbs: Any) -> None:
    sub = _add(verbs, "export", export)
    sub.add_argument("--format", choices=FORMATS, required=True)
    sub.add_argument("--out", type=Path, required=True, help="folder to write")
    sub.add_argument(
        "--results", type=Path, help="results folder that the model card describes (results/<scale>)"
    )
    _add_weights(sub)


def _add_review(verbs: Any) -> None:
    sub = _add(verbs, "review", review)
    sub.add_argument("sweep", help="id of a training or validation sweep")
    sub.add_argument(
        "--frames",
        type=_frames,
        metavar="12,31",
        help="frames of the clip, from 0; default: those that the gate rejected",
    )
    sub.add_argument(
        "--results", type=Path, default=Path("results", DEFAULT_SCALE), help="results folder of the run"
    )
    sub.add_argument("--out", type=Path, required=True, help="folder for the images")


def _frames(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: numbers with commas between them, as 12,31") from None


def _spacing(text: str) -> tuple[float, float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 2):
        raise argparse.ArgumentTypeError(f"{text!r}: one number, or row,column, in millimetres")
    return values[0], values[-1]
