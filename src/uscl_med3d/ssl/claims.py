"""What was claimed of self-supervision, each claim with the number that decides it and a verdict.

C1 to C8 are those of the study that docs/ssl.md names. A claim that needs something that was not run says so: it is
`not tested`; one whose change does nothing to grey images is `void`. Claims on frames are `not testable` where a control
fails: taught the labels, the encoder must be better than random weights (else the probes cannot tell one encoder from
another); taught the masks of other frames, it must not be (else they reward training as such); and a probe of shuffled
labels must not be above 50 on any target (else place, or something else that labels do not say, is counted as knowledge).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from uscl_med3d.report.statistics import Difference, holm
from uscl_med3d.ssl.words import ALL, LINEAR, SHUFFLED, name_labelled

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
NOT_TESTED, NOT_TESTABLE, VOID = "not tested", "not testable", "void"
CONTROL, NEGATIVE, CHANCE = "C0", "C0n", "C0s"
NEGATIVES = (NEGATIVE, CHANCE)
"""Controls that must not be supported. A corrected p would make that easier, so theirs is not corrected."""
COLUMNS = ["claim", "estimate", "ci_low", "ci_high", "verdict", "text", "measure", "p", "p_holm", "reason"]
NEGATIVE_TEXT = (
    "control, must not be supported: taught the masks of other frames, the encoder beats random weights"
)
CHANCE_ARM = "labels"
"""Arm of the control of shuffled labels: its features say most of the structures, and so of where they usually lie."""
Terms = Sequence[tuple[float, str]]
PATIENT_ARMS = ("byol_patient_01", "byol_patient_1")


class Claim(NamedTuple):
    """A claim about the probes' mean AUROC: a weighted sum of arms, and the sign that it should have.

    Attributes:
        targets: of the mean; empty: all.
    """

    name: str
    text: str
    terms: Terms
    sign: int
    targets: tuple[str, ...] = ()


def list_claims(job: Any, probed: Any) -> list[Claim]:
    """Claims on frames. The weight of the patient branch is the one that is best on validation patients."""
    augment = job.ssl.frames.augment
    weights = [name for name in PATIENT_ARMS if (name, LINEAR, ALL) in probed.wins]
    best = max(weights, key=lambda name: probed.validation[name, LINEAR, ALL], default=PATIENT_ARMS[0])
    abdomen = tuple(name for name in probed.targets if name != "pleural_effusion")
    batches = [(1, "simclr_batch_64"), (-1, "simclr"), (-1, "byol_batch_64"), (1, "byol")]
    return [
        Claim(
            CONTROL,
            "control: taught the labels, the encoder beats random weights",
            _minus("labels", "random"),
            1,
        ),
        Claim(NEGATIVE, NEGATIVE_TEXT, _minus("labels_shuffled", "random"), 1),
        Claim("C1a", "pretraining on sweeps (BYOL) beats random weights", _minus("byol", "random"), 1),
        Claim("C1b", "pretraining on sweeps (SimCLR) beats random weights", _minus("simclr", "random"), 1),
        Claim("C2a", "mirroring helps", augment.list_effect("flip"), 1),
        Claim("C3a", "blur hurts", augment.list_effect("blur"), -1),
        Claim("C3b", "jitter of contrast and brightness hurts", augment.list_effect("jitter"), -1),
        Claim("C5a", f"the patient branch helps ({best}, chosen on validation)", _minus(best, "byol"), 1),
        Claim(
            "C5b",
            "true patients help more than classes drawn at random",
            _minus("byol_patient_1", "byol_random_1"),
            1,
        ),
        Claim(
            "C5c",
            "true body walls help more than other patients' walls",
            _minus("byol_wall", "byol_wall_shuffled"),
            1,
        ),
        Claim("C6a", "BYOL beats SimCLR", _minus("byol", "simclr"), 1),
        Claim(
            "C6b",
            "SimCLR gains without negatives of the same patient",
            _minus("simclr_no_same_patient", "simclr"),
            1,
        ),
        Claim("C7a", "pretraining on chests helps on abdomens", _minus("byol_chest", "random"), 1, abdomen),
        Claim(
            "C7b",
            "control: pretraining on abdomens helps more there",
            _minus("byol_abdomen", "byol_chest"),
            1,
            abdomen,
        ),
        Claim("C8", "SimCLR gains more from twice the batch than BYOL, at equal images seen", batches, 1),
    ]


def _minus(first: str, second: str) -> Terms:
    return [(1.0, first), (-1.0, second)]


NOT_RUN = (
    (
        "C1c",
        "pretraining on sweeps beats supervision on natural images",
        NOT_TESTED,
        "no encoder of frames was trained on natural images or scenes",
    ),
    ("C2b", "multi-crop helps", NOT_TESTED, "multi-crop is not built"),
    ("C4a", "greyscale is neutral", VOID, "images are grey: greyscale changes nothing"),
    ("C4b", "mixup is neutral", NOT_TESTED, "mixup is not built"),
)


def build_claims(job: Any, probed: Any, dice: Mapping[tuple[str, int], Difference]) -> pd.DataFrame:
    """One row per claim. Verdicts are those of the tests corrected over all claims (Holm), at `report.alpha`.

    See `judge_all` for the controls that must not be supported.
    """
    rows: list[dict[str, Any]] = []
    for claim in list_claims(job, probed):
        if any((arm, LINEAR, ALL) not in probed.wins for _, arm in claim.terms):
            rows.append(
                {
                    "claim": claim.name,
                    "text": claim.text,
                    "verdict": NOT_TESTED,
                    "reason": "an arm was not run",
                }
            )
            continue
        found = probed.compare(claim.terms, targets=claim.targets)
        asked = ", ".join(claim.targets) or "all targets"
        rows.append(
            {"claim": claim.name, "text": claim.text, "p": found.p, "sign": claim.sign}
            | {"estimate": found.estimate, "ci_low": found.low, "ci_high": found.high}
            | {"measure": f"AUROC of cells at the same place, linear probe, mean over {asked}"}
        )
    for (start, count), found in dice.items():
        rows.append(
            {
                "claim": f"T8 {start} {name_labelled(count)}",
                "estimate": found.mean,
                "ci_low": found.low,
                "ci_high": found.high,
            }
            | {
                "text": f"{start} before the fine-tune raises Dice, {name_labelled(count)} labelled patients per group"
            }
            | {"measure": "Dice, last click", "p": found.p, "sign": 1}
        )
    rows += [_test_chance(probed)] if (CHANCE_ARM, SHUFFLED, ALL) in probed.wins else []
    tested = [row for row in rows if "p" in row]
    judge_all(tested, job.report.alpha)
    hold_to_the_control(tested)
    table = pd.DataFrame(rows)
    left = pd.DataFrame(
        [dict(zip(("claim", "text", "verdict", "reason"), row, strict=True)) for row in NOT_RUN]
    )
    whole = pd.concat([table, left], ignore_index=True).reindex(columns=COLUMNS)
    return whole.sort_values("claim", kind="stable").round(4)


def _test_chance(probed: Any) -> dict[str, Any]:
    """Control: the probe of shuffled labels on the taught encoder, on the target where it departs most from 50.

    One target may lie above 50 while another lies below, so their mean would hide it. `p` is multiplied by the number of
    targets that were looked at.
    """
    key = {"probe": SHUFFLED, "labelled": ALL}
    found = {
        name: probed.compare([(1.0, CHANCE_ARM)], **key, targets=(name,), null=50.0)
        for name in probed.targets
    }
    # Below 50 nothing is counted as knowledge. A few points below are expected: see docs/ssl.md.
    worst = min(found, key=lambda name: (found[name].p if found[name].estimate > 50 else 1.0, name))
    one = found[worst]
    return {
        "claim": CHANCE,
        "text": "control, must not be supported: with shuffled labels, a probe of the taught encoder is above 50",
        "measure": f"AUROC of cells at the same place, minus 50, shuffled labels, worst target ({worst})",
        "estimate": one.estimate - 50,
        "ci_low": one.low - 50,
        "ci_high": one.high - 50,
        "p": min(1.0, one.p * len(found)),
        "sign": 1,
    }


def judge_all(rows: Sequence[dict[str, Any]], alpha: float) -> None:
    """Set `p_holm` and `verdict`; in place. Controls that must not be supported are judged by their own `p`."""
    corrected = [row for row in rows if row["claim"] not in NEGATIVES]
    for row, value in zip(corrected, holm([row["p"] for row in corrected]), strict=True):
        row["p_holm"] = value
    for row in rows:
        row["verdict"] = _judge(row, alpha)


def _judge(row: dict[str, Any], alpha: float) -> str:
    if not np.isfinite(row["estimate"]) or row.get("p_holm", row["p"]) >= alpha:
        return UNDECIDED
    return SUPPORTED if row["estimate"] * row["sign"] > 0 else CONTRADICTED


def hold_to_the_control(rows: Sequence[dict[str, Any]]) -> None:
    """Claims on frames say nothing unless the positive control is supported, and negative ones are tested and are not."""
    verdicts = {row["claim"]: row["verdict"] for row in rows}
    failed = {
        f"control {CONTROL} is not supported: the probes do not tell a taught encoder from random weights": (
            verdicts.get(CONTROL) != SUPPORTED
        ),
        f"control {NEGATIVE} is supported or not run: training may be rewarded as such": (
            verdicts.get(NEGATIVE, SUPPORTED) == SUPPORTED
        ),
        f"control {CHANCE} is supported or not run: the probes find more than labels say": (
            verdicts.get(CHANCE, SUPPORTED) == SUPPORTED
        ),
    }
    reasons = [reason for reason, is_so in failed.items() if is_so]
    for row in rows:
        if reasons and row["measure"].startswith("AUROC") and row["claim"] not in (CONTROL, *NEGATIVES):
            row["verdict"], row["reason"] = NOT_TESTABLE, "; ".join(reasons)
