"""Claims of SAMUS's article, judged on the simulated sets: estimate, interval, verdict.

A claim that joins several comparisons is supported when all of them are above 0, and contradicted when one of them is
below 0 at an interval widened by the number of comparisons. What is shown is the weakest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd

from uscl_med3d.core.params.samus import TASK
from uscl_med3d.report.claims.claim import COLUMNS
from uscl_med3d.report.reported import FOLDER
from uscl_med3d.stills.resample import Estimate
from uscl_med3d.stills.samus_tables import Scores, clicked, drop, places, range_of_means, spread

Comparisons = Sequence[tuple[str, Estimate]]


CONTROL = "image"
"""The claim that the others depend on."""


@dataclass(frozen=True)
class Claim:
    """A claim and the comparisons it consists of; each is positive where the claim holds.

    Attributes:
        paper_numbers: what the article's own numbers say about it.
    """

    id: str
    claim: str
    source: str
    test: str
    compare: Callable[[Scores], Comparisons]
    paper_numbers: str


def judge(comparisons: Comparisons, confidence: float) -> tuple[float, float, float, str, str]:
    """Weakest estimate, its interval, the verdict, and why."""
    label, weakest = min(comparisons, key=lambda one: one[1].value)
    low, high = weakest.interval(confidence)
    wide = 1 - (1 - confidence) / len(comparisons)
    if all(one.interval(confidence)[0] > 0 for _, one in comparisons):
        verdict = "supported"
    elif any(one.interval(wide)[1] < 0 for _, one in comparisons):
        verdict = "contradicted"
    else:
        verdict = "undecided"
    above = sum(one.value > 0 for _, one in comparisons)
    why = f"weakest of {len(comparisons)}: {label}; {len(weakest.groups)} patients, {above} of {len(comparisons)} positive"
    return weakest.value, low, high, verdict, why


def judge_all(scores: Scores, cost: pd.DataFrame) -> pd.DataFrame:
    """One row per claim. `cost`: table S5, for the claim about memory.

    Where it is not supported that SAMUS looks at the image, Dice says where clicks lie, and claims are not testable.
    """
    judged = [judge(claim.compare(scores), scores.settings.confidence) for claim in CLAIMS]
    looks = dict(zip((claim.id for claim in CLAIMS), judged, strict=True))[CONTROL][3] == "supported"
    rows = []
    for claim, (value, low, high, verdict, why) in zip(CLAIMS, judged, strict=True):
        if not looks and claim.id != CONTROL:
            verdict, why = "not testable", f"SAMUS does not look at the image (control `{CONTROL}`); {why}"
        numbers = [round(number, 2) for number in (value, low, high)]
        rows.append(
            [claim.id, claim.claim, claim.source, claim.test, *numbers, verdict, why, claim.paper_numbers]
        )
    return pd.DataFrame([*rows, judge_memory(scores, cost)], columns=COLUMNS)


def _best_on_seen(scores: Scores) -> Comparisons:
    return [
        (
            f"against {scores.label(rival)}, {part}",
            _mean(scores, TASK, part, "seen") - _mean(scores, rival, part, "seen"),
        )
        for part in scores.settings.scans.parts
        for rival in scores.of_role("task")
    ]


def _best_foundation(scanner: str) -> Callable[[Scores], Comparisons]:
    def compare(scores: Scores) -> Comparisons:
        return [
            (
                f"against {scores.label(rival)}, {part}",
                _mean(scores, "samus", part, scanner) - _mean(scores, rival, part, scanner),
            )
            for part in scores.settings.scans.parts
            for rival in scores.of_role("foundation")
            if rival != "samus"
        ]

    return compare


def _smallest_drop(scores: Scores) -> Comparisons:
    return [
        (f"against {scores.label(rival)}, {part}", drop(scores, rival, part) - drop(scores, "samus", part))
        for part in scores.settings.scans.parts
        for rival in scores.of_role("foundation")
        if rival not in ("samus", "sam")  # SAM is not trained: it has nothing to lose
    ]


def _each_component(scores: Scores) -> Comparisons:
    names = scores.settings.ablations
    part = scores.parts()[-1]
    return [
        (
            f"component {number}, {scanner}",
            _mean(scores, after, part, scanner) - _mean(scores, before, part, scanner),
        )
        for number, (before, after) in enumerate(pairwise(names), start=1)
        for scanner in ("seen", "unseen")
    ]


def _attention(scores: Scores) -> Comparisons:
    components = list(scores.settings.methods["samus"].options["components"])
    place = components.index("cross_branch_attention")
    before, after = scores.settings.ablations[place : place + 2]
    part = scores.parts()[-1]
    return [
        (scanner, _mean(scores, after, part, scanner) - _mean(scores, before, part, scanner))
        for scanner in ("seen", "unseen")
    ]


def _place_matters_little(scores: Scores) -> Comparisons:
    found = []
    for part in scores.settings.scans.parts:
        ranged = range_of_means(scores, places(scores, "samus", part, "seen"))
        found.append((part, Estimate(1 - ranged.value, 1 - ranged.draws, ranged.groups)))
    return found


def _place_less_than_others(scores: Scores) -> Comparisons:
    part = scores.parts()[-1]
    own = spread(scores, places(scores, "samus", part, "seen"))
    return [
        (f"against {scores.label(rival)}", spread(scores, places(scores, rival, part, "seen")) - own)
        for rival in clicked(scores)
        if rival != "samus" and rival in scores.of_role("foundation")
    ]


def _more_clicks(scores: Scores) -> Comparisons:
    part = scores.parts()[-1]
    points = list(scores.settings.points)
    means = {count: scores.estimate(scores.pick("samus", part, "seen", count)) for count in points}
    return [
        (f"{last} clicks instead of {first}", means[last] - means[first]) for first, last in pairwise(points)
    ]


def _looks(scores: Scores) -> Comparisons:
    return [
        (f"{part}, {scanner}", scores.own_minus_other(scores.pick("samus", part, scanner)))
        for part in scores.settings.scans.parts
        for scanner in ("seen", "unseen")
    ]


def _mean(scores: Scores, name: str, part: str, scanner: str) -> Estimate:
    return scores.estimate(scores.pick(name, part, scanner))


def judge_memory(scores: Scores, cost: pd.DataFrame) -> list[Any]:
    """SAMUS needs the second least memory of the foundation models: a count of bytes, without an interval."""
    labels = [scores.label(name) for name in scores.of_role("foundation") if name != "sam"]
    memory = cost.set_index("method")["training_mb"].loc[labels].astype(float).sort_values(kind="stable")
    rank = list(memory.index).index(scores.label("samus")) + 1
    listed = ", ".join(f"{name} {value:.1f}" for name, value in memory.items())
    return [
        "memory",
        "SAMUS needs the second least memory in training, at batch 1.",
        "section 4.2, deployment",
        "Its rank by bytes of weights, gradients, optimiser and kept activations; 2 confirms.",
        rank,
        "",
        "",
        "supported" if rank == 2 else "contradicted",
        f"MB: {listed}. Networks of this project's sizes, not ViT-B.",
        "the text ranks SAMed first in memory, parameters and computation, and also calls its speed the lowest while "
        "SAMUS's is the second fastest: the two sentences do not agree",
    ]


def _reported() -> pd.DataFrame:
    """The article's Dice per set: of SAMUS trained on one set (`one`), on all (`all`), and of the best rival (`rival`)."""
    rows = pd.read_csv(FOLDER / "samus.csv")
    own = rows[rows["method"] == "SAMUS"].pivot_table(index="set", columns="table", values="dice")
    rivals = rows[rows["method"] != "SAMUS"].groupby("set")["dice"].max()
    return pd.DataFrame({"one": own[7], "all": own[8], "rival": rivals})


def says_task() -> str:
    """What the article's numbers say about SAMUS trained on one set."""
    found = _reported()
    gain = found["one"] - found["rival"]
    return (
        f"ahead on {int((gain > 0).sum())} of {len(gain)} sets, by {gain.min():.2f} to {gain.max():.2f} points over "
        "the best rival; the rivals get no click"
    )


def says_foundation() -> str:
    """What they say about SAMUS trained on all sets."""
    found = _reported()
    below = {name: int((found["all"] < found[name]).sum()) for name in ("one", "rival")}
    return (
        f"trained on all sets it is below itself trained on one on {below['one']} of {len(found)}, and below the best "
        f"task-specific rival on {below['rival']}"
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "task",
        "SAMUS, trained on a set as its rivals are, is the best on every seen set.",
        "Table 7, section 4.1",
        "Paired differences to every task-specific method here on every set, one click; all above 0 confirm.",
        _best_on_seen,
        says_task(),
    ),
    Claim(
        "foundation",
        "SAMUS, trained on all sets, is the best foundation model on every seen set.",
        "Table 8, section 4.2",
        "Paired differences to SAM, MedSAM, SAMed and MSA on every set, one click.",
        _best_foundation("seen"),
        says_foundation(),
    ),
    Claim(
        "unseen",
        "SAMUS is the best foundation model on every unseen set.",
        "Figure 6, section 4.2",
        "The same on the unseen scanner.",
        _best_foundation("unseen"),
        "66.78, 78.06 and 56.77; the others are in a figure only",
    ),
    Claim(
        "drop",
        "SAMUS loses least between seen and unseen sets.",
        "section 4.1",
        "Drops of MedSAM, SAMed and MSA minus SAMUS's, on the same patients.",
        _smallest_drop,
        "cannot be checked: the drops are in a figure only",
    ),
    Claim(
        "components",
        "Each of the four components helps, on seen and unseen sets.",
        "Table 9, section 4.3",
        "Paired gains over the row above, in the article's order.",
        _each_component,
        "given for the position adapter alone: 50.6, 38.1, 26.77, 30.54 points over SAM",
    ),
    Claim(
        "attention",
        "Cross-branch attention is better than adding the two branches.",
        "Table 9, section 4.3",
        "Paired gain of the attention over the CNN branch alone.",
        _attention,
        "1.48 and 2.11 points",
    ),
    Claim(
        "place",
        "The place of one click changes mean Dice by at most one point.",
        "section 4.3",
        "One point minus the range of the means over places, on every seen set.",
        _place_matters_little,
        "within 1 point, and 0.3 for lesions of the breast and the left atrium",
    ),
    Claim(
        "place_rivals",
        "SAMUS depends less on the place of a click than the other clicked models.",
        "section 4.3",
        "Spread over places within a structure: the others' minus SAMUS's.",
        _place_less_than_others,
        "no number is given",
    ),
    Claim(
        "clicks",
        "More clicks make SAMUS much better.",
        "section 4.3",
        "Paired gain from each number of clicks to the next.",
        _more_clicks,
        "the text says so for some structures and that it need not hold for others",
    ),
    Claim(
        CONTROL,
        "SAMUS looks at the image (control, not of the article).",
        "this project",
        "Own image minus another patient's with the same click, on every set.",
        _looks,
        "–",
    ),
)
