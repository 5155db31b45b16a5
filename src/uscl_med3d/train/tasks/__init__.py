"""How a method is trained on pseudo-labelled sweeps: one task per kind of piece that methods work on."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.runs import TASKS
from uscl_med3d.methods.base import Method
from uscl_med3d.train.tasks.base import FinetuneTask
from uscl_med3d.train.tasks.fits import Fit


def make_task(job: Any, method: Method, sweeps: Any) -> FinetuneTask | Fit:
    """The task of one run: `TASK(job, method, sweeps)` of its module; `sweeps` is a `train.sweeps.LabelledSweeps`.

    Raises:
        InputError: for a kind of method that is not trained, or without anything to train on.
    """
    if method.fitted:
        return Fit(job, method, sweeps)
    if method.works_on not in TASKS or method.takes == "key_frames":
        raise InputError(
            file=f"params.yaml, methods.{job.run.method}",
            found=f"trained: true, but it takes {method.takes} and works on a {method.works_on}",
            expected=f"a method that works on one of {', '.join(TASKS)}",
            remedy="set trained: false",
        )
    return import_module(f"uscl_med3d.train.tasks.{TASKS[method.works_on]}").TASK(job, method, sweeps)
