"""One place that may identify a patient."""

from __future__ import annotations

from typing import NamedTuple

Found = tuple[str, str, str]
"""(kind, what, what `ingest` does about it) of a file that is known to the caller."""

NOT_COPIED = "ingest does not copy it"
STAYS = "ingest keeps it"
NOT_ITS = "not touched by ingest"


class Finding(NamedTuple):
    """A place: file relative to the folder, kind, what stands there (never its value), and what `ingest` does about it."""

    file: str
    kind: str
    what: str
    ingest: str
