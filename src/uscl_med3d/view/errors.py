"""Errors as answers: what a client sent never ends a session, and says why it was refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from uscl_med3d.core.errors import InputError
from uscl_med3d.view import leases
from uscl_med3d.view.packing import TooLarge


def add_handlers(app: FastAPI) -> None:
    """Status codes that clients of nnInteractive know, with `detail` in words."""

    def add(kind: type[Exception], status: int, say: Callable[[Any], str], **headers: str) -> None:
        @app.exception_handler(kind)
        async def handle(_: Request, error: Exception) -> JSONResponse:
            return JSONResponse({"detail": say(error)}, status, headers)

    add(
        RequestValidationError,
        400,
        lambda error: "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()
        )[:500],
    )
    add(leases.Full, 503, lambda _: "all sessions are taken", **{"Retry-After": "10"})
    add(
        leases.Gone,
        410,
        lambda _: "this session is over: it was idle too long, or the server was started again",
    )
    add(TooLarge, 413, str)
    add(InputError, 400, lambda error: f"{error.found}; expected {error.expected}")
    add(ValueError, 400, str)
