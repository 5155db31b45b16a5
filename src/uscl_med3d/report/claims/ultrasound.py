"""Claims about ultrasound: Table 1 and the text around it."""

from __future__ import annotations

from itertools import pairwise

from uscl_med3d.report.claims.build import (
    REGISTRY_SAM as SAM,
)
from uscl_med3d.report.claims.build import (
    REGISTRY_USCL as USCL,
)
from uscl_med3d.report.claims.build import against, change_of_lead, difference_of_datasets
from uscl_med3d.report.claims.claim import Claim, bears_out, list_values, reported_mean, table1, table4
from uscl_med3d.report.contrasts import Contrast
from uscl_med3d.report.reported import load_reported
from uscl_med3d.report.style import class_title
from uscl_med3d.report.tables.context import Context
from uscl_med3d.report.words import count


def _points() -> list[int]:
    return sorted(set(load_reported("table1")["points"]))


def _lead(points: int) -> float:
    return reported_mean("USCL-Med3D", points) - reported_mean("SAM-Med3D", points)


def _mean_lead(context: Context) -> list[Contrast]:
    return [against(context, USCL, SAM, "us", context.last_point, "USCL-Med3D minus SAM-Med3D")]


def _mean_lead_paper() -> str:
    ours, base = table4("lora(image_encoder+mask_decoder)", "3dus"), table4("baseline", "3dus")
    gain = ours - base
    return bears_out(
        gain > 0,
        f"{ours:g} − {base:g} = {gain:.2f} points ({gain / base:.1%} relative); the text calls it a per cent",
    )


def _every_cell(context: Context) -> list[Contrast]:
    return [
        against(context, USCL, SAM, "us", points, f"{class_title(name)}, {count(points, 'click')}", (name,))
        for points in context.job.report.points
        for name in context.classes
    ]


def _every_cell_paper(other: str) -> str:
    lead = table1("USCL-Med3D") - table1(other)
    return bears_out(
        bool((lead > 0).all()), f"ahead in {int((lead > 0).sum())} of {len(lead)} cells of Table 1"
    )


def _growing_lead(context: Context) -> list[Contrast]:
    return [
        change_of_lead(
            context, USCL, SAM, "us", few, many, f"lead after {count(many, 'click')} minus that after {few}"
        )
        for few, many in pairwise(sorted(context.job.report.points))
    ]


def _growing_lead_paper() -> str:
    leads = [_lead(points) for points in _points()]
    falls = sum(later < earlier for earlier, later in pairwise(leads))
    counts = "/".join(map(str, _points()))
    return bears_out(
        falls == 0, f"mean leads at {counts} clicks {list_values(leads)}: it falls {falls} times"
    )


def _fastsam3d(context: Context) -> list[Contrast]:
    return [
        against(
            context, USCL, "FastSAM3D", "us", points, f"USCL-Med3D minus FastSAM3D, {count(points, 'click')}"
        )
        for points in context.job.report.points
    ]


def _weak_base(context: Context) -> list[Contrast]:
    sets = ("amos", "totalsegmentator", "brats")
    return [
        difference_of_datasets(context, SAM, sets, ("us",), "SAM-Med3D: general-domain mean minus ultrasound")
    ]


def _weak_base_paper() -> str:
    elsewhere = [table4("baseline", name) for name in ("AMOS", "TotalSegmentator", "BraTS")]
    here = table4("baseline", "3dus")
    return bears_out(
        min(elsewhere) > here, f"ultrasound {here:g}, elsewhere {', '.join(f'{v:g}' for v in elsewhere)}"
    )


ULTRASOUND_CLAIMS = (
    Claim(
        id="us-lead",
        claim="On ultrasound, USCL-Med3D beats SAM-Med3D after ten clicks (by 23.14 %).",
        source="Table 1, section 3.1",
        test="Paired difference of the class mean after the last click; above 0 confirms, below 0 refutes.",
        paper_numbers=_mean_lead_paper,
        contrasts=_mean_lead,
    ),
    Claim(
        id="us-every-cell",
        claim="USCL-Med3D beats SAM-Med3D in every class and at every number of clicks.",
        source="Table 1, section 3.1",
        test="All paired differences by class and click count are above 0; one below 0 refutes.",
        paper_numbers=lambda: _every_cell_paper("SAM-Med3D"),
        contrasts=_every_cell,
    ),
    Claim(
        id="us-growing-lead",
        claim="The lead over SAM-Med3D grows with the number of clicks.",
        source="section 3.1",
        test="The change of the lead from each click count to the next is above 0; one below 0 refutes.",
        paper_numbers=_growing_lead_paper,
        contrasts=_growing_lead,
    ),
    Claim(
        id="us-fastsam3d",
        claim="USCL-Med3D beats FastSAM3D at every number of clicks on ultrasound.",
        source="Table 1, section 3.1",
        test="Paired differences of the class mean at every click count are above 0.",
        paper_numbers=lambda: _every_cell_paper("FastSAM3D"),
        contrasts=_fastsam3d,
    ),
    Claim(
        id="us-weak-base",
        claim="SAM-Med3D, trained without ultrasound, does poorly on ultrasound compared with CT and MR.",
        source="introduction, section 2.2.2, Table 4",
        test="Its mean on the general-domain sets minus that on ultrasound (different patients) is above 0.",
        paper_numbers=_weak_base_paper,
        contrasts=_weak_base,
    ),
)
