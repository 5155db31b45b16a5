"""From comparisons to verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from uscl_med3d.report.claims.claim import Claim, Decided, Evidence, Finding
from uscl_med3d.report.contrasts import measure
from uscl_med3d.report.gate import NOT_TESTABLE
from uscl_med3d.report.statistics import Difference, holm
from uscl_med3d.report.words import count, direction


@dataclass
class _Case:
    """A claim with its findings, before and after the correction over all claims."""

    claim: Claim
    found: list[tuple[str, Difference]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    decided: Decided | None = None
    p: float = math.nan
    trained: bool = False
    methods: frozenset[str] = frozenset()


def decide(claims: Sequence[Claim], evidence: Evidence) -> list[dict[str, Any]]:
    """One row per claim, see `claim.COLUMNS`; Holm's correction runs over all claims that could be tested."""
    cases = [_examine(claim, evidence) for claim in claims]
    tested = [case for case in cases if case.found and not case.missing]
    for case in tested:
        case.p = claim_p([difference for _, difference in case.found])
    for case, adjusted in zip(tested, holm([case.p for case in tested]), strict=True):
        case.p = float(adjusted)
    return [_row(case, evidence) for case in cases]


def _examine(claim: Claim, evidence: Evidence) -> _Case:
    case = _Case(claim)
    if claim.contrasts is not None:
        contrasts = claim.contrasts(evidence.context)
        findings: Sequence[Finding] = [
            Finding(one.label, measure(evidence.context, one)) for one in contrasts
        ]
        case.methods = frozenset(
            run.method for one in contrasts for level in one.levels for run in level.runs
        )
        case.trained = any(evidence.context.job.methods[name].trained for name in case.methods)
    else:
        assert claim.examine is not None  # where there are no contrasts
        examined = claim.examine(evidence)
        if isinstance(examined, Decided):
            case.decided = examined
            return case
        findings = examined
    for finding in findings:
        if isinstance(finding.result, str):
            case.missing.append(finding.result)
        else:
            case.found.append((finding.label, finding.result))
    return case


def claim_p(differences: Sequence[Difference]) -> float:
    """One p value for a claim that joins several comparisons, two-sided.

    To support it, every comparison must be positive: the largest p (intersection-union, no correction needed). To
    contradict it, one negative comparison is enough: the smallest p of these, times the number of comparisons.
    """
    against = [difference.p for difference in differences if difference.mean < 0]
    contradicts = min(1.0, len(differences) * min(against)) if against else 1.0
    supports = 1.0 if against else max(difference.p for difference in differences)
    return min(supports, contradicts)


def _row(case: _Case, evidence: Evidence) -> dict[str, Any]:
    claim = case.claim
    row = {
        "id": claim.id,
        "claim": claim.claim,
        "source": claim.source,
        "test": claim.test,
        "estimate": math.nan,
        "ci_low": math.nan,
        "ci_high": math.nan,
        "paper_numbers": claim.paper_numbers(),
    }
    if case.decided is not None:
        decided = case.decided
        return row | {"estimate": decided.estimate, "verdict": decided.verdict, "why": decided.why}
    if case.found:
        _, weakest = min(case.found, key=lambda pair: pair[1].mean)
        row |= {"estimate": weakest.mean, "ci_low": weakest.low, "ci_high": weakest.high}
    verdict, why = _judge(case, evidence)
    return row | {"verdict": verdict, "why": why}


def _judge(case: _Case, evidence: Evidence) -> tuple[str, str]:
    blind = sorted(case.methods & set(evidence.blind))
    if case.claim.about_training and blind:
        found = "; ".join(f"{name} {evidence.blind[name]}" for name in blind)
        return NOT_TESTABLE, f"not passed the gate: {found}"
    if case.missing:
        reasons = "; ".join(dict.fromkeys(case.missing))
        tail = (
            f" (computed for {len(case.found)} of {len(case.found) + len(case.missing)})"
            if case.found
            else ""
        )
        return "undecided", reasons + tail
    if not case.found:
        return (
            "undecided",
            "this run has nothing to compare: section `methods` names too few ranks or modules",
        )
    alpha = evidence.context.job.report.alpha
    facts = _describe(case)
    positive = all(difference.mean > 0 for _, difference in case.found)
    against = [label for label, difference in case.found if difference.mean < 0 and difference.high < 0]
    # Seeds that were scored, not those that are planned: a run cut into sittings may have fewer.
    seeds = min(difference.seeds for _, difference in case.found)
    if case.claim.about_training and seeds == 1:
        return (
            "undecided (one seed)",
            f"direction seen: {direction([one.mean for _, one in case.found])}; {facts}",
        )
    note = " One training seed: holds for these checkpoints." if seeds == 1 and case.trained else ""
    if positive and case.p <= alpha and all(difference.low > 0 for _, difference in case.found):
        return "supported", facts + note
    if against and case.p <= alpha:
        return "contradicted", facts + note
    return "undecided", facts + note


def _describe(case: _Case) -> str:
    """The comparison shown, test, patients and power, in one sentence."""
    label, weakest = min(case.found, key=lambda pair: pair[1].mean)
    several = f"weakest of {len(case.found)}: {label}" if len(case.found) > 1 else label
    text = f"{several}; p = {case.p:.3g} (Holm), {count(weakest.n_patients, 'patient')}"
    positive = sum(difference.mean > 0 for _, difference in case.found)
    if len(case.found) > 1:
        text += f", {positive} of {len(case.found)} positive"
    if math.isfinite(weakest.detectable):
        text += f"; a true difference of {weakest.detectable:.1f} would have been seen"
    return text + "."
