"""Cards of weights: how a network is fed."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from uscl_med3d.core.errors import InputError
from uscl_med3d.nets.card import preprocessing_of, read_preprocessing
from uscl_med3d.nets.sam_med3d import PRESETS, build_sam_med3d, save_checkpoint


def write(folder, card=None, belongs=None):
    metadata = None if belongs is None else {"belongs_to": json.dumps(belongs)}
    save_file({"x": torch.zeros(1)}, folder / "w.safetensors", metadata)
    (folder / "w.json").unlink(missing_ok=True)
    if card is not None:
        (folder / "w.json").write_text(json.dumps(card))
    return folder / "w.safetensors"


@pytest.mark.parametrize(
    ("card", "belongs", "said"),
    [
        (None, None, None),
        ({"preprocessing": "official"}, None, "official"),
        ({"preprocessing": "ours"}, None, "ours"),
        (None, {"preprocessing": "official"}, "official"),
        (None, {"method": "uscl_med3d", "rank": "8"}, "ours"),
        ({"weights": "train"}, None, "ours"),
        ({"weights": "shipped", "preprocessing": "ours"}, None, "ours"),
        ({"weights": "data/external/sam_med3d_turbo.pth"}, None, None),
        ({"job": {}, "preprocessing": ["steps", "in", "words"]}, None, "ours"),
    ],
)
def test_what_a_card_says(card, belongs, said, tmp_path):
    assert read_preprocessing(write(tmp_path, card, belongs)) == said


def test_contradictions_are_errors(tmp_path):
    with pytest.raises(InputError, match="belongs to other weights"):
        read_preprocessing(write(tmp_path, {"preprocessing": "ours"}, {"preprocessing": "official"}))
    with pytest.raises(InputError, match="preprocessing 'theirs'"):
        read_preprocessing(write(tmp_path, {"preprocessing": "theirs"}))


def test_base_models_by_their_parameters(tmp_path):
    assert preprocessing_of("train") == preprocessing_of("shipped") == "ours"
    assert preprocessing_of(str(tmp_path / "sam_med3d_turbo.pth")) == "official"
    assert preprocessing_of(str(write(tmp_path, {"weights": "train"}))) == "ours"


def test_official_weights_say_so_without_their_card(tmp_path):
    """Weights of ours keep their bytes: nothing is added."""
    network = build_sam_med3d(PRESETS["smoke"])
    save_checkpoint(network, tmp_path / "official.safetensors", "official")
    save_checkpoint(network, tmp_path / "ours.safetensors")
    assert read_preprocessing(tmp_path / "official.safetensors") == "official"
    assert read_preprocessing(tmp_path / "ours.safetensors") is None
