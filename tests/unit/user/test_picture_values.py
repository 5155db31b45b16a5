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
