"""What a job says it has cost: its place, and the processor time of worker processes included."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json, write_json
from uscl_med3d.core.spent import find_spent
from uscl_med3d.report.run_cost import COLUMNS, build_run_cost

CODE = """
import sys, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from uscl_med3d.core.spent import write_spent

def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        list(pool.map(burn, [0.5]))
    burn(0.3)
    write_spent(Path(sys.argv[1]))
"""


def test_the_place_follows_the_receipt():
    assert find_spent(Path("results/x/receipts/report/figures/fig1.json")) == Path(
        "results/x/benchmarks/jobs/report/figures/fig1.json"
    )
    assert find_spent(Path("elsewhere/a.json")) is None


def test_time_of_worker_processes_counts(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(CODE)
    receipt = tmp_path / "receipts/stage/a.json"
    subprocess.run(
        [sys.executable, str(script), str(receipt)], check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    spent = read_json(tmp_path / "benchmarks/jobs/stage/a.json")
    assert 0.8 <= spent["cpu_seconds"] < 5 and spent["wall_seconds"] > 0.5 and spent["peak_memory_mb"] > 5


def test_the_jobs_of_a_run_in_one_table(tmp_path):
    receipts = [tmp_path / f"receipts/{name}.json" for name in ("report/figures/fig1", "ingest/ingest")]
    for number, receipt in enumerate(receipts, 1):
        write_json(find_spent(receipt), {"wall_seconds": number, "cpu_seconds": 2.5, "peak_memory_mb": 100.0})
    build_run_cost(receipts, tmp_path / "run.csv")
    assert (tmp_path / "run.csv").read_text().splitlines() == [
        ",".join(COLUMNS),
        "ingest,ingest,2,2.50,100.00",
        "report,figures/fig1,1,2.50,100.00",
    ]
    with pytest.raises(InputError, match="has cost"):
        build_run_cost([*receipts, tmp_path / "receipts/a/b.json"], tmp_path / "run.csv")
