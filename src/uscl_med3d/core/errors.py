"""Errors that a user can act on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path


class InputError(Exception):
    """A file or value from outside is not usable.

    The message names the file, what was found, what was expected and what to do.
    """

    def __init__(self, *, file: str | Path, found: str, expected: str, remedy: str) -> None:
        self.file, self.found, self.expected, self.remedy = str(file), found, expected, remedy
        super().__init__(f"{file}\n  found:    {found}\n  expected: {expected}\n  remedy:   {remedy}")

    def __reduce__(self) -> tuple[Callable[..., InputError], tuple[str, str, str, str]]:
        # Keyword-only arguments do not survive pickling by default, and worker processes pickle their errors.
        return _rebuild, (self.file, self.found, self.expected, self.remedy)


class InputErrors(InputError):
    """Several inputs are not usable; all of them are listed, so that one round of repairs is enough."""

    def __init__(self, errors: Sequence[InputError], *, file: str | Path, remedy: str) -> None:
        self.errors = list(errors)
        listing = "\n".join(f"- {error}" for error in self.errors)
        super().__init__(
            file=file,
            found=f"{len(self.errors)} unusable input(s):\n{listing}",
            expected="no errors",
            remedy=remedy,
        )

    def __reduce__(self) -> tuple[Callable[..., InputError], tuple[str, str, str, str]]:
        return _rebuild, (self.file, self.found, self.expected, self.remedy)


def _rebuild(file: str, found: str, expected: str, remedy: str) -> InputError:
    return InputError(file=file, found=found, expected=expected, remedy=remedy)
