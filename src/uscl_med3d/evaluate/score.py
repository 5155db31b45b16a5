"""Scores of one run: one row per data set, case, class, reference, way of clicking and click."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.io import atomic
from uscl_med3d.core.params.methods import WorksOn
from uscl_med3d.core.scores import COLUMNS, IMAGE_USE, write_scores
from uscl_med3d.core.seeds import prepare_torch
from uscl_med3d.data.general.base import Preprocessing
from uscl_med3d.evaluate.cases import Item, Sources, Unscored, list_general_items, list_sweep_items
from uscl_med3d.evaluate.image_use import ImageUse
from uscl_med3d.evaluate.kept import Keeper
from uscl_med3d.evaluate.protocol import NoPrediction, Prediction, Setting, click_through
from uscl_med3d.evaluate.rows import explain_missing_prediction, explain_unscored, score_prediction
from uscl_med3d.evaluate.slices import click_through_slices
from uscl_med3d.evaluate.whole import predict_whole
from uscl_med3d.methods.base import Method, Weights
from uscl_med3d.methods.registry import find_method

KEYS = [
    "dataset",
    "split",
    "patient",
    "case",
    "class",
    "reference",
    "crop",
    "click_simulator",
    "click_seed",
    "click",
]


def evaluate(
    job: Any,
    sources: Sources,
    weights: Weights,
    *,
    scores_file: Path,
    image_use_file: Path,
    predictions_dir: Path,
) -> None:
    """Score one run on the data sets that `job.run` names, and keep a few masks for the figures.

    Masks after the last click of the first test case of every class (by patient and sweep) go to
    `predictions_dir/<case>_<class>.nii.gz`, on the volume's grid; those of the test case with the lowest Dice of
    every class to `predictions_dir/worst/`; clicks in every slice to `predictions_dir/slice_clicks.csv.gz`. On
    validation sweeps the same predictions are also compared with the pseudo-labels, in rows of their own.
    `image_use_file` gets Dice with the own and with another patient's image (`evaluate.image_use`).

    Raises:
        InputError: for missing or unsuitable files.
    """
    prepare_torch(job.seed, job.threads, "evaluate", job.run.id)
    method = find_method(job.method.module or job.run.method).load(job, weights)
    settings = list_settings(method, job.evaluate)
    rows: list[dict[str, Any]] = []
    looked = ImageUse(job, settings[0])
    with atomic(predictions_dir) as folder:
        folder.mkdir()
        keeper = Keeper(folder, job.evaluate.clicks, settings[0])
        for batch in _batches(_list_items(job, sources, method.preprocessing), job.evaluate.batch_size):
            items = [entry for entry in batch if isinstance(entry, Item)]
            for entry in batch:
                if isinstance(entry, Unscored):
                    rows += explain_unscored(job, entry, settings)
            keeper.note_examples(items)
            looked.add_items(items)
            for setting in settings if items else []:
                for prediction in predict(job, method, items, setting):
                    if isinstance(prediction, NoPrediction):
                        rows += explain_missing_prediction(job, prediction, setting)
                        continue
                    scored = score_prediction(job, prediction, setting)
                    keeper.add(prediction, scored, setting)
                    looked.add_scores(prediction, scored, setting)
                    rows += scored
        keeper.finish()
    compared = [] if method.takes == "nothing" else looked.measure(partial(predict, job, method))
    write_scores(scores_file, pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(KEYS, kind="stable"))
    write_scores(image_use_file, pd.DataFrame(compared, columns=IMAGE_USE.names), IMAGE_USE)


def list_settings(method: Method, evaluate: Any) -> list[Setting]:
    """The ways of clicking that a kind of method is scored with."""
    if method.takes != "clicks":
        return [Setting("whole", "none", 0)]
    crops = evaluate.crops if method.works_on == "crop" else ["slice"]
    return [
        Setting(crop, simulator, click_seed)
        for crop in crops
        for simulator in evaluate.click_simulators
        for click_seed in evaluate.click_seeds
    ]


PROTOCOLS: dict[WorksOn, Callable[..., Iterator[Prediction | NoPrediction]]] = {
    "crop": click_through,
    "slice": click_through_slices,
    "window": predict_whole,
    "volume": predict_whole,
}
"""What a method works on -> what gives it its prompts and yields its predictions."""


def predict(
    job: Any, method: Method, items: Sequence[Item], setting: Setting
) -> Iterator[Prediction | NoPrediction]:
    """Every prediction of a batch of items of one case, by the protocol of the method's kind."""
    return PROTOCOLS[method.works_on](method, items, setting, job)


def _list_items(job: Any, sources: Sources, preprocessing: Preprocessing) -> Iterator[Item | Unscored]:
    settings = job.evaluate
    for dataset in job.run.datasets:
        if dataset == "us":
            yield from list_sweep_items(
                sources.volumes,
                sources.splits,
                sources.pseudolabels,
                settings.splits,
                job.classes,
                settings.min_target_voxels,
                settings.untracked_distance,
            )
        else:
            yield from list_general_items(dataset, sources.general[dataset], job, preprocessing)


def _batches(items: Iterator[Item | Unscored], size: int) -> Iterator[list[Item | Unscored]]:
    """The items of one case at a time, in lists of at most `size`, with progress on standard error.

    Cases never share a batch, so that a case's floating-point sums, and with them its clicks, are its own.
    """
    from tqdm import tqdm

    shown = tqdm(items, desc="cases x classes", mininterval=5, file=sys.stderr)
    for _, of_case in groupby(shown, key=lambda item: (item.dataset, item.case)):
        together = list(of_case)
        for start in range(0, len(together), size):
            yield together[start : start + size]
