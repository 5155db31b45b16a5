from __future__ import annotations

import os

import numpy as np
import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic, load_volume, read_json, save_volume, sha256, write_json


def test_atomic_leaves_the_old_file_when_the_writer_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_atomic_replaces_a_directory(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "stale").touch()
    with atomic(tmp_path / "d") as temporary:
        temporary.mkdir()
        (temporary / "fresh").touch()
    assert os.listdir(tmp_path / "d") == ["fresh"]


def test_volume_round_trip_keeps_axes_and_spacing(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    save_volume(tmp_path / "v.nii.gz", array, (1.0, 3.0, 2.5))
    back, spacing = load_volume(tmp_path / "v.nii.gz")
    np.testing.assert_array_equal(back, array)
    assert spacing == (1.0, 3.0, 2.5)

    import nibabel

    image = nibabel.load(tmp_path / "v.nii.gz")
    assert image.shape == (4, 3, 2)
    np.testing.assert_allclose(np.diag(image.affine), [2.5, 3.0, 1.0, 1.0])


def test_equal_volumes_give_equal_bytes(tmp_path):
    array = np.random.default_rng(0).integers(0, 255, (3, 4, 5), dtype=np.uint8)
    for name in ("a.nii.gz", "b.nii.gz"):
        save_volume(tmp_path / name, array, (1, 1, 1))
    assert sha256(tmp_path / "a.nii.gz") == sha256(tmp_path / "b.nii.gz")


@pytest.mark.parametrize("content", [b"", b"not a volume", b"\x1f\x8b broken gzip"])
def test_unreadable_volume_is_named(tmp_path, content):
    path = tmp_path / "broken.nii.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.nii\.gz"):
        load_volume(path)


def test_volume_with_four_axes_is_refused(tmp_path):
    import nibabel

    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2, 2), np.uint8), np.eye(4)), tmp_path / "4d.nii")
    with pytest.raises(InputError, match="4 axes"):
        load_volume(tmp_path / "4d.nii")


def test_json_round_trip_and_error(tmp_path):
    write_json(tmp_path / "x.json", {"b": 1, "a": [1.5, None]})
    assert read_json(tmp_path / "x.json") == {"b": 1, "a": [1.5, None]}
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match=r"bad\.json"):
        read_json(tmp_path / "bad.json")
