"""The methods that are prompted with key frames: human masks stay, only wanted frames are needed, no fan left."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from uscl_med3d.core.errors import InputError
from uscl_med3d.methods.base import Weights
from uscl_med3d.methods.nearest_key_frame import NearestKeyFrameMethod
from uscl_med3d.methods.seggpt import SegGptMethod
from uscl_med3d.methods.shape_interpolation import ShapeInterpolationMethod
from uscl_med3d.nets.seggpt import build_seggpt, save_seggpt

CLASSES = {"liver": 3, "spleen": 4}
OPTIONS = {"prompts": 2, "prompt_weights": "inverse_distance", "score_threshold": 0.44, "batch_frames": 4}
TINY = {
    "image_size": [32, 16],
    "pretrain_image_size": 16,
    "patch_size": 8,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "mlp_dim": 32,
    "merge_index": 0,
    "intermediate_hidden_state_indices": [0, 1],
    "decoder_hidden_size": 4,
    "initializer_range": 0.2,
    "drop_path_rate": 0.0,
}


def job(name: str, options: dict) -> SimpleNamespace:
    method = SimpleNamespace(options=options, tuning=None)
    return SimpleNamespace(device="cpu", run=SimpleNamespace(method=name), method=method)


@pytest.fixture(params=["nearest_key_frame", "shape_interpolation", "seggpt"])
def method(request, tmp_path):
    if request.param == "nearest_key_frame":
        return NearestKeyFrameMethod.load(job(request.param, {}), Weights())
    if request.param == "shape_interpolation":
        return ShapeInterpolationMethod.load(job(request.param, {}), Weights())
    torch.manual_seed(0)
    save_seggpt(build_seggpt(TINY), "instance", tmp_path / "seggpt.safetensors")
    return SegGptMethod.load(job(request.param, OPTIONS), Weights(tmp_path / "seggpt.safetensors"))


def sweep() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    volume = random.integers(1, 255, (7, 20, 22)).astype(np.uint8)
    volume[:, :, :3] = 0
    key_frames = np.full(volume.shape, 255, np.uint8)
    key_frames[[1, 5]] = 0
    key_frames[1, 4:12, 2:14] = 3
    key_frames[5, 6:14, 8:20] = 3
    return volume, key_frames


def test_labels_on_the_volumes_grid(method) -> None:
    volume, key_frames = sweep()
    copies = volume.copy(), key_frames.copy()
    labels = method.segment(volume, key_frames, CLASSES, None)
    assert labels.shape == volume.shape and labels.dtype == np.uint8 and set(np.unique(labels)) <= {0, 3}
    np.testing.assert_array_equal(labels[[1, 5]], key_frames[[1, 5]])
    assert not labels[[0, 2, 3, 4, 6], :, :3].any()
    np.testing.assert_array_equal(labels, method.segment(volume, key_frames, CLASSES, None))
    assert np.array_equal(volume, copies[0]) and np.array_equal(key_frames, copies[1])


def test_a_wanted_frame_is_the_same_alone(method) -> None:
    volume, key_frames = sweep()
    labels = method.segment(volume, key_frames, CLASSES, None)
    np.testing.assert_array_equal(method.segment(volume, key_frames, CLASSES, [3])[3], labels[3])


def test_without_key_frames_it_refuses(method) -> None:
    with pytest.raises(ValueError, match="at least one"):
        method.segment(sweep()[0], None, CLASSES, None)


def test_what_each_makes_of_a_frame_between(method) -> None:
    volume, key_frames = sweep()
    labels = method.segment(volume, key_frames, CLASSES, None)
    if type(method) is NearestKeyFrameMethod:
        expected = np.where(volume[2] == 0, 0, key_frames[1])
        np.testing.assert_array_equal(labels[2], expected)
    elif type(method) is ShapeInterpolationMethod:
        rows = np.flatnonzero((labels[3] == 3).any(1))  # half-way between rows 4-11 and 6-13
        assert rows.mean() == pytest.approx(8.5, abs=1)
    else:
        key_frames[1] = np.flipud(key_frames[1])
        assert not np.array_equal(method.segment(volume, key_frames, CLASSES, None)[2], labels[2])


def test_weights_and_options_that_do_not_fit_are_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="no weights"):
        NearestKeyFrameMethod.load(job("nearest_key_frame", {}), Weights(tmp_path))
    with pytest.raises(ValueError, match="no weights"):
        ShapeInterpolationMethod.load(job("shape_interpolation", {}), Weights(trained=tmp_path))
    with pytest.raises(ValueError, match="weights of a base model"):
        SegGptMethod.load(job("seggpt", OPTIONS), Weights())
    with pytest.raises(InputError, match="score_threshold"):
        SegGptMethod.read_options(job("seggpt", OPTIONS | {"score_threshold": 2.0}))
