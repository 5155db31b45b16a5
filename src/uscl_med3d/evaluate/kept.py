"""What is kept beside the scores: a few masks for the figures, and the clicks of methods that click in every slice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.io import save_volume, write_packed_csv
from uscl_med3d.evaluate.cases import Item
from uscl_med3d.evaluate.protocol import Prediction, Setting
from uscl_med3d.predict.crops import fill_volume

SLICE_CLICKS = "slice_clicks.csv.gz"
SLICE_CLICK_COLUMNS = [
    "dataset",
    "case",
    "class",
    "click_simulator",
    "click_seed",
    "click_d",
    "click",
    "click_h",
    "click_w",
    "click_label",
]


class Keeper:
    """Collects while a run is scored; `finish` writes what is known only at the end.

    Args:
        folder: of the run's predictions.
        last: number of the last click.
        setting: the way of clicking whose masks are kept.
    """

    def __init__(self, folder: Path, last: int, setting: Setting) -> None:
        self.folder, self.last, self.setting = folder, last, setting
        self.examples: dict[str, str] = {}
        self.worst: dict[str, tuple[float, Prediction]] = {}
        self.slice_clicks: list[tuple[Any, ...]] = []

    def note_examples(self, items: Sequence[Item]) -> None:
        """The first ultrasound test case of every class is an example."""
        for item in items:
            if _is_test_sweep(item):
                self.examples.setdefault(item.name, item.case)

    def add(self, prediction: Prediction, rows: Sequence[dict[str, Any]], setting: Setting) -> None:
        """Keep of a prediction what is to be kept.

        Args:
            rows: its scores; the first one, by the first reference, says which case is the worst.
        """
        item = prediction.item
        about = (item.dataset, item.case, item.name, setting.click_simulator, setting.click_seed)
        self.slice_clicks += [(*about, d, prediction.number, *rest) for d, *rest in prediction.slice_clicks]
        if prediction.number not in (0, self.last) or setting != self.setting or not _is_test_sweep(item):
            return
        path = self.folder / _file_name(item)
        # A method prompted with key frames predicts twice; the first prediction, of the whole volume, is shown.
        if self.examples.get(item.name) == item.case and not path.exists():
            _save_mask(prediction, path)
        dice = rows[0]["dice"] if rows else math.nan
        if not math.isnan(dice) and (item.name not in self.worst or dice < self.worst[item.name][0]):
            self.worst[item.name] = (dice, prediction)

    def finish(self) -> None:
        """Write the worst cases, and the clicks in slices if there are any."""
        for _, prediction in self.worst.values():
            _save_mask(prediction, self.folder / "worst" / _file_name(prediction.item))
        if self.slice_clicks:
            table = pd.DataFrame(self.slice_clicks, columns=SLICE_CLICK_COLUMNS)
            write_packed_csv(self.folder / SLICE_CLICKS, table.sort_values(SLICE_CLICK_COLUMNS[:7]))


def _is_test_sweep(item: Item) -> bool:
    return item.dataset == "us" and item.split == "test"


def _file_name(item: Item) -> str:
    return f"{item.case}_{item.name}.nii.gz"


def _save_mask(prediction: Prediction, path: Path) -> None:
    item = prediction.item
    spacing = item.distance.spacing if item.distance.unit.startswith("mm") else (1.0, 1.0, 1.0)
    save_volume(path, fill_volume(prediction.region, item.truth.shape), spacing)
