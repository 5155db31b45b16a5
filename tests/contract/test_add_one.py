"""A new method, tuning strategy and pretext task are one file and one key each: files in a temporary folder prove it."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_cohort import cohort, make_job, tiny_job

from uscl_med3d import methods, pretext, tuning
from uscl_med3d.core.params.methods import MethodEntry, Run
from uscl_med3d.core.runs import list_runs
from uscl_med3d.methods.base import Weights
from uscl_med3d.methods.registry import find_method, list_methods

__all__ = ["cohort", "make_job"]


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Put one file into a room, as if it lay in the room's folder."""

    def add_file(room, name, text):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        monkeypatch.setattr(room, "__path__", [*room.__path__, str(tmp_path)])

    return add_file


def test_a_method(add):
    add(
        methods,
        "brightest",
        '''
        """Everything brighter than the mean is the last class."""
        import numpy as np

        from uscl_med3d.core.params.base import Section
        from uscl_med3d.methods.base import Card, WholeMethod


        class Options(Section):
            share: float


        class Brightest(WholeMethod):
            card = Card("none", "none", "Apache-2.0", "none")
            takes = "nothing"
            Options = Options

            @classmethod
            def load(cls, job, weights):
                method = cls()
                method.options = cls.read_options(job)
                return method

            def segment(self, volume, key_frames, classes, frames):
                found = volume > self.options.share * volume.max()
                return np.where(found, max(classes.values()), 0).astype(np.uint8)


        METHOD = Brightest
    ''',
    )
    assert "brightest" in list_methods()
    entry = MethodEntry(
        label="brightest",
        takes="nothing",
        works_on="volume",
        base=None,
        weights_of=None,
        trained=False,
        datasets=("us",),
        grid=None,
        options={"share": 0.5},
    )
    assert [run.id for run in list_runs({"brightest": entry}, [0])] == ["brightest"]
    job = type("Job", (), {"method": entry, "run": type("R", (), {"method": "brightest"})})
    method = find_method("brightest").load(job, Weights())
    volume = np.array([[[1, 9]]])
    assert method.segment(volume, None, {"liver": 3}, None).tolist() == [[[0, 3]]]


def test_a_tuning_strategy_trains_through_the_same_stage(add, cohort, tmp_path):
    add(
        tuning,
        "biases",
        '''
        """Only the biases of the mask decoder."""
        from uscl_med3d.tuning.base import Tuning


        class Biases(Tuning):
            trains_encoder = False

            def trained(self):
                named = self.network.named_parameters()
                return {n: v for n, v in named if n.startswith("mask_decoder.") and n.endswith(".bias")}


        TUNING = Biases
    ''',
    )
    from uscl_med3d.train.finetune import finetune
    from uscl_med3d.train.sweeps import LabelledSweeps

    job = tiny_job("finetune", "full_tuning")
    changed = job.method.model_copy(update={"tuning": {"strategy": "biases", "learning_rate": 0.01}})
    job = job.model_copy(update={"method": changed})
    names = ("out_weights", "curve_csv", "info_json", "cost_json")
    files = {name: tmp_path / f"{name}.{name.split('_')[-1]}" for name in names}
    sweeps = LabelledSweeps(cohort.volumes, cohort.splits, cohort.pseudolabels)
    finetune(job, sweeps, Weights(cohort.base), **files)
    trained = find_method("full_tuning").load(job, Weights(cohort.base, None, files["out_weights"]))
    base = find_method("sam_med3d").load(tiny_job("evaluate", "sam_med3d"), Weights(cohort.base))
    after, before = trained.network.state_dict(), base.network.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and all(name.startswith("mask_decoder.") and name.endswith(".bias") for name in moved)


def test_a_pretext_task_runs_through_the_same_stage(add, cohort, tmp_path):
    add(
        pretext,
        "brightness",
        '''
        """How bright is a sweep? From its pooled embedding."""
        import torch
        from torch import nn

        from uscl_med3d.core.params.base import Section
        from uscl_med3d.nets.intensity import zscore_foreground
        from uscl_med3d.selfsupervised.pretext import Pretext
        from uscl_med3d.train.engine import Group


        class Options(Section):
            learning_rate: float


        class Brightness(Pretext):
            Options = Options
            columns = ("loss", "validation_loss")

            def __init__(self, job, options, encoder, sweeps, seed):
                self.size, self.options, self.sweeps = job.model.image_size, options, sweeps
                self.network = nn.ModuleDict({"encoder": encoder, "head": nn.Linear(job.model.prompt_dim, 1)})

            def groups(self):
                trained = [v for v in self.network.parameters() if v.requires_grad]
                return [Group(trained, self.options.learning_rate)]

            def _error(self, sweep):
                crop = self.sweeps.load(sweep)[: self.size, : self.size, : self.size].float()
                sides = [self.size - length for length in reversed(crop.shape)]
                crop = nn.functional.pad(crop, [n for side in sides for n in (0, side)])
                pooled = self.network["encoder"](zscore_foreground(crop[None, None])).mean((2, 3, 4))
                return (self.network["head"](pooled)[0, 0] - crop.mean() / 255).square()

            def loss(self, step):
                return {"loss": self._error(self.sweeps.train[step % len(self.sweeps.train)])}

            def evaluate(self):
                return {"validation_loss": float(self._error(self.sweeps.validation[0]))}


        PRETEXT = Brightness
    ''',
    )
    from uscl_med3d.pretext.stage import pretrain
    from uscl_med3d.selfsupervised.sweeps import SweepImages

    job = tiny_job("pretrain")
    section = job.pretrain.model_copy(
        update={
            "tasks": {"brightness": {"learning_rate": 0.01}},
            "schedule": job.pretrain.schedule.model_copy(update={"steps": 4, "evaluate_every": 2}),
        }
    )
    weights, curve = tmp_path / "brightness_r4.safetensors", tmp_path / "curve.csv"
    sweeps = SweepImages(cohort.volumes, cohort.splits)
    pretrain(
        job.model_copy(update={"pretrain": section}),
        4,
        0,
        sweeps,
        cohort.base,
        out_weights=weights,
        curve_csv=curve,
    )
    assert weights.is_file() and list(pd.read_csv(curve)["step"]) == [0, 2, 4]
    run = Run(
        id="x",
        method="uscl_med3d",
        rank=4,
        modules="encoder",
        pretraining="brightness",
        training_seed=0,
        datasets=("us",),
    )
    start = tiny_job("finetune", "uscl_med3d_r8_encoder_vcl").model_copy(update={"run": run})
    assert find_method("uscl_med3d").load(start, Weights(cohort.base, weights)).tuning.rank == 4
