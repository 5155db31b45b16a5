"""Official checkpoint files: is the right one there?"""

from __future__ import annotations

from pathlib import Path

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256


def check_file(path: Path, expected_sha256: str | None, source: str) -> None:
    """Raise `InputError` if a checkpoint is missing or is another file than expected."""
    remedy = f"download it from {source} and save it as {path}"
    if not path.is_file():
        raise InputError(file=path, found="no such file", expected="the official checkpoint", remedy=remedy)
    if expected_sha256 is not None:
        found = sha256(path)
        if found != expected_sha256.lower():
            raise InputError(
                file=path, found=f"SHA-256 {found}", expected=f"SHA-256 {expected_sha256}", remedy=remedy
            )
