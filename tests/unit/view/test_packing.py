"""Packed arrays: the clients' own code reads ours and writes what we read; nothing damaged or too large gets through."""

from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest

from uscl_med3d.view import packing
from uscl_med3d.view.packing import TooLarge, pack, unpack

client = pytest.importorskip("nnInteractive.inference.remote.serialization", reason="no nninteractive-client")
MOST = 1 << 24


@pytest.mark.parametrize("name", packing.TYPES)
@pytest.mark.parametrize("shape", [(5, 6, 7), (1, 2, 3, 4), (3,)])
def test_arrays_of_clients_and_ours_are_the_same(name, shape):
    array = (np.random.default_rng(0).random(shape) * 100).astype(name)
    for made in (
        client.unpack_array(pack(array)),
        unpack(client.pack_array(array), MOST),
        unpack(pack(array), MOST),
    ):
        assert made.dtype == array.dtype and made.shape == array.shape
        np.testing.assert_array_equal(made, array)


def test_several_chunks(monkeypatch):
    monkeypatch.setattr(packing, "_CHUNK", 64)
    monkeypatch.setattr(client, "_CHUNK_SIZE", 64)
    array = np.random.default_rng(0).integers(0, 1000, (4, 5, 11)).astype(np.int32)
    for body in (pack(array), client.pack_array(array)):
        np.testing.assert_array_equal(unpack(body, MOST), array)
        np.testing.assert_array_equal(client.unpack_array(body), array)


def test_an_empty_array():
    assert unpack(pack(np.zeros((0, 3), np.uint8)), MOST).shape == (0, 3)


def declare(shape, name=b"uint8", count=1, chunks=b""):
    head = struct.pack(
        f"<4sBBBB{len(name)}s{len(shape)}q", b"NNIA", 1, 1, len(shape), len(name), name, *shape
    )
    return head + struct.pack("<I", count) + chunks


def test_a_declared_size_is_refused_before_anything_is_allocated():
    for shape in ((1 << 40,), (1 << 20, 1 << 20), (1 << 62, 1 << 62), (1 << 25,)):
        tracemalloc.start()
        with pytest.raises(TooLarge):
            unpack(declare(shape), MOST)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()


def test_a_frame_that_would_unpack_to_more_than_its_place_is_refused():
    big = pack(np.zeros(1 << 22, np.uint8))
    frame = big[big.index(struct.pack("<Q", 1 << 22), 20) + 16 :]
    small = declare((64,), chunks=struct.pack("<QQ", 64, len(frame)) + frame)
    with pytest.raises(ValueError, match="other lengths"):
        unpack(small, MOST)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"NNIA",
        b"JUNK" + b"\0" * 60,
        declare((4,), b"object"),
        declare((4,), b"float128"),
        declare((-4,)),
        declare((4,)),
        declare((4,), count=1 << 31),
        declare((4,), count=0),
        declare((4,), chunks=struct.pack("<QQ", 4, 1 << 60)),
        declare((1,) * 9),
        declare((4,), chunks=struct.pack("<QQ", 4, 32) + b"\xff" * 32),
    ],
)
def test_nonsense_is_a_value_error(body):
    with pytest.raises(ValueError):
        unpack(body, MOST)


def test_any_damaged_byte_is_an_error_or_an_array_of_the_declared_size():
    """Blosc2 frames have no checksum, so a changed grey value cannot be seen; a crash or another size could."""
    array = np.random.default_rng(0).integers(0, 9, (6, 7, 8)).astype(np.uint8)
    body = bytearray(pack(array))
    for at in range(len(body)):
        damaged = bytearray(body)
        damaged[at] ^= 0x5A
        try:
            made = unpack(bytes(damaged), MOST)
        except ValueError:
            continue
        assert made.nbytes <= MOST
    for end in range(len(body)):
        with pytest.raises(ValueError):
            unpack(bytes(body[:end]), MOST)
    with pytest.raises(ValueError):
        unpack(bytes(body) + b"\0", MOST)


def test_only_the_wanted_types():
    with pytest.raises(ValueError, match="float32"):
        unpack(pack(np.zeros(3, np.float32)), MOST, types=("uint8", "bool"))
