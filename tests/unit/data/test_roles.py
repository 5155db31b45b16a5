"""Which key frames may prompt."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from uscl_med3d.data.roles import assign_roles


def masks(*classes: tuple[int, ...]) -> dict[int, np.ndarray]:
    """Key frames 0, 3, 6, ... with the given classes."""
    return {3 * i: np.array([[0, 255, *values]], np.uint8) for i, values in enumerate(classes)}


ARBITRARY = st.lists(st.lists(st.integers(1, 5), max_size=4).map(tuple), min_size=1, max_size=9)


@given(ARBITRARY, st.integers(0, 4), st.integers(0, 99), st.sampled_from(["train", "val"]))
def test_rules_hold(classes: list[tuple[int, ...]], held_out: int, seed: int, split: str) -> None:
    roles = assign_roles(masks(*classes), split=split, held_out=held_out, seed=seed, sweep="a")
    frames = sorted(roles)
    held = [frame for frame in frames if roles[frame] == "held_out"]
    assert frames == [3 * i for i in range(len(classes))]
    assert len(held) <= held_out
    assert frames[0] not in held and frames[-1] not in held
    prompted = {
        value for frame, values in zip(frames, classes, strict=True) if frame not in held for value in values
    }
    assert prompted == {value for values in classes for value in values}
    assert roles == assign_roles(masks(*classes), split=split, held_out=held_out, seed=seed, sweep="a")


def test_as_many_as_asked_are_held_out_where_possible() -> None:
    roles = assign_roles(masks((1,), (1,), (1,), (1,), (1,)), split="train", held_out=2, seed=1, sweep="a")
    assert list(roles.values()).count("held_out") == 2


def test_the_only_frame_of_a_class_prompts() -> None:
    for seed in range(20):
        roles = assign_roles(masks((1,), (1, 2), (1,), (1,)), split="train", held_out=2, seed=seed, sweep="a")
        assert roles[3] == "prompt" and roles[6] == "held_out"


def test_all_key_frames_of_a_test_sweep_are_held_out() -> None:
    roles = assign_roles(masks((1,), (2,), (1,)), split="test", held_out=1, seed=1, sweep="a")
    assert set(roles.values()) == {"held_out"}


def test_sweeps_draw_from_their_own_stream() -> None:
    drawn = {
        tuple(assign_roles(masks(*[(1,)] * 8), split="train", held_out=1, seed=1, sweep=f"s{i}").values())
        for i in range(30)
    }
    assert len(drawn) > 2
