"""The numbers of a SAM stand in one section class, and the networks take exactly these."""

from __future__ import annotations

from dataclasses import fields

from uscl_med3d.core.params.foundation.sam import SamArchitecture
from uscl_med3d.core.params.model import Model
from uscl_med3d.core.params.sam_shape import SamShape
from uscl_med3d.nets.sam.config import SamConfig, VitConfig
from uscl_med3d.nets.sam_med3d import SamMed3DConfig


def names(config) -> set[str]:
    return {field.name for field in fields(config)}


def test_sam_med3d_takes_the_section_model():
    assert set(Model.model_fields) == names(SamMed3DConfig)
    assert set(Model.model_fields) - set(SamShape.model_fields) == {"relative_position"}


def test_sam_takes_the_section_of_its_architecture():
    derived = {"grid", "out_dim"}  # of image size and patch size, and the width of the prompts
    assert set(SamArchitecture.model_fields) == (names(SamConfig) | names(VitConfig)) - derived
    assert set(SamArchitecture.model_fields) - set(SamShape.model_fields) == {"adapter_ratio"}
