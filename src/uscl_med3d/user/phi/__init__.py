"""What may identify a patient in a folder: a list for a person to sign off, never a certificate.

Values are not shown or written, only where they stand: the list itself must not spread what it finds.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import write_csv
from uscl_med3d.core.params.ingest import Fan
from uscl_med3d.user.phi.burned_in import find_marks
from uscl_med3d.user.phi.finding import Finding
from uscl_med3d.user.phi.headers import find_in_header, is_dicom, read_identity
from uscl_med3d.user.phi.texts import find_in_name, find_in_text

__all__ = ["Finding", "audit_phi", "describe", "write_findings"]

_CLOSING = (
    "A person has to look at every line, and at the images. This list does not certify that anything is anonymous; "
    "it knows neither faces nor voices nor handwriting, and no text that lies over moving tissue."
)


def audit_phi(folder: Path, fan: Fan) -> list[Finding]:
    """Everything below a folder that may identify a patient, sorted by file.

    Args:
        folder: raw files, or results.
        fan: how the image region of clips is found (`ingest.fan` of the parameters).

    Raises:
        InputError: where the folder does not exist.
    """
    if not folder.is_dir():
        raise InputError(
            file=folder,
            found="no such folder",
            expected="a folder to look through",
            remedy="correct the path",
        )
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    identity = {value for path in files if is_dicom(path) for value in read_identity(path)}
    findings: list[Finding] = []
    for path in files:
        place = path.relative_to(folder)
        found = [
            *find_in_name(place, identity),
            *find_in_header(path),
            *find_in_text(path, identity),
            *find_marks(path, fan),
        ]
        findings += [Finding(place.as_posix(), *each) for each in found]
    return findings


def describe(folder: Path, findings: Iterable[Finding]) -> str:
    """The list as text, grouped by what was found, and what it does not say."""
    listed = list(findings)
    lines = [f"{folder}: {len(listed)} place(s) for a person to look at"]
    for kind in sorted({each.kind for each in listed}):
        lines.append(f"\n{kind}")
        lines += [f"  {each.file}: {each.what} ({each.ingest})" for each in listed if each.kind == kind]
    return "\n".join([*lines, "", _CLOSING])


def write_findings(path: Path, findings: Iterable[Finding]) -> None:
    """Write the list as CSV with an empty column for the person who signs it off."""
    rows = [
        {"file": f.file, "kind": f.kind, "what": f.what, "ingest": f.ingest, "signed_off_by": ""}
        for f in findings
    ]
    write_csv(path, pd.DataFrame(rows, columns=["file", "kind", "what", "ingest", "signed_off_by"]))
