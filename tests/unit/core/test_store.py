"""The store of single sweeps: found, made, damaged, cleaned up."""

from __future__ import annotations

from pathlib import Path

import pytest

from uscl_med3d.core.closure import hash_sources
from uscl_med3d.core.store import LIST, Store, describe_code, fingerprint, hash_files


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Maker:
    """Writes two files and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        (folder / "image.bin").write_bytes(b"image")
        (folder / "inner").mkdir()
        (folder / "inner/rows.json").write_text("{}")


@pytest.fixture
def make() -> Maker:
    return Maker()


def test_the_second_time_it_is_copied(tmp_path, make):
    store = Store(tmp_path / "store")
    assert not store.fill(tmp_path / "first", "a", make)
    assert store.fill(tmp_path / "second", "a", make)
    assert make.calls == 1
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    assert set(contents(tmp_path / "first")) == {"image.bin", "inner/rows.json"}
    assert not store.fill(tmp_path / "third", "b", make) and make.calls == 2


def test_results_are_copies(tmp_path, make):
    store = Store(tmp_path / "store")
    store.fill(tmp_path / "first", "a", make)
    (tmp_path / "first/image.bin").write_bytes(b"edited")
    assert store.fill(tmp_path / "second", "a", make)
    (tmp_path / "second/image.bin").write_bytes(b"edited")
    assert store.fill(tmp_path / "third", "a", make)
    assert (tmp_path / "third/image.bin").read_bytes() == b"image"


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: (entry / "image.bin").write_bytes(b"imagE"),
        lambda entry: (entry / "image.bin").unlink(),
        lambda entry: (entry / "more.bin").write_bytes(b""),
        lambda entry: (entry / LIST).unlink(),
        lambda entry: (entry / LIST).write_text("[]"),
        lambda entry: (entry / LIST).write_text("{"),
    ],
)
def test_a_damaged_entry_is_made_again(tmp_path, make, damage):
    store = Store(tmp_path / "store")
    store.fill(tmp_path / "first", "a", make)
    damage(tmp_path / "store/a")
    assert not store.fill(tmp_path / "second", "a", make)
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    assert store.fill(tmp_path / "third", "a", make) and make.calls == 2


def test_what_fails_leaves_nothing(tmp_path):
    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise ValueError

    with pytest.raises(ValueError):
        Store(tmp_path / "store").fill(tmp_path / "target", "a", fail)
    assert not (tmp_path / "target").exists() and not (tmp_path / "store").exists()


def test_entries_that_nobody_used_go(tmp_path, make):
    store = Store(tmp_path / "store")
    for name in ("a", "b", "c"):
        store.fill(tmp_path / name, name, make)
    (tmp_path / "store/.tmp-1-d").mkdir()
    store.keep_only({"b", "x"})
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["b"]
    Store(tmp_path / "none").keep_only({"b"})


def test_without_a_folder_everything_is_made(tmp_path, make):
    store = Store(None)
    assert not store.fill(tmp_path / "first", "a", make) and not store.fill(tmp_path / "second", "a", make)
    store.keep_only(set())
    assert make.calls == 2


def test_hashes_follow_the_files(tmp_path):
    (tmp_path / "masks").mkdir()
    mask, header, raw = tmp_path / "masks/a.png", tmp_path / "a.mhd", tmp_path / "pixels.raw"
    mask.write_bytes(b"1")
    header.write_bytes(b"NDims = 3\nElementDataFile = pixels.raw\n")
    raw.write_bytes(b"1")
    paths = [tmp_path / "masks", header, tmp_path / "none"]
    first = hash_files(paths)
    assert set(first) == {str(mask), str(header), str(raw), str(tmp_path / "none")}
    assert first[str(tmp_path / "none")] is None and hash_files(paths) == first
    for file in (mask, raw):
        before = hash_files(paths)
        file.write_bytes(b"2")
        assert hash_files(paths) != before
    before = hash_files(paths)
    (tmp_path / "a.calibration.xml").write_bytes(b"")
    assert hash_files(paths) != before


def test_fingerprints_tell_values_and_code_apart():
    code = describe_code("uscl_med3d.core.io")
    assert code["sources"] == hash_sources("uscl_med3d.core.io") and "numpy" in code["libraries"]
    assert hash_sources("uscl_med3d.core.io") != hash_sources("uscl_med3d.core.errors")
    assert fingerprint({"a": 1, "b": Path("x")}) == fingerprint({"b": Path("x"), "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


@pytest.mark.parametrize(
    "header",
    [
        "ElementDataFile = slice%02d.raw 1 3 1\n",
        "ElementDataFile = LIST\nslice01.raw\nslice02.raw\nslice03.raw\n",
        "data file: slice%02d.raw 1 3 1\n\n",
        "data file: LIST\nslice01.raw\nslice02.raw\nslice03.raw\n",
    ],
)
def test_every_file_behind_a_header_counts(tmp_path, header):
    path = tmp_path / ("clip.mhd" if "Element" in header else "clip.nhdr")
    path.write_text(header)
    for number in (1, 2, 3):
        (tmp_path / f"slice{number:02d}.raw").write_text("x")
    assert len(hash_files([path])) == 4
    before = hash_files([path])
    (tmp_path / "slice02.raw").write_text("y")
    assert hash_files([path]) != before
