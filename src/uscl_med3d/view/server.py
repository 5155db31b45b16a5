"""Starting and stopping a server: its address, its rules, its threads."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn
from fastapi import FastAPI

from uscl_med3d.core.errors import InputError
from uscl_med3d.user.segmenter import Segmenter
from uscl_med3d.view.desk import Desk
from uscl_med3d.view.page import FILES, Page
from uscl_med3d.view.protocol import ARRAY_PATHS, Protocol
from uscl_med3d.view.security import Guard, Rules, check_host, hosts_of, make_key

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 1527
_SWEEP_S = 15.0


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens on the address; port 0: any free one. Raises `InputError` where that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise InputError(
            file=f"{host}:{port}",
            found=f"{type(error).__name__}: {error}",
            expected="an address of this computer with a free port",
            remedy="stop the program that uses it, or give another --port",
        ) from None
    return listener


def memory_bytes() -> int:
    """Memory of this computer."""
    with suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 4 << 30  # what a small computer has, where the system does not say


def use_all_cores() -> None:
    """One user waits for one prediction at a time, so it may have every core that this process may use."""
    import torch

    torch.set_num_threads(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )


def make_protocol_app(
    segmenter: Segmenter, listener: socket.socket, host: str, key: str | None, most_sessions: int
) -> tuple[Guard, Protocol, str]:
    """The guarded application of `serve`, its protocol, and the key that it asks for."""
    check_host(host, key)
    key = key or make_key()
    most = memory_bytes() // 4
    choice, method = segmenter.choice, segmenter.method
    protocol = Protocol(lambda: Segmenter(choice, method), choice.job.model.image_size, most_sessions, most)
    rules = Rules(
        key=key,
        hosts=hosts_of(host, listener.getsockname()[1]),
        open_paths=frozenset({"/healthz"}),
        most_bytes=dict.fromkeys(ARRAY_PATHS, most),
    )
    return Guard(protocol.build(), rules), protocol, key


def make_page_app(desk: Desk, listener: socket.socket, host: str, key: str | None) -> tuple[Guard, str]:
    """The guarded application of `view`, and the key that the page's requests carry."""
    check_host(host, key)
    key = key or make_key()
    rules = Rules(
        key=key,
        hosts=hosts_of(host, listener.getsockname()[1]),
        open_paths=frozenset({"/", *(f"/{name}" for name in FILES)}),
        most_bytes={},
    )
    return Guard(Page(desk).build(), rules), key


def run(app: Guard | FastAPI, listener: socket.socket, ready: Callable[[], None] | None = None) -> None:
    """Serve until interrupted; `ready` is called once requests are answered."""
    server = _make(app)
    if ready is not None:
        threading.Thread(target=_call_when_started, args=(server, ready), daemon=True).start()
    server.run(sockets=[listener])


@contextmanager
def running(app: Guard | FastAPI, listener: socket.socket) -> Iterator[None]:
    """Serve in a thread of this process, for as long as the context lasts."""
    server = _make(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def sweep(protocol: Protocol) -> None:
    """Free the sessions of lost clients every few seconds, without a request to notice them."""

    def go_on() -> None:
        while True:
            time.sleep(_SWEEP_S)
            protocol.leases.sweep()

    threading.Thread(target=go_on, daemon=True).start()


def _make(app: Guard | FastAPI) -> uvicorn.Server:
    # Paths of requests say nothing of images, yet nothing is logged but the server's own errors.
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        limit_concurrency=100,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=1 << 16,
        ws="none",
        http="h11",
        lifespan="off",
        proxy_headers=False,
    )
    return uvicorn.Server(config)


def _call_when_started(server: uvicorn.Server, ready: Callable[[], None]) -> None:
    while not server.started:
        time.sleep(0.02)
    ready()
