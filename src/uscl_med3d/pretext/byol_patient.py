"""BYOL with a supervised branch: a two-layer network on the encoder's output is told what the metadata say of a patient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.base import Section
from uscl_med3d.core.seeds import derive, rng
from uscl_med3d.pretext.byol import Byol, ByolOptions
from uscl_med3d.selfsupervised.sweeps import SweepImages

PATIENT, RANDOM = "patient", "random"


class ByolPatientOptions(ByolOptions):
    """Options of the branch, beside those of BYOL.

    Attributes:
        metadata: `patient`: which training patient it is; `random`: control, a class drawn anew for every image; or a
            column of the cohort's metadata.
        shuffled: control for a column: the classes are dealt out to other patients.
        branch_dim: width of the hidden layer. branch_weight: of the cross-entropy beside BYOL's loss.
    """

    metadata: str
    shuffled: bool
    branch_dim: int = Field(ge=1)
    branch_weight: float = Field(ge=0)


class ByolPatient(Byol):
    """The branch is trained into the encoder, on both views; it is thrown away like the other heads."""

    Options: ClassVar[type[Section]] = ByolPatientOptions
    columns: ClassVar[tuple[str, ...]] = (*Byol.columns, "branch_loss", "branch_accuracy")

    def __init__(self, job: Any, options: Any, encoder: nn.Module, sweeps: SweepImages, seed: int) -> None:
        self.classes = _read_classes(options, sweeps, seed)
        super().__init__(job, options, encoder, sweeps, seed)

    def make_head(self) -> nn.ModuleDict:
        """Projector, predictor and branch."""
        heads = super().make_head()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.seed, "pretrain", "metadata branch"))
            width, hidden = self.job.model.prompt_dim, self.options.branch_dim
            heads["branch"] = nn.Sequential(
                nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, int(self.classes.max()) + 1)
            )
        return heads

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """See `Task.loss`; `branch_accuracy` is that of the training images of this step."""
        self.follow(step)
        views = self.images.training(step)
        own, features = self._loss(views)
        wanted = self._label(views.patients, step).repeat(2)
        found = self.head["branch"](torch.cat(features))
        with torch.autocast(self.device.type, enabled=False):
            branch = F.cross_entropy(found.float(), wanted)
        accuracy = (found.argmax(1) == wanted).double().mean()
        total = own + self.options.branch_weight * branch
        return {"loss": total, "branch_loss": branch, "branch_accuracy": accuracy}

    def _label(self, patients: Tensor, step: int) -> Tensor:
        """Classes (n,) of the images of these training patients (n,)."""
        if self.options.metadata == RANDOM:
            random = rng(self.seed, "pretrain", "random metadata", step)
            drawn = random.integers(0, len(self.classes), len(patients))
            return torch.from_numpy(drawn).to(self.device)
        return self.classes.to(self.device)[patients]


def _read_classes(options: Any, sweeps: SweepImages, seed: int) -> Tensor:
    """Class of every training patient (n,) int64, in the order of their names."""
    patients = sorted(sweeps.list_patients(sweeps.train))
    if options.metadata in (PATIENT, RANDOM):
        return torch.arange(len(patients))
    column = sweeps.metadata.get(options.metadata)
    if column is None:
        raise InputError(
            file="params, options of byol_patient",
            found=f"metadata: {options.metadata}",
            expected=f"one of {', '.join([PATIENT, RANDOM, *sweeps.metadata])}",
            remedy="correct the name, or add a column of this name to the metadata of the cohort",
        )
    classes = torch.tensor([column[patient] for patient in patients])
    if options.shuffled:
        classes = classes[
            torch.from_numpy(rng(seed, "pretrain", "shuffled metadata").permutation(len(classes)))
        ]
    return classes


PRETEXT = ByolPatient
