"""Nouns, signs and directions."""

from __future__ import annotations

import pytest

from uscl_med3d.report.words import count, direction, signed


def test_nouns():
    assert [count(number, "patient") for number in (0, 1, 2.0)] == ["0 patients", "1 patient", "2 patients"]


def test_a_difference_of_zero_has_no_sign():
    assert [signed(value, 1) for value in (1.25, -1.26, 0.04, -0.04, 0.0)] == [
        "+1.2",
        "-1.3",
        "0.0",
        "0.0",
        "0.0",
    ]


@pytest.mark.parametrize(
    ("signs", "words"),
    [
        ([0.0], "none"),
        ([0.0, 0.0], "none"),
        ([1.0, 2.0], "in favour"),
        ([-1.0], "against"),
        ([1.0, 0.0], "in favour in 1 of 2 comparisons"),
        ([-1.0, 0.0], "in favour in 0 of 2 comparisons"),
        ([1.0, -1.0, 0.0], "in favour in 1 of 3 comparisons"),
    ],
)
def test_a_difference_of_zero_has_no_direction(signs, words):
    assert direction(signs) == words
