"""Numbers in sentences: with the right noun, and with a sign only where there is one."""

from __future__ import annotations

from collections.abc import Sequence


def count(number: float, noun: str) -> str:
    """`1 patient`, `2 patients`."""
    return f"{number:.0f} {noun}" if number == 1 else f"{number:.0f} {noun}s"


def signed(value: float, digits: int) -> str:
    """A difference with its sign; one that rounds to zero has none."""
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}" if rounded else f"{0:.{digits}f}"


def direction(signs: Sequence[float]) -> str:
    """Which way differences point that a claim expects to be positive: a zero points nowhere."""
    favour, against = sum(value > 0 for value in signs), sum(value < 0 for value in signs)
    if not favour and not against:
        return "none"
    if favour == len(signs):
        return "in favour"
    if against == len(signs):
        return "against"
    return f"in favour in {favour} of {count(len(signs), 'comparison')}"
