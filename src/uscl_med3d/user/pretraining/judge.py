"""Was anything learned? The pretext task on clips that taught nothing, and whether images still look different."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from uscl_med3d.core.io import sha256
from uscl_med3d.core.seeds import rng
from uscl_med3d.methods.base import torch_device
from uscl_med3d.nets.lora import add_lora, load_lora_state, lora_off, read_lora
from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d, load_checkpoint
from uscl_med3d.selfsupervised.base import collapse, pool_grid
from uscl_med3d.selfsupervised.images import Augmentation, draw_view
from uscl_med3d.selfsupervised.sweeps import SweepImages

GUESSES = (
    ("prediction loss", "validation_prediction_loss", "validation_constant_prediction_loss", False),
    ("loss", "validation_loss", "validation_constant_loss", False),
    ("accuracy", "validation_accuracy", "validation_chance", True),
)
"""What a learning curve may say: name, column, column of an answer that looks at nothing, whether higher is better."""
VIEWS = 4  # crops of each clip in the collapse watch
PLAIN = Augmentation(
    crop_share=(0.2, 1.0),
    flip_probability=(0.0, 0.0, 0.0),
    blur_probability=(0.0, 0.0),
    blur_sigma=(1.0, 1.0),
    jitter_probability=0.0,
    contrast=0.0,
    brightness=0.0,
)
COLLAPSED = 0.5  # of the spread before: less is called a collapse
LOSS_MARGIN = 0.05  # of the constant guess: a smaller difference is called none
SHARE_MARGIN = 0.15  # the same of an accuracy (a share): a few views measure it
WATCHED = 64  # clips that the collapse watch looks at


@dataclass(frozen=True)
class Measure:
    """One number of the pretext task on clips that taught nothing.

    Attributes:
        before: with the base model's encoder and an untrained head. guess: of an answer that looks at nothing.
        still: after the same training with the adapter held still; None where that was not asked for.
    """

    name: str
    higher_is_better: bool
    before: float
    after: float
    guess: float
    still: float | None

    @property
    def margin(self) -> float:
        """A smaller difference is called none."""
        return SHARE_MARGIN if self.higher_is_better else LOSS_MARGIN * self.guess

    def beats(self, other: float | None) -> bool:
        """Whether `after` is better than another value by more than the margin; nothing is better than no value."""
        if other is None:
            return False
        return (self.after - other if self.higher_is_better else other - self.after) > self.margin

    def as_dict(self) -> dict[str, Any]:
        """For the card."""
        return asdict(self)


def read_measures(curve: pd.DataFrame, still: pd.DataFrame | None) -> list[Measure]:
    """The measures of a learning curve that have a guess to compare with; none where no patient measures."""
    found = []
    for name, column, guess, higher in GUESSES:
        if column in curve and guess in curve and not curve[column].isna().all():
            values = curve[column]
            held = None if still is None else float(still[column].iloc[-1])
            found.append(
                Measure(
                    name,
                    higher,
                    float(values.iloc[0]),
                    float(values.iloc[-1]),
                    float(curve[guess].iloc[-1]),
                    held,
                )
            )
    return found


@torch.no_grad()
def watch_collapse(
    job: Any, rank: int, alpha: float, sweeps: SweepImages, base: Path, adapter: Path
) -> dict[str, Any]:
    """Spread and effective rank of the encoder's features of crops of clips, `before` (adapter off) and `after`."""
    model = build_sam_med3d(SamMed3DConfig(**job.model.model_dump()))
    load_checkpoint(model, base)
    add_lora(model, "encoder", rank, alpha, 0.0, 0, layers=job.pretrain.layers)
    load_lora_state(model, read_lora(adapter, rank, alpha, sha256(base)), "encoder")
    device = torch_device(job.device)
    model.to(device).eval()
    crops = []
    names = sorted(sweeps.train + sweeps.validation)
    order = rng(job.seed, "pretrain clips", "collapse").permutation(len(names))
    for sweep in (names[place] for place in order[:WATCHED]):
        volume = sweeps.load(sweep).to(device)
        for place in range(VIEWS):
            random = rng(job.seed, "pretrain clips", "collapse", sweep, place)
            crops.append(draw_view(volume, PLAIN, 0, job.model.image_size, random))

    def measure() -> dict[str, float]:
        return collapse(torch.cat([pool_grid(model.image_encoder(crop)).float() for crop in crops]))

    with lora_off(model):
        before = measure()
    return {"crops": len(crops), "before": before, "after": measure()}


def describe_measures(measures: list[Measure]) -> list[str]:
    """A line for each number."""
    return [
        f"{one.name}: {one.before:.3f} before, {one.after:.3f} after; constant guess {one.guess:.3f}"
        + ("" if one.still is None else f"; adapter held still {one.still:.3f}")
        for one in measures
    ]


def judge(measures: list[Measure], watched: Mapping[str, Any], measuring: int) -> list[str]:
    """What the numbers say, one sentence each.

    Args:
        measuring: patients that measure.
    """
    if not measures:
        said = ["Nothing was measured: all patients teach. The adapter may have learned nothing."]
    else:
        said = [_judge_task(measures[0], measuring), _judge_adapter(measures[0])]
    before, after = watched["before"]["feature_std"], watched["after"]["feature_std"]
    fell = after < COLLAPSED * before
    said.append(
        f"{'COLLAPSE' if fell else 'No collapse'}: the spread of features over {watched['crops']} crops went from "
        f"{before:.3f} to {after:.3f}, their effective rank from {watched['before']['effective_rank']:.1f} to "
        f"{watched['after']['effective_rank']:.1f}."
        + (" Lower the learning rate, or take another task." if fell else "")
    )
    return said


def _judge_task(first: Measure, measuring: int) -> str:
    few = "" if measuring > 4 else f" ({measuring} is too few to be sure)"
    who = (
        f"{first.name} on clips of {measuring} patient{'s' if measuring > 1 else ''} that taught nothing{few}"
    )
    over = f"better than the constant guess ({first.after:.3f} against {first.guess:.3f})"
    if first.beats(first.guess) and first.beats(first.before):
        return f"The task is learned: {who} is {over}."
    if first.beats(first.before):
        return f"Hardly learned: {who} got better, and is no better than the constant guess."
    if first.beats(first.guess):
        return f"Nothing new: {who} is {over}, as it was before the training."
    return f"NOT learned: {who} did not get better. More steps or more clips may help."


def _judge_adapter(first: Measure) -> str:
    if first.still is None:
        return "Head and adapter learn together: how much of it is the adapter's, --control says."
    if first.beats(first.still):
        return f"The adapter has learned: without it, the head alone reaches {first.still:.3f}."
    return f"The adapter itself has learned next to NOTHING: the head alone reaches {first.still:.3f}, about as good."
