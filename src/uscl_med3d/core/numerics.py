"""Which kernels compute: the fastest that a processor has (`native`), or the same on every processor (`portable`).

Libraries choose kernels by the processor's instruction set, and sums in another order differ in the last digits; after
some steps of training, so does everything. `portable` pins the choice of torch, MKL, oneDNN, NumPy and OpenBLAS to AVX2,
which every x86-64 processor since about 2015 has. Libraries read these settings once, when they are imported.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from uscl_med3d.core.errors import InputError

PORTABLE: Mapping[str, str] = {
    "ATEN_CPU_CAPABILITY": "avx2",
    # Anything faster is promised for processors of one maker only.
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    # NumPy's names of instruction sets beyond AVX2: of 2.4 and later, then of older versions.
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL",
    "OPENBLAS_CORETYPE": "Haswell",
}
"""Environment variables of the mode `portable`."""

LIBRARIES = ("numpy", "scipy", "torch")
CPU_INFO = Path("/proc/cpuinfo")


def pin_job(arguments: Sequence[str]) -> None:
    """Pin kernels as the job file of a command line says; nothing to do without one.

    Args:
        arguments: of the command line; the job file follows `--params`.
    """
    file = _find_option(arguments, "--params")
    if file is None or file.suffix != ".json" or not file.is_file():
        return
    try:
        job = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return  # the stage itself says what is wrong with the file
    if isinstance(job, dict) and job.get("numerics") == "portable":
        pin(os.environ)


def pin(environment: MutableMapping[str, str]) -> None:
    """Set the variables of `portable`, for this process and those that it starts, whatever they were before.

    Raises:
        InputError: where the processor lacks AVX2, or is of another kind.
        RuntimeError: where libraries have already chosen otherwise.
    """
    check_processor()
    chosen = all(environment.get(name) == value for name, value in PORTABLE.items())
    loaded = [name for name in LIBRARIES if name in sys.modules]
    if loaded and not chosen:
        raise RuntimeError(f"kernels are pinned after {', '.join(loaded)}: their choice is made at import")
    environment.update(PORTABLE)


def check_processor() -> None:
    """Raise `InputError` where the kernels of `portable` do not exist."""
    machine = platform.machine().lower()
    known = CPU_INFO.read_text(encoding="utf-8", errors="replace") if CPU_INFO.is_file() else None
    missing = known is not None and not {"avx2", "fma"} <= set(known.split())
    if machine not in ("x86_64", "amd64") or missing:
        raise InputError(
            file="params.yaml",
            found=f"numerics: portable, on a processor {machine} without AVX2",
            expected="an x86-64 processor with AVX2",
            remedy="set numerics: native; results differ in last digits",
        )


def describe_kernels() -> dict[str, Any]:
    """Which kernels the loaded libraries chose, for a receipt; only what is loaded is named."""
    found: dict[str, Any] = {"mode": "portable" if _is_pinned() else "native"}
    if "torch" in sys.modules:
        import torch

        found["torch"] = torch.backends.cpu.get_cpu_capability()
        found["mkl"] = os.environ.get("MKL_CBWR", "processor's choice")
        found["onednn"] = os.environ.get("ONEDNN_MAX_CPU_ISA", "processor's choice")
    if "numpy" in sys.modules:
        found["numpy"] = _numpy_features()
        found["openblas"] = os.environ.get("OPENBLAS_CORETYPE", "processor's choice")
    return found


def _is_pinned() -> bool:
    return all(os.environ.get(name) == value for name, value in PORTABLE.items())


def _numpy_features() -> str:
    """The highest instruction set of NumPy's kernels in use."""
    core = import_module("numpy._core._multiarray_umath")
    used = [name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name)]
    return used[-1] if used else "baseline"


def _find_option(arguments: Sequence[str], name: str) -> Path | None:
    for index, argument in enumerate(arguments):
        if argument == name and index + 1 < len(arguments):
            return Path(arguments[index + 1])
        if argument.startswith(f"{name}="):
            return Path(argument.partition("=")[2])
    return None
