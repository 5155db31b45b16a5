"""Pictures whose values are no grey values are refused, not turned into whatever a cast makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from uscl_med3d.core.errors import InputError
from uscl_med3d.user.inputs import read_source


def write_ramp(path, odd: float) -> None:
    values = np.arange(48, dtype=np.float32).reshape(6, 8)
    values[2, 3] = odd
    Image.fromarray(values).save(path)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(tmp_path, odd):
    write_ramp(tmp_path / "still.tiff", odd)
    with pytest.raises(InputError, match="NaN or infinite"):
        read_source(tmp_path / "still.tiff")


def test_the_same_picture_with_numbers_is_read(tmp_path):
    write_ramp(tmp_path / "still.tiff", 19.0)
    frames = read_source(tmp_path / "still.tiff").frames
    assert frames.shape == (1, 6, 8) and frames.min() == 0 and frames.max() == 255


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_tiff_whose_zero_is_white_is_read_as_shown(tmp_path, kind):
    values = (np.arange(48) * (5 if kind is np.uint8 else 1000)).astype(kind).reshape(6, 8)
    path = tmp_path / "still.tif"
    Image.fromarray(values).save(path)
    black_is_zero = read_source(path).frames[0]
    tag = b"\x06\x01\x03\x00\x01\x00\x00\x00"  # PhotometricInterpretation, one short number
    content = path.read_bytes()
    assert content.count(tag + b"\x01\x00") == 1
    path.write_bytes(content.replace(tag + b"\x01\x00", tag + b"\x00\x00"))
    white_is_zero = read_source(path).frames[0]
    assert (np.diff(black_is_zero.ravel().astype(int)) > 0).all()
    assert (np.diff(white_is_zero.ravel().astype(int)) < 0).all()
