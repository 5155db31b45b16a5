"""`serve`: other viewers as clients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from uscl_med3d.cli.app import CLIPS, DEFAULT_SCALE, Base, Scale, Vcl, Weights, app
from uscl_med3d.core.errors import InputError

Host = Annotated[str, typer.Option(help="Address to listen on. Other than this computer's own: needs --key.")]
Key = Annotated[
    str | None, typer.Option(help="Key that clients must give.", show_default="a random one, printed")
]
Device = Annotated[
    Literal["cpu", "cuda"] | None, typer.Option(help="Default: as the run's parameters, else cpu.")
]

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
    vcl: Vcl = None,
    scale: Scale = DEFAULT_SCALE,
    device: Device = None,
    sessions: Annotated[int, typer.Option(min=1, max=64, help="Clients at a time.")] = 3,
) -> None:
    """Serve a model to 3D Slicer (extension nnInteractive), napari (napari-nninteractive) and nninteractive-client."""
    server = _need_view()
    server.check_host(host, key)
    listener = server.bind(host, port)
    segmenter = _load(weights, base, vcl, scale, device)
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


def _need_view() -> Any:
    """The module `view.server`. Raises `InputError` where the extra is not installed."""
    try:
        from uscl_med3d.view import server
    except ModuleNotFoundError as error:
        raise InputError(file=str(error.name), found="not installed", expected="the packages of the extra `view`",
                         remedy='pip install "uscl-med3d[view]"') from None  # fmt: skip
    return server


def _load(weights: str | None, base: Path | None, vcl: Path | None, scale: str, device: Any) -> Any:
    from uscl_med3d.user.segmenter import Segmenter

    return Segmenter.load(weights, base, vcl, scale, device)
