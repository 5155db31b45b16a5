"""Parameters of the stage `simulate`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from uscl_med3d.core.params.base import Section


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError("the first value of a range must not exceed the second")
    return value


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
IntRange = Annotated[tuple[int, int], AfterValidator(_ordered)]
Group = Literal["chest", "abdomen"]
ProbeName = Literal["convex", "sector"]


class Patients(Section):
    """Patients per split of one group."""

    train: int = Field(ge=0)
    val: int = Field(ge=0)
    test: int = Field(ge=0)


class Build(Section):
    """What differs from patient to patient of one group."""

    size: Range
    fat_mm: Range
    muscle_mm: Range


class Views(Section):
    """Where the probe is put in one group: heading of the image plane, and distance from the usual place."""

    headings_deg: tuple[float, ...] = Field(min_length=1)
    spread_deg: float = Field(ge=0)
    offset_mm: float = Field(ge=0)


class Search(Section):
    """How long the operator looks for a view that shows every structure."""

    tries: int = Field(ge=1)
    least_share: float = Field(ge=0, lt=1)


class Probe(Section):
    """One curved or phased array."""

    radius_mm: float = Field(gt=0)
    half_angle_deg: Range
    depth_mm: Range


class Acquisition(Section):
    """How a sweep is scanned."""

    frames: IntRange
    frame_step_mm: Range
    step_jitter: float = Field(ge=0)
    position_jitter_mm: float = Field(ge=0)
    tilt_deg: float = Field(ge=0)
    hand_rotation_deg: float = Field(ge=0)
    height_px: int = Field(gt=0, multiple_of=2)
    width_px: int = Field(gt=0, multiple_of=2)
    margin_px: int = Field(ge=0)
    anatomy_step_px: int = Field(ge=1)
    probes: dict[ProbeName, Probe]
    sector_share: float = Field(ge=0, le=1)


class Gas(Section):
    """What is shown behind one kind of gas."""

    haze_db: float
    fade_db_cm: float = Field(ge=0)
    surface: float = Field(ge=0)


class Reverberation(Section):
    """Echoes between gas and probe."""

    gases: dict[Literal["lung", "lung_mirror", "gas"], Gas]
    line_sd_mm: float = Field(gt=0)
    a_line_db: Range
    a_line_drop_db: float
    b_lines: Range
    b_line_db: float
    b_line_persistence: float = Field(ge=0, le=1)


class Physics(Section):
    """How echoes become grey values."""

    frequency_mhz: float = Field(gt=0)
    axial_samples: int = Field(gt=0)
    beams: int = Field(gt=0)
    axial_sd_mm: float = Field(gt=0)
    lateral_sd_beams: float = Field(gt=0)
    elevation_sd_mm: float = Field(gt=0)
    side_lobe_db: float = Field(le=0)
    side_lobe_beams: int = Field(ge=1)
    dynamic_range_db: Range
    gain_db: Range
    noise_db: Range
    tgc_db_cm_mhz: Range
    tgc_error_db: float = Field(ge=0)
    adaptive_gain: float = Field(ge=0, le=1)
    adaptive_span_mm: float = Field(gt=0)
    shadow_db: float = Field(gt=0)
    specular: float = Field(ge=0)
    streak_echo: float = Field(ge=0)
    specular_power: float = Field(gt=0)
    contact_db: Range
    wall_loss_db: float = Field(ge=0)
    penumbra_beams: int = Field(ge=0)
    ring_down: float = Field(ge=0)
    ring_down_mm: float = Field(gt=0)
    reverberation: Reverberation


class Tissue(Section):
    """Acoustic properties of one tissue."""

    echo_db: float
    attenuation_db_cm_mhz: float = Field(ge=0)
    impedance_mrayl: float = Field(gt=0)
    lumps_db: float = Field(ge=0)
    streaks_db: float = Field(ge=0)


class Annotator(Section):
    """The simulated annotator of key frames."""

    key_frames: int = Field(ge=2)
    frames_per_class: int = Field(ge=0)
    contour_error_mm: float = Field(ge=0)
    contour_correlation_mm: float = Field(gt=0)
    smallest_area_mm2: float = Field(ge=0)


class Video(Section):
    """The video container."""

    frames_per_second: int = Field(gt=0)
    crf: int = Field(ge=0, le=51)
    group_of_pictures: int = Field(ge=1)
    preset: str


class SimulateCohort(Section):
    """The simulated ultrasound cohort."""

    workers: int = Field(ge=1)
    patients: dict[Group, Patients]
    ascites_share: float = Field(ge=0, le=1)
    ascites_thickness_mm: float = Field(gt=0)
    build: dict[Group, Build]
    views: dict[Group, Views]
    search: Search
    acquisition: Acquisition
    physics: Physics
    tissues: dict[str, Tissue]
    annotator: Annotator
    video: Video


class GeneralSet(Section):
    """Size of one general-domain set."""

    train: int = Field(ge=1)
    test: int = Field(ge=0)


class Pose(Section):
    """How a body of the general-domain sets lies in its scan; without it, organs stand at the same voxels in all."""

    shift: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]
    turn_deg: float = Field(ge=0)
    size: Range


class SimulateGeneral(Section):
    """The simulated general-domain sets."""

    workers: int = Field(ge=1)
    sets: dict[Literal["amos", "totalsegmentator", "brats"], GeneralSet]
    size: IntRange
    spacing_mm: Range
    pose: Pose


class Simulate(Section):
    """See params.yaml, section `simulate`, for the meaning of each value."""

    cohort: SimulateCohort
    general: SimulateGeneral
