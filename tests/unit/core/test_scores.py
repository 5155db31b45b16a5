"""Score files: the same bytes for the same scores, everything comes back, and what is no score file is refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256
from uscl_med3d.core.scores import COLUMNS, IMAGE_USE, SCHEMA, read_score_file, write_scores


def make(count: int = 500) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(index=range(count), columns=list(COLUMNS), dtype=object)
    frame = frame.assign(
        run="a", method="a", training_seed=0, dataset="us", case=[f"c{n % 7}" for n in range(count)]
    )
    frame["click"] = np.arange(count) % 10 + 1
    frame["click_d"] = [None if n % 5 == 0 else n for n in range(count)]
    return frame.assign(dice=np.where(np.arange(count) % 9 == 0, np.nan, 100 * rng.random(count)), reason="")


def test_everything_comes_back_in_order_with_six_digits(tmp_path):
    frame = make()
    write_scores(tmp_path / "a.parquet", frame)
    back = read_score_file(tmp_path / "a.parquet")
    assert tuple(back) == COLUMNS and list(back["case"]) == list(frame["case"])
    assert list(back["dice"].dropna()) == [float(f"{value:.6g}") for value in frame["dice"].dropna()]
    assert (back["dice"].isna() == frame["dice"].isna()).all()
    assert (
        back["click"].dtype.kind == "i" and np.isnan(back["click_d"].iloc[0]) and back["click_d"].iloc[6] == 6
    )
    assert back["rank"].isna().all() and back["modules"].isna().all() and back["reason"].isna().all()


def test_bytes_do_not_depend_on_how_the_frame_came_about(tmp_path):
    frame = make()
    write_scores(tmp_path / "a.parquet", frame)
    others = {
        "columns": frame[list(COLUMNS)[::-1]],
        "index": frame.set_index(np.arange(len(frame))[::-1]),
        "types": frame.astype({"case": "category", "click": "int16", "run": "string"}),
        "again": read_score_file(tmp_path / "a.parquet"),
        "joined": pd.concat([frame.iloc[:100], frame.iloc[100:]]),
    }
    for name, other in others.items():
        write_scores(tmp_path / f"{name}.parquet", other)
        assert sha256(tmp_path / f"{name}.parquet") == sha256(tmp_path / "a.parquet"), name


def test_bytes_do_not_depend_on_memory_that_nobody_wrote(tmp_path):
    """glibc fills fresh memory with another pattern in each process."""
    write_scores(tmp_path / "in.parquet", make())
    code = (
        "import sys; from uscl_med3d.core.scores import *;"
        "frame = read_score_file(sys.argv[1]); [write_scores(sys.argv[2], frame) for _ in range(20)]"
    )
    made = set()
    for value in ("0", "1", "165"):
        out = tmp_path / f"{value}.parquet"
        environment = {"MALLOC_PERTURB_": value, "PYTHONPATH": ":".join(sys.path)}
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "in.parquet"), str(out)], env=environment, check=True
        )
        made.add(sha256(out))
    assert made == {sha256(tmp_path / "in.parquet")}


def test_a_file_holds_nothing_but_the_scores(tmp_path):
    write_scores(tmp_path / "a.parquet", make())
    assert pq.read_schema(tmp_path / "a.parquet").metadata is None
    assert b"pandas" not in (tmp_path / "a.parquet").read_bytes()


def test_other_columns_are_refused(tmp_path):
    with pytest.raises(ValueError, match="columns"):
        write_scores(tmp_path / "a.parquet", make().drop(columns="dice"))
    with pytest.raises(ValueError, match="columns"):
        write_scores(tmp_path / "a.parquet", make().assign(more=1))
    assert not list(tmp_path.iterdir())


def test_a_half_number_is_no_whole_number(tmp_path):
    with pytest.raises(ValueError, match="click"):
        write_scores(tmp_path / "a.parquet", make(3).assign(click=[1, 2.5, 3]))


def test_image_use_has_its_own_columns(tmp_path):
    frame = pd.DataFrame([("a", "us", "val", "p", "c", "liver", 1, "own", 50.0)], columns=IMAGE_USE.names)
    write_scores(tmp_path / "a.parquet", frame, IMAGE_USE)
    assert read_score_file(tmp_path / "a.parquet").to_dict("records") == frame.to_dict("records")
    assert set(IMAGE_USE.names) - set(SCHEMA.names) == {"points", "image"}


@pytest.mark.parametrize("content", [b"", b"PAR1", b"run,dice\na,3\n"])
def test_what_is_no_score_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.parquet"):
        read_score_file(tmp_path / "a.parquet")


def test_a_missing_file_and_a_missing_column_are_named(tmp_path):
    with pytest.raises(InputError, match=r"b\.parquet"):
        read_score_file(tmp_path / "b.parquet")
    write_scores(tmp_path / "a.parquet", make(3))
    with pytest.raises(InputError, match="no column nothing"):
        read_score_file(tmp_path / "a.parquet", ("run", "nothing"))
