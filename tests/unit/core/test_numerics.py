"""Kernels: portable gives one result under two instruction sets, and receipts say which kernels ran."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from uscl_med3d.core import numerics
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.receipts import describe_code, hash_modules

WIDE: dict[str, str | None] = dict.fromkeys(numerics.PORTABLE)
"""The processor's own choice."""
NARROW = WIDE | {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
}
"""As a processor that has next to no vector instructions."""


def has_avx2() -> bool:
    try:
        numerics.check_processor()
    except InputError:
        return False
    return True


def train(mode: str, environment: dict[str, str | None]) -> dict:
    """What `tiny_training.py` prints, in a process of its own."""
    known = {name: value for name, value in os.environ.items() if name not in environment}
    known |= {name: value for name, value in environment.items() if value is not None}
    script = str(Path(__file__).with_name("tiny_training.py"))
    done = subprocess.run([sys.executable, script, mode], capture_output=True, text=True, env=known)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not has_avx2(), reason="the processor has no AVX2, so there is nothing portable here")
def test_portable_gives_one_result_under_two_instruction_sets():
    native = [train("native", WIDE), train("native", NARROW)]
    portable = [train("portable", WIDE), train("portable", NARROW)]
    assert native[0]["sha256"] != native[1]["sha256"], "the control: the two differ"
    assert portable[0] == portable[1]
    kernels = portable[0]["kernels"]
    assert kernels["mode"] == "portable" and kernels["torch"] == "AVX2" and kernels["mkl"] == "COMPATIBLE"
    assert native[1]["kernels"]["mode"] == "native" and native[1]["kernels"]["torch"] == "DEFAULT"


def test_pinning_after_import_is_refused(monkeypatch):
    monkeypatch.setattr(numerics, "check_processor", lambda: None)
    monkeypatch.setitem(sys.modules, "numpy", sys)
    with pytest.raises(RuntimeError, match="at import"):
        numerics.pin({})


def test_a_processor_without_avx2_is_refused(tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text("flags : sse4_2 avx\n")
    monkeypatch.setattr(numerics, "CPU_INFO", tmp_path / "cpuinfo")
    with pytest.raises(InputError, match="AVX2"):
        numerics.check_processor()


def test_a_job_without_the_mode_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(numerics, "pin", lambda environment: pytest.fail("pinned"))
    job = tmp_path / "job.json"
    for text in ('{"numerics": "native"}', "{}", "[]", "{"):
        job.write_text(text)
        numerics.pin_job(["ingest", "--params", str(job)])
    numerics.pin_job(["ingest", "--params", str(tmp_path / "missing.json")])
    numerics.pin_job(["segment", "clip.mp4"])


def test_the_command_line_loads_no_library_before_a_verb_runs():
    """Else kernels would be chosen before the job file is read."""
    code = (
        f"import sys, uscl_med3d.cli; print(*[name for name in {numerics.LIBRARIES} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


def test_a_receipt_names_the_code_that_made_it():
    code = describe_code()
    assert "core.receipts" in code["modules"] and not any(name.startswith("cli") for name in code["modules"])
    assert hash_modules(code["modules"]) == code["sha256"]
    assert hash_modules(code["modules"][1:]) != code["sha256"]
