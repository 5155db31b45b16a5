"""The tiny cohort of `tests/tiny_cohort.py`."""

from tiny_cohort import cohort, make_job

__all__ = ["cohort", "make_job"]
