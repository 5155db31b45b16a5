"""`view`: a page to click in. `serve`: other viewers as clients."""

from __future__ import annotations

import copy
import webbrowser
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer

from uscl_med3d.cli.app import CLIPS, DEFAULT_SCALE, Base, Scale, Start, Weights, WholeFrame, app
from uscl_med3d.cli.words import Spacing
from uscl_med3d.core.errors import InputError

Host = Annotated[str, typer.Option(help="Address to listen on. Other than this computer's own: needs --key.")]
Key = Annotated[
    str | None, typer.Option(help="Key that clients must give.", show_default="a random one, printed")
]
Device = Annotated[
    Literal["cpu", "cuda"] | None, typer.Option(help="Default: as the run's parameters, else cpu.")
]
Mask = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Mask; of a cohort: folder.", show_default="NAME_mask.nii.gz"),
]
SessionFile = Annotated[
    Path | None, typer.Option(help="File that keeps the work.", show_default="beside the mask")
]
KeyFrames = Annotated[
    Path | None,
    typer.Option(help="Folder of key frames.", show_default="NAME_key_frames beside the mask"),
]

VIEW_EXAMPLES = """Examples

uscl-med3d view sweep.mp4

uscl-med3d view sweep.nii.gz -o liver.nii.gz --key-frames my_cohort/key_frames/sweep

uscl-med3d view my_cohort/cohort.csv --scale mine
"""
SERVE_EXAMPLES = """Examples

uscl-med3d serve

uscl-med3d serve --port 1527 --key "a long key of your own"
"""


@app.command(rich_help_panel=CLIPS, epilog=SERVE_EXAMPLES)
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 1527,
    key: Key = None,
    host: Host = "127.0.0.1",
    weights: Weights = None,
    base: Base = None,
    start: Start = None,
    scale: Scale = DEFAULT_SCALE,
    device: Device = None,
    sessions: Annotated[int, typer.Option(min=1, max=64, help="Clients at a time.")] = 3,
) -> None:
    """Serve a model to 3D Slicer (extension nnInteractive), napari (napari-nninteractive) and nninteractive-client."""
    from uscl_med3d.view import server

    server.check_host(host, key)
    listener = server.bind(host, port)
    segmenter = _load(weights, base, start, scale, device)
    if not hasattr(segmenter.choice, "job"):
        raise InputError(
            file=segmenter.choice.name,
            found="official weights",
            expected="a model of ours: the protocol lacks the patient coordinates that official ones need",
            remedy="use view or segment, or name another model by --weights",
        )
    guarded, protocol, key_in_use = server.make_protocol_app(segmenter, listener, host, key, sessions)
    server.use_all_cores()
    server.sweep(protocol)
    address = f"http://{host}:{listener.getsockname()[1]}"

    def say() -> None:
        print(f"model: {segmenter.describe()}\nserver: {address}")
        print(f"key: {key_in_use}" if key is None else "key: as given", flush=True)
        print(
            "In 3D Slicer or napari: nnInteractive, remote server, this address and key. Ctrl+C ends it.",
            flush=True,
        )

    server.run(guarded, listener, say)


@app.command(rich_help_panel=CLIPS, epilog=VIEW_EXAMPLES)
def view(
    input: Annotated[
        Path, typer.Argument(help="Whatever `segment` takes; or a cohort table (.csv), to step through.")
    ],
    output: Mask = None,
    session: SessionFile = None,
    key_frames: KeyFrames = None,
    spacing_mm: Spacing = None,
    whole_frame: WholeFrame = False,
    weights: Weights = None,
    base: Base = None,
    start: Start = None,
    scale: Scale = DEFAULT_SCALE,
    device: Device = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 0,
    key: Key = None,
    host: Host = "127.0.0.1",
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> None:
    """Open a page to click in: masks as `segment` writes them, key frames for a cohort, undo without limit."""
    from uscl_med3d.user.model_list import list_models
    from uscl_med3d.view import items, server
    from uscl_med3d.view.desk import Desk

    server.check_host(host, key)
    is_cohort = input.suffix.lower() == ".csv"
    spacing: Any = spacing_mm  # parse_spacing made it numbers
    listed = (
        items.of_cohort(input, output, scale)
        if is_cohort
        else items.one_file(input, output, session, key_frames, spacing)
    )
    listener = server.bind(host, port)
    segmenter = _load(weights, base, start, scale, device)
    names = [model.name for model in list_models(scale) if model.segments]
    server.use_all_cores()

    def load(name: str) -> Any:
        if name == segmenter.choice.name:
            return copy.copy(segmenter)  # the same network
        return _load(name, None, None, scale, device)

    desk = Desk(listed, segmenter, names, load, whole_frame)
    guarded, key_in_use = server.make_page_app(desk, listener, host, key)
    address = f"http://{host}:{listener.getsockname()[1]}/#key={quote(key_in_use)}"

    def say() -> None:
        print(f"model: {segmenter.describe()}\npage: {address}")
        print(
            f"mask: {listed[0].output.parent if is_cohort else listed[0].output}. Ctrl+C ends it.", flush=True
        )
        if browser:
            webbrowser.open(address)

    server.run(guarded, listener, say)


def _load(weights: str | None, base: Path | None, start: Path | None, scale: str, device: Any) -> Any:
    from uscl_med3d.user.segmenter import Segmenter

    return Segmenter.load(weights, base, start, scale, device)
