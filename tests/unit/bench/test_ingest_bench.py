"""The ingest benchmark measures the real stage; its figures are a report, so only their form is tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from uscl_med3d.bench import ingest as bench_ingest
from uscl_med3d.core.errors import InputError

PARAMS = Path(__file__).resolve().parents[3] / "params.yaml"


def test_a_small_clip_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FRAMES", 8), ("HEIGHT", 480), ("WIDTH", 560), ("KEY_FRAMES", (1, 6))):
        monkeypatch.setattr(bench_ingest, name, value)
    bench_ingest.main(["--out", str(tmp_path), "--params-file", str(PARAMS), "--repeats", "1"])
    text = (tmp_path / "ingest.md").read_text()
    assert "8 frames of 480 x 560" in text and "| peak memory, MB |" in text and "Asked of every run:" in text


def test_what_is_asked_is_compared_with_every_run() -> None:
    good = {"stage_s": 1.0, "cpu_s": 1.0, "process_s": 2.0, "peak_mb": 200.0}
    assert "run: met" in bench_ingest.describe([good], 10**6, 0.0)
    assert "run: not met" in bench_ingest.describe([good, good | {"stage_s": 6.0}], 10**6, 0.0)
    assert "run: not met" in bench_ingest.describe([good, good | {"peak_mb": 1200.0}], 10**6, 0.0)


def test_missing_parameters_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml"):
        bench_ingest.write_job(tmp_path / "none.yaml", tmp_path / "job.json")
