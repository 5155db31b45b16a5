"""Requests of the page: each answer says how everything stands, and brings the part of the mask that changed."""

from __future__ import annotations

import json
import struct
import threading
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from uscl_med3d.view.desk import Desk
from uscl_med3d.view.errors import add_handlers
from uscl_med3d.view.key_frames import Exists
from uscl_med3d.view.session import Change
from uscl_med3d.view.session_file import Look, Name, SavedStep

STATIC = Path(__file__).parent / "static"
FILES = (
    "index.html",
    "style.css",
    "app.js",
    "server.js",
    "slices.js",
    "flat.js",
    "colours.js",
    "niivue.umd.js",
)
_OCTETS = "application/octet-stream"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewStep(_Strict):
    """A click (x, y, z, label) or a box (x0, y0, z0, x1, y1, z1)."""

    name: Name
    numbers: Annotated[list[float], Field(min_length=4, max_length=6)]


class Named(_Strict):
    """An object, and its new name."""

    name: Name
    new: Name | None = None


class Looks(_Strict):
    """How objects are drawn."""

    looks: Annotated[list[Look], Field(max_length=254)]


class Which(_Strict):
    """A model by its name, or an input by its number."""

    model: str | None = None
    index: int | None = None


class KeyFrame(_Strict):
    """A frame to save, and whether it may take the place of one that is there."""

    frame: int
    overwrite: bool = False


class Page:
    """Serves one desk; one request at a time works on it."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self._lock = desk, threading.Lock()

    def build(self) -> FastAPI:
        """The application."""
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        add_handlers(app)

        @app.exception_handler(Exists)
        async def exists(_: Request, error: Exception) -> JSONResponse:
            return JSONResponse({"detail": str(error)}, 409)

        for path in ("state", "picture", "mask"):
            app.add_api_route(f"/api/{path}", getattr(self, path), methods=["GET"])
        for path in ("click", "box", "undo", "redo", "remove", "rename", "looks", "use", "save", "key_frame"):
            app.add_api_route(f"/api/{path}", getattr(self, path), methods=["POST"])
        app.mount("/", StaticFiles(directory=STATIC, html=True))
        return app

    # ------------------------------------------------------------------------------------------ reading
    def state(self) -> dict[str, Any]:
        """How everything stands."""
        with self._lock:
            return self.desk.describe()

    def picture(self) -> Response:
        """The input as it is shown."""
        with self._lock:
            return Response(self.desk.picture.to_bytes(), media_type=_OCTETS)

    def mask(self) -> Response:
        """The whole mask."""
        with self._lock:
            return self._answer(self._whole())

    # ------------------------------------------------------------------------------------------ steps
    def click(self, step: NewStep) -> Response:
        """A click."""
        with self._lock:
            return self._answer(self.desk.take(SavedStep(kind="click", **step.model_dump())))

    def box(self, step: NewStep) -> Response:
        """A box."""
        with self._lock:
            return self._answer(self.desk.take(SavedStep(kind="box", **step.model_dump())))

    def undo(self) -> Response:
        """The last step back."""
        with self._lock:
            self.desk.session.undo()
            return self._answer(self.desk.changed())

    def redo(self) -> Response:
        """The step again that was taken back."""
        with self._lock:
            self.desk.session.redo()
            return self._answer(self.desk.changed())

    def remove(self, which: Named) -> Response:
        """An object and its prompts."""
        with self._lock:
            self.desk.looks = [look for look in self.desk.looks if look.name != which.name]
            if any(step.name == which.name for step in self.desk.session.steps):
                self.desk.session.remove(which.name)
            return self._answer(self.desk.changed())

    def rename(self, which: Named) -> Response:
        """Another name for an object."""
        with self._lock:
            new = which.new or which.name
            if any(look.name == new for look in self.desk.looks):
                raise ValueError(f"there is an object {new!r} already")
            if any(step.name == which.name for step in self.desk.session.steps):
                self.desk.session.rename(which.name, new)
            self.desk.looks = [
                look.model_copy(update={"name": new}) if look.name == which.name else look
                for look in self.desk.looks
            ]
            return self._answer(self.desk.changed())

    # ------------------------------------------------------------------------------------------ the rest
    def looks(self, given: Looks) -> dict[str, Any]:
        """Names, colours and opacities of objects."""
        with self._lock:
            self.desk.looks = given.looks
            self.desk.keep()
            return self.desk.describe()

    def use(self, which: Which) -> Response:
        """Another model, or another input."""
        with self._lock:
            if which.index is not None:
                self.desk.open(which.index)
                return self._answer(None)
            self.desk.use_model(which.model or "")
            return self._answer(self._whole())

    def save(self) -> dict[str, Any]:
        """The mask as a file."""
        with self._lock:
            return self.desk.save() | {"state": self.desk.describe()}

    def key_frame(self, which: KeyFrame) -> dict[str, Any]:
        """A frame of it as a key frame of the cohort."""
        with self._lock:
            return self.desk.save_key_frame(which.frame, which.overwrite)

    def _whole(self) -> Change:
        """The whole mask; what changed before it is in it."""
        frames, rows, columns = self.desk.segmenter.source.frames.shape
        self.desk.session.change()
        return Change(((0, frames), (0, rows), (0, columns)), self.desk.session.labels())

    def _answer(self, change: Change | None) -> Response:
        """Length of a JSON, the JSON (state, box of the shown grid), and labels of the box, frame by frame."""
        content: dict[str, Any] = {"state": self.desk.describe(), "box": None}
        labels = np.zeros(0, np.uint8)
        if change is not None:
            box, labels = self.desk.picture.cut(change.box, change.labels)
            content["box"] = [list(ends) for ends in box]
        head = json.dumps(content).encode()
        return Response(struct.pack("<I", len(head)) + head + labels.tobytes(), media_type=_OCTETS)
