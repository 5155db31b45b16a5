"""How clicks reach the promptable 3D models: part of a model's training, so training and evaluation must agree."""

from __future__ import annotations

from typing import Literal

from uscl_med3d.core.params.base import Section


class Prompts(Section):
    """See params.yaml, section `prompts`."""

    clicks_given: Literal["all", "newest"]
    click_axes: Literal["dhw", "hdw"]
