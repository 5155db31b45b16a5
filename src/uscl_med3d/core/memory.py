"""Freed memory stays with a job: the next tensor of the same size costs no page faults."""

from __future__ import annotations

import ctypes
import sys

# From glibc's malloc.h. What is larger than the mapping threshold is given back to the system when it is freed.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_MAPPED = 2**25  # the largest that glibc allows
_KEPT = 2**27  # more of it would leave the memory of a large network in pieces: four times the peak
_AT_ONCE = 2**26


def keep_freed_memory() -> bool:
    """Let this process reuse what it has freed; whether the system's allocator could be told (glibc only).

    Every operation on tensors makes a new one of a few MB and frees it soon. By glibc's defaults such memory goes back to
    the system each time and is fetched page by page again, which is a fifth of the time of small networks. Results do
    not depend on it.
    """
    if sys.platform != "linux":
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    settings = ((_MMAP_THRESHOLD, _MAPPED), (_TRIM_THRESHOLD, _KEPT), (_TOP_PAD, _AT_ONCE))
    return all([set_option(option, value) == 1 for option, value in settings])
