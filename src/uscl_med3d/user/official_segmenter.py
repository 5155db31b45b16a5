"""`Segmenter` for official checkpoints: the same verbs, fed as the checkpoint's own code feeds it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from uscl_med3d.data.official_grid import RELEASED, GridRule
from uscl_med3d.user.official import OfficialChoice
from uscl_med3d.user.official_session import OfficialPredictor, OfficialVolume, read_raw
from uscl_med3d.user.official_slices import SlicedVolume, SlicePredictor, load_method
from uscl_med3d.user.official_stills import NOTES
from uscl_med3d.user.segmenter import (
    DEFAULT_OBJECT,
    Precision,
    Prompt,
    Segmenter,
    SweepAxes,
    _Session,
    read_input,
)
from uscl_med3d.user.upsample import Box, bounds, slices


class OfficialSegmenter(Segmenter):
    """An official checkpoint for a user's own volumes; where objects overlap, the later one wins."""

    choice: OfficialChoice  # type: ignore[assignment]  # no run of ours

    def __init__(self, choice: OfficialChoice, device: str, precision: Precision) -> None:
        from uscl_med3d.methods.base import torch_device

        torch_device(device)  # refuses a GPU that is not there
        super().__init__(choice, choice.network, device, precision)  # type: ignore[arg-type]

    def describe(self) -> str:
        """See `Segmenter.describe`."""
        return f"{self.choice.name}, {self.choice.model}, fed as its official code does"

    @property
    def classes(self) -> dict[str, int]:
        """None: official weights know no classes."""
        return {}

    def encode(
        self,
        volume: str | Path | np.ndarray,
        spacing_mm: tuple[float, float] | None = None,
        whole_frame: bool = False,
        sweep_axes: SweepAxes = "column_row_frame",
        grid: GridRule = "centre_floor",
    ) -> None:
        """See `Segmenter.encode`. The image region is not looked for: the network sees what the file holds."""
        from uscl_med3d.methods.base import torch_device

        device = torch_device(self.device)
        working: Any
        predictor: Any
        if self.choice.in_slices:
            source = read_input(volume, spacing_mm)
            working, predictor = (
                SlicedVolume(source),
                SlicePredictor(load_method(self.choice, device), source),
            )
            said = ["the network sees single slices: only slices with clicks are segmented"]
            said += [NOTES[self.choice.model]] if self.choice.model in NOTES else []
        elif isinstance(volume, np.ndarray):
            raise ValueError("official weights need a file, which says where its voxels lie")
        else:
            source, placed, said = read_raw(Path(volume), spacing_mm, sweep_axes)
            working = OfficialVolume(placed, replace(RELEASED, grid=grid))
            given: Literal["all", "newest"] = "newest" if self.choice.model == "fastsam3d" else "all"
            predictor = OfficialPredictor(self.choice.network, working, given, device)
        self._said = [*self.choice.assumed, *said]
        self._session = _Session(source, working, predictor)

    def start_from(self, mask: np.ndarray, name: str = DEFAULT_OBJECT) -> None:
        """Refused: official inference starts from clicks alone."""
        raise ValueError("official weights take no mask to start from")

    def mask(self, name: str | None = None, part: Box | None = None) -> np.ndarray:
        """See `Segmenter.mask`."""
        values = self.objects
        if not values or (name is not None and name not in values):
            raise ValueError("no click yet" if name is None else f"no click for {name!r} yet")
        found = self._working.to_input([self._predict(each) for each in values])
        cut = found if part is None else found[slices(part)]
        if name is not None:
            return (cut == 1 + list(values).index(name)).astype(np.uint8)
        return np.array([0, *values.values()], np.uint8)[cut]

    def extent(self, name: str) -> Box | None:
        """See `Segmenter.extent`."""
        alone = self._working.to_input([self._predict(name)]) > 0
        return bounds(alone) if alone.any() else None

    def quality(self, name: str) -> float | None:
        """None: official inference does not use the estimate."""
        return None

    @property
    def notes(self) -> list[str]:
        """See `Segmenter.notes`."""
        return [*self._said, *self._working.notes]

    @property
    def _side(self) -> int:
        predictor: Any = self._open.predictor
        return predictor.side

    @property
    def _working(self) -> Any:
        return self._open.volume

    def _add(self, prompt: Prompt) -> None:
        predictor: Any = self._open.predictor
        predictor.check([*self._clicks(prompt.object), *prompt.clicks])
        super()._add(prompt)
