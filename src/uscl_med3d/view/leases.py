"""Which client has which session: a few at a time, and none for a client that is gone."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

IDLE_S, LIVENESS_S = 600.0, 60.0

Work = TypeVar("Work")


class Full(Exception):
    """All sessions are taken."""


class Gone(Exception):
    """An unknown session, or one whose client was silent for too long."""


@dataclass
class Lease(Generic[Work]):
    """One client's session. `lock` is held while it is worked on; `seen` and `acted` are times of the clock."""

    token: str
    work: Work
    seen: float
    acted: float
    lock: threading.Lock = field(default_factory=threading.Lock)


class Leases(Generic[Work]):
    """Sessions by random tokens.

    A client that sends nothing for LIVENESS_S, not even a heartbeat, is taken for dead; one without a real action for
    IDLE_S loses its session, too. A session that is being worked on stays.

    Args:
        most: sessions at a time. make: makes the work of a new one. clock: seconds.
    """

    def __init__(
        self, most: int, make: Callable[[], Work], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.most, self._make, self._clock = most, make, clock
        self._leases: dict[str, Lease[Work]] = {}
        self._lock = threading.Lock()

    def now(self) -> float:
        """The time of its clock."""
        return self._clock()

    def claim(self) -> Lease[Work]:
        """A new session. Raises `Full`."""
        with self._lock:
            self._sweep()
            if len(self._leases) >= self.most:
                raise Full
            now = self._clock()
            lease = Lease(secrets.token_urlsafe(24), self._make(), now, now)
            self._leases[lease.token] = lease
            return lease

    def find(self, token: str | None, acts: bool) -> Lease[Work]:
        """The session of a token; the client lives, and `acts`: does something. Raises `Gone`."""
        with self._lock:
            self._sweep()
            lease = self._leases.get(token or "")
            if lease is None:
                raise Gone
            lease.seen = self._clock()
            if acts:
                lease.acted = lease.seen
            return lease

    def remaining(self, token: str | None) -> float:
        """Seconds until a session without action ends; the client does not count as seen. Raises `Gone`."""
        with self._lock:
            self._sweep()
            lease = self._leases.get(token or "")
            if lease is None:
                raise Gone
            return max(0.0, lease.acted + IDLE_S - self._clock())

    def release(self, token: str | None) -> None:
        """End a session; nothing where there is none."""
        with self._lock:
            self._leases.pop(token or "", None)

    def sweep(self) -> int:
        """Forget the sessions of lost clients; how many are left."""
        with self._lock:
            self._sweep()
            return len(self._leases)

    def _sweep(self) -> None:
        now = self._clock()
        for token, lease in list(self._leases.items()):
            silent = now - lease.seen >= LIVENESS_S or now - lease.acted >= IDLE_S
            if silent and not lease.lock.locked():
                del self._leases[token]
