"""The models that are timed. Their masks are thrown away: in their place comes a ball, an object of usual size.

Latency depends on the size of the mask, which is interpolated to the input's grid, and a model finds next to nothing in
speckle.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.core.params.prompts import Prompts
from uscl_med3d.methods.sam_med3d import SamMed3DMethod
from uscl_med3d.nets.sam_med3d import SamMed3D, SamMed3DConfig
from uscl_med3d.nets.sam_med3d.config import PRESETS
from uscl_med3d.user.defaults import read_params
from uscl_med3d.user.models import Choice, load_method
from uscl_med3d.user.segmenter import Segmenter
from uscl_med3d.user.shipped import choose_shipped

RADIUS = 0.3
"""Of the ball, as a share of the crop's side."""


class BallMask:
    """A method whose work is done and counted, and whose mask is a ball.

    Attributes:
        encoded: crops. decoded: clicks.
    """

    def __init__(self, method: Any) -> None:
        self._method = method
        self.encoded = self.decoded = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._method, name)

    def embed(self, crops: torch.Tensor) -> torch.Tensor:
        """As the method."""
        self.encoded += 1
        return self._method.embed(crops)

    def click(self, state: Any, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The method's work; logits (1, 1, d, h, w) of a ball around the first click, which later clicks make larger."""
        logits = self._method.click(state, points, labels)
        self.decoded += 1
        side = logits.shape[-1]
        d, h, w = ((torch.arange(side) - middle) ** 2 for middle in points[0, 0].tolist())
        distance = (d[:, None, None] + h[:, None] + w).sqrt()
        return ((RADIUS + 0.01 * points.shape[1]) * side - distance)[None, None]

    def count(self) -> tuple[int, int]:
        """Crops encoded and clicks decoded so far."""
        return self.encoded, self.decoded


def shipped() -> Segmenter:
    """The model that `view` opens with in a fresh installation. Raises `InputError` where none is shipped."""
    choice = choose_shipped(None)
    return Segmenter(choice, BallMask(load_method(choice)))


def vit_b(params_file: Path) -> Segmenter:
    """The published size, 128 voxels a side, with fresh weights: latency does not depend on their values."""
    return fresh(PRESETS["vit_b_ori"], params_file)


def fresh(config: SamMed3DConfig, params_file: Path) -> Segmenter:
    """A network of any size with fresh weights, and `ingest` and `prompts` of a parameter file.

    The working grid grows with the network's cube, so that the cube shows the same part of a clip, and the ball has the same
    size there, as with the network of the parameter file.
    """
    values = read_params(params_file)
    times = config.image_size / values["model"]["image_size"]
    sizes = {name: round(times * values["ingest"][name]) for name in ("max_side", "max_frames")}
    ingest = Ingest.model_validate(values["ingest"] | sizes)
    torch.manual_seed(0)
    prompts = Prompts.model_validate(values["prompts"])
    method = SamMed3DMethod(SamMed3D(config), prompts, torch.device("cpu"))
    job = SimpleNamespace(
        classes={},
        model=SimpleNamespace(image_size=config.image_size),
        device="cpu",
        evaluate=SimpleNamespace(sliding_overlap=0.5),
        run=SimpleNamespace(method="sam_med3d"),
    )
    return Segmenter(Choice("fresh", job, ingest, Path("fresh"), None, None, None, None), BallMask(method))
