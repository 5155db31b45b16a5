"""Freed memory is used again instead of being fetched from the system anew."""

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, sys
import torch
from uscl_med3d.core.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def work():
    x = torch.ones(2**20)
    for _ in range(4):
        x = x + 1
for _ in range(20):
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator can be told")
def test_tensors_of_a_size_that_was_used_before_cost_no_page_faults() -> None:
    faults = {
        name: int(subprocess.run([sys.executable, "-c", COUNT, name], capture_output=True, check=True).stdout)
        for name in ("kept", "given_back")
    }
    # Ten thousands of pages of 4 KB by default; with large pages by default there is nothing to gain.
    assert faults["kept"] < 100
    assert faults["kept"] <= faults["given_back"]
