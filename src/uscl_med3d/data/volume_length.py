"""Whether the file of a volume holds more than its header declares: another type, or frames that nobody would see."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from uscl_med3d.core.io import HEADER_BYTES, MOST_PACKED, list_data_files


def count_held(path: Path, offset: int | None) -> int | None:
    """Bytes of voxels in the file or files of a volume; None where only unpacking would tell.

    Of a gzip stream its own last word counts, which is the size of its last member.

    Args:
        offset: where the voxels of a NIfTI file begin; None for other formats.
    """
    name = path.name.lower()
    if offset is not None:
        size = _unpacked(path) if name.endswith(".gz") else path.stat().st_size
        return None if size is None else size - offset
    head = path.open("rb").read(HEADER_BYTES)
    return _count_nrrd(path, head) if name.endswith((".nrrd", ".nhdr")) else _count_meta(path, head)


def _count_meta(path: Path, head: bytes) -> int | None:
    fields = _fields(head, r"^(\w+)\s*=\s*(.*?)\s*$")
    if fields.get("CompressedData", "").lower() == "true" or fields.get("BinaryData", "").lower() == "false":
        return None
    skip = fields.get("HeaderSize", "0")
    names = list_data_files(path)
    if len(names) != 1 or not skip.isdigit():
        return None
    if names[0].upper() == "LOCAL":
        match = re.search(rb"^ElementDataFile\s*=[^\n]*\n", head, re.MULTILINE)
        return None if match is None else path.stat().st_size - match.end()
    return _size(path.parent / names[0], int(skip))


def _count_nrrd(path: Path, head: bytes) -> int | None:
    fields = _fields(head.split(b"\n\n")[0].split(b"\r\n\r\n")[0], r"^([a-z ]+):\s*(.*?)\s*$")
    names = list_data_files(path)
    skip, lines = fields.get("byte skip", "0"), fields.get("line skip", "0")
    if len(names) > 1 or not skip.isdigit() or lines != "0":
        return None
    packed = fields.get("encoding") in ("gzip", "gz")
    if not packed and fields.get("encoding") != "raw":
        return None
    file = path.parent / names[0] if names else path
    if packed:
        return _unpacked(file)
    if names:
        return _size(file, int(skip))
    match = re.search(rb"\r?\n\r?\n", head)
    return None if match is None else path.stat().st_size - match.end() - int(skip)


def _fields(head: bytes, pattern: str) -> dict[str, str]:
    return dict(re.findall(pattern, head.decode("latin-1"), re.MULTILINE))


def _size(file: Path, skip: int) -> int | None:
    return file.stat().st_size - skip if file.is_file() else None


def _unpacked(file: Path) -> int | None:
    """Size that a gzip file states of its content (RFC 1952, ISIZE)."""
    if not file.is_file() or file.stat().st_size < 18:
        return None
    with open(file, "rb") as stream:
        stream.seek(-4, 2)
        size = int(struct.unpack("<I", stream.read(4))[0])
    return size if size <= MOST_PACKED * file.stat().st_size else None  # else the file is cut
