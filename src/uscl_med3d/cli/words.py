"""Forms of options that the parser does not know: several values after one name, or no value after it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand


class StageCommand(TyperCommand):
    """A command with options alone: `--scores a.csv b.csv`, or `--scores` and `--base` without any value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        several = {
            name for option in self.params if getattr(option, "multiple", False) for name in option.opts
        }
        may_lack = {name for option in self.params if not option.required for name in option.opts}
        return super().parse_args(ctx, spread(args, several, may_lack))


class PromptCommand(TyperCommand):
    """Keeps the order of `--object`, `--point` and `--box`, and lets `--mm` come without a value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta["prompts"] = in_order(args, ("object", "point", "box"))
        return super().parse_args(ctx, fill(args, "--mm", "file", ("ras", "lps", "file")))


def spread(args: Sequence[str], several: Collection[str], may_lack: Collection[str]) -> list[str]:
    """`--a 1 2` as `--a 1 --a 2` for names in `several`; names in `may_lack` without a value are left out."""
    words, place = [], 0
    while place < len(args):
        name, end = args[place], place + 1
        if name in several or name in may_lack:
            while (
                end < len(args) and not args[end].startswith("--") and (name in several or end == place + 1)
            ):
                words += [name, args[end]]
                end += 1
        else:
            words.append(name)
        place = end
    return words


def fill(args: Sequence[str], name: str, value: str, values: Collection[str]) -> list[str]:
    """Put `value` after an option that is followed by none of `values`."""
    words: list[str] = []
    for word, following in zip(args, [*args[1:], ""], strict=True):
        words += [word, value] if word == name and following not in values else [word]
    return words


def in_order(args: Sequence[str], names: Iterable[str]) -> list[tuple[str, str]]:
    """Options of some names with their values, in the order given; `--point 1,2,3` or `--point=1,2,3`."""
    found, options = [], {f"--{name}": name for name in names}
    for word, following in zip(args, [*args[1:], ""], strict=True):
        option, joined, value = word.partition("=")
        if option in options:
            found.append((options[option], value if joined else following))
    return found


def parse_spacing(text: str) -> tuple[float, float]:
    """`0.3` or `0.3,0.2` (row, column) in millimetres."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 2):
        raise typer.BadParameter(f"{text!r}: one number, or row,column, in millimetres")
    return values[0], values[-1]


Spacing = Annotated[
    str | None,
    typer.Option(metavar="ROW,COL", parser=parse_spacing, help="Pixel size, where the file lacks it."),
]


def parse_frames(text: str) -> list[int]:
    """`12,31` as numbers of frames."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r}: numbers with commas between them, as 12,31") from None
