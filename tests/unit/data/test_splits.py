"""The split manifest and its guard."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.splits import COLUMNS, assign_splits, guard_splits, hash_splits, read_splits

FRACTIONS = {"train": 0.7, "val": 0.1, "test": 0.2}


def table(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """(patient, group, split) -> one sweep each."""
    return pd.DataFrame(
        [(patient, f"s{i:03d}", group, group, split) for i, (patient, group, split) in enumerate(rows)],
        columns=COLUMNS,
    )


def test_patients_are_dealt_by_fraction_within_their_group() -> None:
    rows = [(f"c{i}", "chest", "") for i in range(20)] + [(f"a{i}", "abdomen", "") for i in range(10)]
    found = assign_splits(table(*rows), FRACTIONS, seed=3)
    counts = found.groupby(["group", "split"]).size().to_dict()
    assert counts == {
        ("chest", "train"): 14,
        ("chest", "val"): 2,
        ("chest", "test"): 4,
        ("abdomen", "train"): 7,
        ("abdomen", "val"): 1,
        ("abdomen", "test"): 2,
    }
    assert not found.equals(assign_splits(table(*rows), FRACTIONS, seed=4))


PATIENTS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["chest", "abdomen"])), min_size=1, max_size=20
)


@settings(max_examples=40)
@given(
    PATIENTS,
    st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["train", "val", "test"])),
    st.data(),
)
def test_assignment_is_by_patient_and_independent_of_row_order(rows, given_splits, data) -> None:
    # A patient's split may stand on any one of his rows.
    sweeps = table(*[(patient, group, given_splits.get(patient, "")) for patient, group in rows])
    found = assign_splits(sweeps, FRACTIONS, seed=1)
    guard_splits(found)
    for patient, split in given_splits.items():
        assert set(found.loc[found["patient"] == patient, "split"]) <= {split}
    order = data.draw(st.permutations(range(len(sweeps))))
    assert assign_splits(sweeps.iloc[list(order)], FRACTIONS, seed=1).equals(found)


def test_a_stated_split_spreads_to_the_patients_other_sweeps() -> None:
    found = assign_splits(table(("p", "chest", ""), ("p", "chest", "test")), FRACTIONS, seed=1)
    assert list(found["split"]) == ["test", "test"]


def test_a_new_patient_of_one_group_leaves_the_other_group_alone() -> None:
    chest = [(f"c{i}", "chest", "") for i in range(9)]
    before = assign_splits(table(*chest), FRACTIONS, seed=1)
    after = assign_splits(table(*chest, ("x", "abdomen", "")), FRACTIONS, seed=1)
    assert after[after["group"] == "chest"].reset_index(drop=True).equals(before)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([("p", "chest", "train"), ("p", "chest", "test")], "p: test, train"),
        ([("p", "chest", "training")], "'training'"),
    ],
)
def test_guard(rows: list[tuple[str, str, str]], found: str) -> None:
    with pytest.raises(InputError, match=found):
        guard_splits(table(*rows))


def test_guard_sees_a_sweep_listed_twice() -> None:
    rows = table(("p", "chest", "train"), ("q", "chest", "train")).assign(sweep="s")
    with pytest.raises(InputError, match="listed twice: s"):
        guard_splits(rows)


def test_a_leaking_manifest_on_disk_is_refused(tmp_path: Path) -> None:
    rows = table(("p", "chest", "train"), ("p", "chest", "test"))
    rows.to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(InputError, match="more than one split"):
        read_splits(tmp_path / "m.csv")
    rows.drop(columns="view").to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(InputError, match="columns"):
        read_splits(tmp_path / "m.csv")


def test_hash_depends_on_content_only() -> None:
    rows = table(("p", "chest", "train"), ("q", "chest", "test"))
    assert hash_splits(rows) == hash_splits(rows.iloc[::-1])
    assert hash_splits(rows) != hash_splits(rows.assign(split="train"))
