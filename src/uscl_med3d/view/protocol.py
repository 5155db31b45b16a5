"""The HTTP protocol of nnInteractive 2: points, boxes, a mask to start from, undo; one object at a time.

Source: MIC-DKFZ/nnInteractive@154d9c6:nnInteractive/inference/server/app.py and SERVER_CLIENT.md (behaviour only).
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from pydantic import BaseModel, Field, ValidationError

from uscl_med3d import __version__
from uscl_med3d.user.segmenter import Segmenter
from uscl_med3d.view import leases
from uscl_med3d.view.errors import add_handlers
from uscl_med3d.view.leases import Lease, Leases
from uscl_med3d.view.packing import pack, unpack
from uscl_med3d.view.work import Work

ARRAY_PATHS = ("/set_image", "/add_initial_seg_interaction")
_OCTETS = "application/octet-stream"
_MASK_TYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")

Pair = Annotated[list[float], Field(min_length=2, max_length=2)]
Three = Field(min_length=3, max_length=3)


async def _read_body(request: Request) -> bytes:
    return await request.body()


Token = Annotated[str | None, Header(alias="X-Lease-Token")]
Meta = Annotated[str | None, Header(alias="X-Meta")]
Body = Annotated[bytes, Depends(_read_body)]
Model = TypeVar("Model", bound=BaseModel)
_POSTS = (
    "claim",
    "heartbeat",
    "release",
    "set_image",
    "set_target_buffer",
    "set_do_autozoom",
    "add_point_interaction",
    "add_bbox_interaction",
    "add_initial_seg_interaction",
    "predict",
    "undo",
    "reset_interactions",
)


class Point(BaseModel):
    """A click; `coordinates` are voxels along the three axes."""

    coordinates: Annotated[list[float], Three]
    include_interaction: bool
    run_prediction: bool = True


class Bounding(BaseModel):
    """A box; first voxel and end (half-open) along each axis."""

    bbox_coords: Annotated[list[Pair], Three]
    include_interaction: bool
    run_prediction: bool = True


class Target(BaseModel):
    """The client's buffer for the mask."""

    shape: Annotated[list[int], Three]
    dtype: str


class ImageMeta(BaseModel):
    """What is known of an image beside its values."""

    image_properties: dict[str, Any] = {}


class MaskMeta(BaseModel):
    """How a mask to start from is meant."""

    run_prediction: bool = False


def describe_capabilities(size: int) -> dict[str, Any]:
    """What clients may offer their users; tools that we lack are greyed out."""
    return {
        "supported_interactions": {
            "points": True,
            "bbox2d": True,
            "bbox3d": True,
            "scribble": False,
            "lasso": False,
        },
        "channel_mapping": {},
        "num_interaction_channels": 0,
        "supports_initial_label": True,
        "supports_zero_shot_label_refinement": False,
        "preferred_scribble_thickness": [2, 2, 2],
        "interaction_decay": 1.0,
        "inference_session_version": __version__,
        "supports_undo": True,
        "do_autozoom": False,
        "patch_size": [size] * 3,
        "license": "Apache-2.0; research only, not a medical device",
    }


class Protocol:
    """One network for a few clients, each with a session of its own.

    Args:
        make: a segmenter without input on the common network.
        size: side of the model's input.
        most_sessions: clients at a time. most_bytes: of an image.
    """

    def __init__(self, make: Callable[[], Segmenter], size: int, most_sessions: int, most_bytes: int) -> None:
        self.size, self.most_bytes = size, most_bytes
        self.leases: Leases[Work] = Leases(most_sessions, lambda: Work(make()))
        self._network = threading.Lock()

    def build(self) -> FastAPI:
        """The application."""
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        add_handlers(app)
        for path in ("healthz", "capabilities", "lease_status"):
            app.add_api_route(f"/{path}", getattr(self, path), methods=["GET"])
        for path in _POSTS:
            app.add_api_route(f"/{path}", getattr(self, path), methods=["POST"])
        for path in ("add_scribble_interaction", "add_lasso_interaction"):
            app.add_api_route(f"/{path}", self.refuse_drawing, methods=["POST"])
        return app

    # ------------------------------------------------------------------------------------------ sessions
    # Coroutines do not wait for the pool of threads, which predictions may fill.
    async def healthz(self) -> dict[str, bool]:
        """Is the server there?"""
        return {"ok": True}

    async def capabilities(self) -> dict[str, Any]:
        """What clients may offer."""
        return describe_capabilities(self.size)

    async def claim(self) -> dict[str, Any]:
        """A new session."""
        lease = self.leases.claim()
        return {
            "lease_token": lease.token,
            "idle_timeout_seconds": leases.IDLE_S,
            "liveness_timeout_seconds": leases.LIVENESS_S,
            "max_sessions": self.leases.most,
        }

    async def heartbeat(self, token: Token = None) -> dict[str, float]:
        """The client lives."""
        self.leases.find(token, acts=False)
        return {"remaining_seconds": self.leases.remaining(token)}

    async def lease_status(self, token: Token = None) -> dict[str, float]:
        """How long a session lasts without action."""
        return {"remaining_seconds": self.leases.remaining(token), "idle_timeout_seconds": leases.IDLE_S}

    async def release(self, token: Token = None) -> dict[str, Any]:
        """The end of a session."""
        self.leases.release(token)
        return {}

    # ------------------------------------------------------------------------------------------ image
    def set_image(self, body: Body, token: Token = None, meta: Meta = None) -> dict[str, Any]:
        """A new image."""
        with self._working(token, computes=False) as work:
            image = unpack(body, self.most_bytes)
            spacing = _read_meta(ImageMeta, meta).image_properties.get("spacing")
            work.set_image(image, spacing if isinstance(spacing, list) else None)
            return {"original_image_shape": list(image.shape)}

    def set_target_buffer(self, target: Target, token: Token = None) -> dict[str, Any]:
        """The type in which the client wants masks."""
        with self._working(token, computes=False) as work:
            if target.dtype not in _MASK_TYPES:
                raise ValueError(f"a buffer of {target.dtype!r:.40}; taken are {', '.join(_MASK_TYPES)}")
            work.check_shape(tuple(target.shape))
            work.dtype = np.dtype(target.dtype)
            return {}

    def set_do_autozoom(self, token: Token = None) -> dict[str, Any]:
        """The model has one size; the call is there because clients make it."""
        with self._working(token, computes=False):
            return {}

    # ------------------------------------------------------------------------------------------ prompts
    def add_point_interaction(self, point: Point, token: Token = None) -> Response:
        """A click."""
        with self._working(token, computes=True) as work:
            work.add_point(point.coordinates, int(point.include_interaction))
            return _answer(work, point.run_prediction)

    def add_bbox_interaction(self, box: Bounding, token: Token = None) -> Response:
        """A box, in two or three dimensions."""
        with self._working(token, computes=True) as work:
            work.add_box(box.bbox_coords, int(box.include_interaction))
            return _answer(work, box.run_prediction)

    async def refuse_drawing(self) -> Response:
        """Clients grey these tools out."""
        raise HTTPException(400, "scribbles and lassos are not supported: click, or draw a box")

    def add_initial_seg_interaction(self, body: Body, token: Token = None, meta: Meta = None) -> Response:
        """A mask to start from."""
        with self._working(token, computes=True) as work:
            mask = unpack(body, self.most_bytes, _MASK_TYPES)
            work.check_shape(mask.shape)
            work.start_from(mask)
            return _answer(work, _read_meta(MaskMeta, meta).run_prediction)

    def predict(self, token: Token = None) -> Response:
        """The mask of prompts that were sent without."""
        with self._working(token, computes=True) as work:
            return _answer(work, bool(work.open.steps))

    def undo(self, token: Token = None) -> Response:
        """The last prompt is taken back, as often as there is one."""
        with self._working(token, computes=True) as work:
            return _answer(work, work.open.undo())

    def reset_interactions(self, token: Token = None) -> dict[str, Any]:
        """All prompts are forgotten."""
        with self._working(token, computes=True) as work:
            work.reset()
            return {}

    @contextlib.contextmanager
    def _working(self, token: str | None, computes: bool) -> Iterator[Work]:
        lease: Lease[Work] = self.leases.find(token, acts=True)
        with lease.lock, self._network if computes else contextlib.nullcontext():
            yield lease.work
            lease.seen = lease.acted = self.leases.now()


def _read_meta(kind: type[Model], text: str | None) -> Model:
    try:
        return kind.model_validate_json(text or "{}")
    except ValidationError as error:
        raise ValueError(f"X-Meta: {error.errors()[0]['msg']}") from None


def _answer(work: Work, ran: bool) -> Response:
    """What changed in the mask since the last answer; nothing where no prediction `ran`."""
    meta: dict[str, Any] = {"ran_prediction": ran, "bbox": None, "dtype": work.dtype.name, "shape": None}
    change, body = work.open.change() if ran else None, b""
    if change is not None:
        mask = (change.labels != 0).astype(work.dtype)
        meta |= {"bbox": [list(ends) for ends in change.box], "shape": list(mask.shape)}
        body = pack(mask)
    return Response(body, media_type=_OCTETS, headers={"X-Meta": json.dumps(meta, separators=(",", ":"))})
