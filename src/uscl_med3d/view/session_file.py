"""Work on one input as a file, so that it goes on another day: prompts, and how objects look."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json, write_json
from uscl_med3d.view.session import MOST_STEPS, Session, Step

FORMAT = "uscl-med3d session"
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f/\\]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Look(_Strict):
    """How an object is drawn; also one without prompts so far."""

    name: Name
    colour: Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
    opacity: Annotated[float, Field(ge=0, le=1)] = 0.5


class SavedStep(_Strict):
    """A step in the input's own coordinates; `mask` holds packed bits."""

    kind: Literal["click", "box", "mask"]
    name: Name
    numbers: Annotated[list[float], Field(max_length=6)] = []
    mask: str | None = None


class SessionFile(_Strict):
    """The file."""

    format: Literal["uscl-med3d session"] = "uscl-med3d session"
    version: Literal[1] = 1
    input_sha256: str
    model: str
    looks: Annotated[list[Look], Field(max_length=254)] = []
    steps: Annotated[list[SavedStep], Field(max_length=MOST_STEPS)] = []


class Store:
    """Writes a session after every step; a mask is packed once.

    Args:
        path: of the session file.
        input_sha256: of the input's content, whatever it is called: a session belongs to it.
    """

    def __init__(self, path: Path, input_sha256: str) -> None:
        self.path, self.input_sha256 = path, input_sha256
        self._packed: dict[int, tuple[Any, str]] = {}

    def save(self, steps: Sequence[Step], looks: Sequence[Look], model: str) -> None:
        """Replace the file."""
        saved = [
            SavedStep(kind=step.kind, name=step.name, numbers=list(step.numbers), mask=self._pack(step))
            for step in steps
        ]
        content = SessionFile(input_sha256=self.input_sha256, model=model, looks=list(looks), steps=saved)
        write_json(self.path, content.model_dump(exclude_none=True))

    def load(self) -> SessionFile | None:
        """The file; None where there is none. Raises `InputError` for one that is damaged or of another input."""
        if not self.path.exists():
            return None
        try:
            found = SessionFile.model_validate(read_json(self.path))
        except ValidationError as error:
            raise InputError(
                file=self.path,
                found=str(error.errors()[0]["msg"]),
                expected=f"a file of the format {FORMAT!r}",
                remedy="name another file by --session, or remove it",
            ) from None
        if found.input_sha256 != self.input_sha256:
            raise InputError(
                file=self.path,
                found="a session of another input",
                expected="the input that it was made with",
                remedy="open that input, or name another file by --session",
            )
        return found

    def _pack(self, step: Step) -> str | None:
        start = step.prompt.mask
        if start is None:
            return None
        if id(start) not in self._packed:
            bits = zlib.compress(np.packbits(start.array).tobytes(), 6)
            self._packed[id(start)] = (start, base64.b64encode(bits).decode())
        return self._packed[id(start)][1]


def take_steps(session: Session, steps: Sequence[SavedStep]) -> list[str]:
    """Take saved steps one after another, as if a user did; reasons of those that this model cannot take."""
    refused = []
    for step in steps:
        try:
            take(session, step)
        except ValueError as error:
            refused.append(f"{step.kind} of {step.name!r}: {error}")
    return refused


def take(session: Session, step: SavedStep) -> None:
    """Take one step. Raises `ValueError` for what does not fit the input."""
    if step.kind == "mask":
        session.start_from(_unpack(step.mask or "", session.segmenter.source.frames.shape), step.name)
    elif step.kind == "box":
        session.box(step.numbers, step.name)
    elif len(step.numbers) != 4:
        raise ValueError("a click is x, y, z, label")
    else:
        session.click(step.numbers[:3], int(step.numbers[3]), step.name)


def _unpack(text: str, shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape))
    try:
        stream = zlib.decompressobj()
        bits = stream.decompress(base64.b64decode(text, validate=True), (size + 7) // 8)
    except (ValueError, zlib.error):
        raise ValueError("a damaged mask") from None
    if len(bits) != (size + 7) // 8:
        raise ValueError("a mask of another size")
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=size).reshape(shape)
