"""Parameters of SAMUS's article on simulated stills (target `samus`)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.simulate import Group, Probe, Range
from uscl_med3d.core.params.stills import StillEntry, StillTraining

Scanner = Literal["seen", "unseen"]


class ScannerSettings(Section):
    """What differs from scanner to scanner; the rest is `simulate.cohort`. Units as there."""

    frequency_mhz: float = Field(gt=0)
    axial_sd_mm: float = Field(gt=0)
    lateral_sd_beams: float = Field(gt=0)
    gain_db: Range
    dynamic_range_db: Range
    noise_db: Range
    probe: Probe


class ScanPatients(Section):
    """Patients per part of the body. The test patients are scanned by both scanners, the others by the seen one."""

    train: int = Field(ge=1)
    test: int = Field(ge=2)


class Scans(Section):
    """The simulated image sets: one per part of the body and scanner.

    Attributes:
        workers: processes; never changes a byte. frames: of one short sweep, of which `stills` are kept.
        frame_step_mm: from frame to frame.
    """

    workers: int = Field(ge=1)
    parts: tuple[Group, ...] = Field(min_length=1)
    patients: ScanPatients
    frames: int = Field(ge=4)
    frame_step_mm: Range
    stills: int = Field(ge=1)
    scanners: dict[Scanner, ScannerSettings] = Field(min_length=2)


class SamusEntry(StillEntry):
    """One method.

    Attributes:
        role: `task`: trained for each part of the body by itself; `foundation`: trained once on all parts;
            `control`: does not look at the image.
    """

    role: Literal["task", "foundation", "control"]


class Samus(Section):
    """See params/stills.yaml, section `samus`.

    Attributes:
        points: clicks per structure that are scored. places: first clicks per structure, drawn anew, whose scores show
            how much the place of a click matters.
    """

    scans: Scans
    points: tuple[int, ...] = Field(min_length=1)
    places: int = Field(ge=2)
    click_simulator: Literal["random_error", "largest_error_centre"]
    n_boot: int = Field(ge=1)
    confidence: float = Field(gt=0, lt=1)
    training: StillTraining
    methods: dict[str, SamusEntry]

    @model_validator(mode="after")
    def _has_what_the_tables_need(self) -> Samus:
        if "samus" not in self.methods or self.methods["samus"].module != "samus":
            raise ValueError("samus.methods.samus is what the tables are about: it must be there")
        if 1 not in self.points:
            raise ValueError("samus.points must have 1: most tables show the first click")
        return self

    def with_variants(self) -> Samus:
        """The same with variants of `methods.samus`: `samus_<n>` with its first n components, for every n but the last,
        and `samus_task`, trained for each part of the body by itself."""
        whole = self.methods["samus"]
        components = list(whole.options["components"])
        fewer = {
            f"samus_{count}": whole.model_copy(
                update={
                    "label": ablation_label(components[:count]),
                    "options": whole.options | {"components": components[:count]},
                }
            )
            for count in range(len(components))
        }
        task = whole.model_copy(update={"role": "task", "label": f"{whole.label}, one part"})
        return self.model_copy(update={"methods": self.methods | fewer | {TASK: task}})

    @property
    def ablations(self) -> list[str]:
        """Rows of the ablation in the order in which components are added; the last is SAMUS itself."""
        return [
            *(f"samus_{count}" for count in range(len(self.methods["samus"].options["components"]))),
            "samus",
        ]


TASK = "samus_task"


def ablation_label(components: list[str]) -> str:
    """`SAM` and what is added to it."""
    return " + ".join(["SAM", *(name.replace("_", " ") for name in components)])
