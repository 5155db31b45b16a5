"""Claims of a target, judged: one form for both kinds of claims table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import pandas as pd

from uscl_med3d.report.html.page import facts, fold, table
from uscl_med3d.target_pages.tables import form, is_empty, rich

CLASSES = {"void": "not"}
"""Verdicts that share another one's colour in the style sheet."""


class Judged(NamedTuple):
    """A claim with what decides it.

    Attributes:
        id: short name. claim: in words. where: in smaller letters below it.
        verdict, estimate, low, high: of the claim; None where nothing was estimated.
        why: in words.
        last: what stands in the last column.
    """

    id: str
    claim: str
    where: str
    verdict: str
    estimate: float | None
    low: float | None
    high: float | None
    why: str
    last: str


def read_judged(row: Any, claim: str, where: str, why: str, last: str) -> Judged:
    """A row of a claims table whose columns `estimate`, `ci_low`, `ci_high`, `verdict` are as everywhere."""
    estimate, low, high = (
        None if is_empty(row[name]) else float(row[name]) for name in ("estimate", "ci_low", "ci_high")
    )
    name = str(row.get("id", row["claim"]))
    return Judged(name, claim, where, str(row["verdict"]), estimate, low, high, why, last)


def show_claims(claims: Sequence[Judged], last: str, folded: str = "") -> str:
    """The table of claims; with `folded` it opens on demand, under that name. `last`: title of the last column."""
    header = ("Claim", "Verdict here", "Estimate", "Why", last)
    made = table(header, [_row(claim, last) for claim in claims], "claims")
    return fold(folded, made) if folded else made


def count_verdicts(verdicts: pd.Series) -> str:
    """How many claims have which verdict, in large numbers."""
    found = verdicts.value_counts(sort=False)
    return facts(
        (str(number), f"{'claim' if number == 1 else 'claims'} {name}") for name, number in found.items()
    )


def write_interval(low: float | None, high: float | None, digits: int) -> str:
    """` [low, high]`; nothing where there is none."""
    return "" if low is None or high is None else f" [{form(low, digits)}, {form(high, digits)}]"


def _row(claim: Judged, last: str) -> list[str]:
    first = claim.verdict.split(" ")[0]
    badge = f'<td><span class="verdict {CLASSES.get(first, first)}">{escape(claim.verdict)}</span></td>'
    where = f'<br><span class="muted">{escape(claim.where)}</span>' if claim.where else ""
    anchor = escape(claim.id.replace(" ", "-"))
    return [
        f'<td class="long" id="claim-{anchor}">{rich(claim.claim)}{where}</td>',
        badge,
        _estimate(claim),
        f'<td class="long" data-label="Why">{rich(claim.why)}</td>',
        f'<td class="long" data-label="{escape(last)}">{rich(claim.last)}</td>',
    ]


def _estimate(claim: Judged) -> str:
    if claim.estimate is None:
        return '<td class="number" data-label="Estimate">–</td>'
    digits = 0 if claim.low is None and claim.estimate == int(claim.estimate) else 2
    ends = write_interval(claim.low, claim.high, digits).strip()
    shown = f'<span class="interval">{ends}</span>' if ends else ""
    return f'<td class="number" data-label="Estimate">{form(claim.estimate, digits)}{shown}</td>'
