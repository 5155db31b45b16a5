"""Who may talk to a server of ours, and how much: checked for every request before anything else sees it.

A page on the internet can make a browser send requests to this computer, and by a name that it lets point here (DNS
rebinding) even read the answers. So the name and port that a request was sent to must be ours, a request from another
page is refused, and everything but the page's own files needs a random key.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
import socket
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from uscl_med3d.core.errors import InputError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
LEAST_KEY = 16
"""Characters of a key for a server that other computers reach."""
_DRAINED = 1 << 28
"""Bytes of a refused body that are read and thrown away, so that the client hears why; of more, none are read."""
_HEADERS = {
    "content-security-policy": "default-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "x-frame-options": "DENY",
}


def make_key() -> str:
    """A random key of 192 bits."""
    return secrets.token_urlsafe(24)


def check_host(host: str, key: str | None) -> None:
    """Raises `InputError` for a server that other computers reach without a good key of the user's own."""
    if host not in ("127.0.0.1", "localhost", "::1") and (key is None or len(key) < LEAST_KEY):
        raise InputError(
            file=f"--host {host}",
            found="no key" if key is None else f"a key of {len(key)} characters",
            expected=f"a key of at least {LEAST_KEY} characters of your own: other computers reach this address, and "
            "what they send is not encrypted",
            remedy="give --key, or leave --host away and reach this computer through an SSH tunnel",
        )


class Bucket:
    """So many events at once, and so many a second on average."""

    def __init__(self, burst: float, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._rate, self._clock = burst, per_second, clock
        self._left, self._at, self._lock = burst, clock(), threading.Lock()

    def take(self) -> bool:
        """Whether one more is allowed."""
        with self._lock:
            now = self._clock()
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
            self._at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True


@dataclass
class Rules:
    """What a server allows.

    Attributes:
        key: that every request but those to open paths must carry.
        hosts: names with port under which it is reached, as browsers write them.
        open_paths: that need no key: a health check, and a page's own files.
        most_bytes: of a request's body, by path; `most_bytes_else` for all others.
        requests, wrong_keys: how often; wrong keys are slowed down, right ones never by them.
    """

    key: str
    hosts: frozenset[str]
    open_paths: frozenset[str]
    most_bytes: dict[str, int]
    most_bytes_else: int = 1 << 20
    requests: Bucket = field(default_factory=lambda: Bucket(400, 200))
    wrong_keys: Bucket = field(default_factory=lambda: Bucket(10, 0.2))

    def check(self, path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        """(status, reason) of a refusal, or None."""
        if headers.get("host", "").lower() not in self.hosts:
            return 403, "this server is not reached by this name"
        if "origin" in headers and headers["origin"].lower() not in {f"http://{host}" for host in self.hosts}:
            return 403, "requests from other pages are refused"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "requests from other pages are refused"
        if not self.requests.take():
            return 429, "too many requests"
        if path not in self.open_paths and not self._has_key(headers):
            return (401, "a key is needed") if self.wrong_keys.take() else (429, "too many wrong keys")
        if int(headers.get("content-length", "0") or 0) > self.limit(path):
            return 413, f"at most {self.limit(path)} bytes"
        return None

    def limit(self, path: str) -> int:
        """Bytes that a body may have."""
        return self.most_bytes.get(path, self.most_bytes_else)

    def _has_key(self, headers: dict[str, str]) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self.key.encode())


def hosts_of(host: str, port: int) -> frozenset[str]:
    """Names with port of a server that listens on `host`; of loopback and of all addresses, those of this computer."""
    names = [f"[{host}]" if ":" in host else host.lower()]
    if host in ("127.0.0.1", "localhost", "::1"):
        names = list(LOOPBACK)
    elif host in ("0.0.0.0", "::"):
        names = [*LOOPBACK, *_own_names()]
    return frozenset(f"{name}:{port}" for name in names)


def _own_names() -> list[str]:
    """Names and addresses under which other computers reach this one, as far as it knows them."""
    name = socket.gethostname()
    try:
        addresses = [str(found[4][0]) for found in socket.getaddrinfo(name, None)]
    except OSError:
        addresses = []
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; tells the address that the outside is reached from
        addresses.append(probe.getsockname()[0])
    return [
        name.lower(),
        socket.getfqdn().lower(),
        *(f"[{each}]" if ":" in each else each for each in addresses),
    ]


class Guard:
    """Checks every request by the rules, counts its body while it comes, and adds the headers of a closed page."""

    def __init__(self, app: App, rules: Rules) -> None:
        self.app, self.rules = app, rules

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no WebSockets here
            await send({"type": "websocket.close", "code": 1008})
            return
        refused = self._check(scope)
        if refused is not None:
            if refused[0] == 413 and _length(scope) <= _DRAINED:
                await _drain(receive)
            await _refuse(send, *refused)
            return
        count = _Count(receive, self.rules.limit(scope["path"]))

        async def answer(message: Message) -> None:
            if count.exceeded:  # whatever the application makes of a body that ended too early
                return
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_encoded_headers()]
            await send(message)

        with contextlib.suppress(_BodyTooLarge):
            await self.app(scope, count.receive, answer)
        if count.exceeded:
            await _drain(receive)
            await _refuse(send, 413, f"at most {count.most} bytes")

    def _check(self, scope: MutableMapping[str, Any]) -> tuple[int, str] | None:
        names = [name for name, _ in scope["headers"]]
        if any(names.count(name) > 1 for name in (b"host", b"origin", b"authorization", b"content-length")):
            return 400, "a header twice"
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if not headers.get("content-length", "0").isdigit():
            return 400, "a length that is no number"
        return self.rules.check(scope["path"], headers)


class _BodyTooLarge(Exception):
    """More came than is allowed; the length was not said, or wrongly."""


class _Count:
    """Passes a body on up to a limit."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self.most, self._came = receive, most, 0

    @property
    def exceeded(self) -> bool:
        """Whether more came than is allowed."""
        return self._came > self.most

    async def receive(self) -> Message:
        """The next piece. Raises `_BodyTooLarge`."""
        message = await self._receive()
        self._came += len(message.get("body", b""))
        if self.exceeded:
            raise _BodyTooLarge
        return message


def _length(scope: MutableMapping[str, Any]) -> int:
    return int(dict(scope["headers"]).get(b"content-length", b"0"))


async def _drain(receive: Receive) -> None:
    """Throw away what a client still sends, up to a limit: it reads the answer only afterwards."""
    left = _DRAINED
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return


def _encoded_headers() -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in _HEADERS.items()]


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 429:
        headers.append((b"retry-after", b"5"))
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *_encoded_headers()]})
    await send({"type": "http.response.body", "body": body})
