"""What all pipeline stages share: a job file, inputs and outputs by the names of the rules, and a receipt."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from uscl_med3d.cli.app import STAGES, app
from uscl_med3d.cli.words import StageCommand
from uscl_med3d.core import memory, receipts, spent

# The roles of a stage's options. Inputs and outputs stand in the receipt; measured files and stores do not, because
# results are the same without them.
Job = Annotated[Path, typer.Option("--params", help="Job file, written by the workflow.")]
Input = Annotated[Path, typer.Option()]
OptionalInput = Annotated[Path | None, typer.Option()]
Inputs = Annotated[list[Path], typer.Option(show_default=False)]
Output = Annotated[Path, typer.Option()]
Measured = Annotated[Path, typer.Option()]
Store = Annotated[
    Path | None, typer.Option(help="Folder that keeps the results of single sweeps between runs.")
]
Receipt = Annotated[Path | None, typer.Option(help="Where to say what this job was made from.")]

Made = Callable[[Mapping[str, Any]], Iterable[Path]]
"""Options of a call -> the files it has written, where outputs are folders that several stages share."""


def stage(made: Made | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a stage: its name is the verb, its annotations say what goes into the receipt."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        inputs = [name for name, hint in hints.items() if hint in (Input, OptionalInput, Inputs)]
        outputs = [name for name, hint in hints.items() if hint == Output]
        measured = [name for name, hint in hints.items() if hint == Measured]
        verb = function.__name__

        @wraps(function)
        def run(receipt: Path | None = None, **given: Any) -> None:
            memory.keep_freed_memory()
            files = list_files(given, inputs)
            # Hashed before the work, so that the receipt says what was there when the job read it.
            receipts.hash_all(files)
            function(**given)
            if receipt is not None:
                written = made(given) if made else list_files(given, outputs)
                receipts.write_receipt(receipt, verb, given["params"], files, written)
                spent.write_spent(receipt)

        signature = inspect.signature(function)
        parameters = [each.replace(annotation=hints[name]) for name, each in signature.parameters.items()]
        if outputs or measured:
            parameters.append(
                inspect.Parameter("receipt", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Receipt)
            )
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        app.command(verb, cls=StageCommand, rich_help_panel=STAGES)(run)
        return function

    return register


def list_files(given: Mapping[str, Any], names: Iterable[str]) -> list[Path]:
    """Paths given under some option names."""
    values = [given[name] for name in names]
    return [path for value in values if value for path in (value if isinstance(value, list) else [value])]
