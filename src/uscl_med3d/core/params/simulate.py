"""Parameters of the stage `simulate`."""

from __future__ import annotations

from uscl_med3d.core.params.base import Section


class SimulateCohort(Section):
    """The simulated ultrasound cohort."""


class SimulateGeneral(Section):
    """The simulated general-domain sets."""


class Simulate(Section):
    """See params.yaml, section `simulate`, for the meaning of each value."""

    cohort: SimulateCohort
    general: SimulateGeneral
