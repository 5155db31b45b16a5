"""The control of `tests/fuzz_inputs.py`: an undocumented error of a reader is counted as a failure, a whole one is not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import fuzz_inputs

from uscl_med3d.core.errors import InputError


def refuse(path: Path) -> None:
    raise InputError(file=path, found="damage", expected="a whole file", remedy="export it anew")


def refuse_without_remedy(path: Path) -> None:
    raise InputError(file=path, found="damage", expected="a whole file", remedy="")


def fail(path: Path) -> None:
    raise ValueError("buffer is too small")


def end(path: Path) -> None:
    import os

    os._exit(9)


@pytest.mark.parametrize(
    ("reader", "failures", "status"),
    [(refuse, 0, 0), (refuse_without_remedy, 6, 1), (fail, 6, 1), (end, 1, 1)],
)
def test_failures_are_counted(monkeypatch, capfd, reader, failures, status):
    for name in ("read_clip", "read_source", "read_labels", "read_calibration"):
        monkeypatch.setattr(fuzz_inputs, name, reader)
    monkeypatch.setattr(fuzz_inputs, "READERS", {name: (reader,) for name in fuzz_inputs.READERS})
    monkeypatch.setattr(sys, "argv", ["fuzz_inputs.py", "--cases", "6", "--seed", "3"])
    assert fuzz_inputs.main() == status
    assert f"{failures} failures" in capfd.readouterr().out.splitlines()[-1]
