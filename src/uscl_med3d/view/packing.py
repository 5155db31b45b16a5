"""Arrays on the wire, as clients of nnInteractive pack them; nothing is allocated before every number was checked.

Little-endian: `NNIA`, version 1, codec, number of axes, length of the type's name, name, shape (int64 each), number of
chunks; then for each chunk its plain and packed length (uint64) and one Blosc2 frame. C order.

Source: MIC-DKFZ/nnInteractive@154d9c6:client/nnInteractive/inference/remote/serialization.py (format only).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection

import blosc2
import numpy as np

MAGIC, VERSION = b"NNIA", 1
ZSTD, CODECS = 1, (1, 2)
MOST_AXES = 8
MOST_CHUNKS = 4096
TYPES = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
)
_CHUNK = 1 << 28
_FRAME = 32
"""Bytes of a Blosc2 frame's own header, the least that a chunk can have."""


class TooLarge(ValueError):
    """More than the server takes."""


def pack(array: np.ndarray) -> bytes:
    """An array of a type in `TYPES` as bytes."""
    array = np.ascontiguousarray(array)
    name = array.dtype.name.encode()
    parts = [
        struct.pack(
            f"<4sBBBB{len(name)}s{array.ndim}q",
            MAGIC,
            VERSION,
            ZSTD,
            array.ndim,
            len(name),
            name,
            *array.shape,
        )
    ]
    plain = memoryview(array.data).cast("B") if array.size else memoryview(b"")
    starts = range(0, len(plain), _CHUNK)
    parts.append(struct.pack("<I", len(starts)))
    for start in starts:
        piece = plain[start : start + _CHUNK]
        packed = blosc2.compress2(
            piece,
            typesize=array.itemsize,
            codec=blosc2.Codec.ZSTD,
            clevel=1,
            filters=[blosc2.Filter.NOFILTER],
            nthreads=1,
        )
        parts += [struct.pack("<QQ", len(piece), len(packed)), packed]
    return b"".join(parts)


def unpack(body: bytes, most_bytes: int, types: Collection[str] = TYPES) -> np.ndarray:
    """The array in `body`.

    Args:
        most_bytes: that the array may have.
        types: names of element types that are taken.

    Raises:
        TooLarge: for a larger one. ValueError: for anything else that does not fit together.
    """
    try:
        shape, dtype, at = _read_head(body, types)
        size = math.prod(shape) * dtype.itemsize  # Python's integers do not overflow
        if size > most_bytes:
            raise TooLarge(f"an array of {size} bytes; the server takes {most_bytes}")
        chunks = _list_chunks(body, at, size)
    except struct.error:
        raise ValueError("a packed array that ends too early") from None
    array = np.empty(size, np.uint8)
    done = 0
    for start, packed, plain in chunks:
        frame = memoryview(body)[start : start + packed]
        try:
            blosc2.decompress2(frame, dst=array[done : done + plain])
        except Exception as error:  # Blosc2 has no exception of its own for damaged frames
            raise ValueError(f"a damaged chunk ({type(error).__name__})") from None
        done += plain
    return array.view(dtype).reshape(shape)


def _read_head(body: bytes, types: Collection[str]) -> tuple[tuple[int, ...], np.dtype, int]:
    magic, version, codec, axes, length = struct.unpack_from("<4sBBBB", body)
    if magic != MAGIC or version != VERSION or codec not in CODECS:
        raise ValueError("no packed array of version 1 (NNIA)")
    name = bytes(body[8 : 8 + length]).decode("ascii", "replace")
    if name not in types:
        raise ValueError(f"elements of type {name!r:.40}; taken are {', '.join(types)}")
    if axes > MOST_AXES:
        raise ValueError(f"{axes} axes")
    shape = struct.unpack_from(f"<{axes}q", body, 8 + length)
    if any(side < 0 for side in shape):
        raise ValueError(f"a shape with a negative side: {shape}")
    return shape, np.dtype(name), 8 + length + 8 * axes


def _list_chunks(body: bytes, at: int, size: int) -> list[tuple[int, int, int]]:
    """(start, packed length, plain length) of all chunks, which together fill `size` bytes and end with the body."""
    (count,) = struct.unpack_from("<I", body, at)
    if count > MOST_CHUNKS:
        raise ValueError(f"{count} chunks")
    at += 4
    chunks, total = [], 0
    for _ in range(count):
        plain, packed = struct.unpack_from("<QQ", body, at)
        at += 16
        if packed < _FRAME or at + packed > len(body) or plain == 0 or total + plain > size:
            raise ValueError("a chunk whose lengths do not fit")
        # The frame repeats both lengths; it would be unpacked by its own word, into memory of ours.
        own_plain, own_packed, _ = blosc2.get_cbuffer_sizes(bytes(body[at : at + _FRAME]))
        if (own_plain, own_packed) != (plain, packed):
            raise ValueError("a chunk whose frame has other lengths")
        chunks.append((at, packed, plain))
        at, total = at + packed, total + plain
    if total != size or at != len(body):
        raise ValueError("chunks that do not fill the array")
    return chunks
