"""Claims about the general-domain sets: Table 2 and the text around it."""

from __future__ import annotations

from itertools import pairwise

from uscl_med3d.report.claims.build import GENERAL, against, change_of_lead
from uscl_med3d.report.claims.build import REGISTRY_SAM as SAM
from uscl_med3d.report.claims.build import REGISTRY_USCL as USCL
from uscl_med3d.report.claims.claim import Claim, bears_out, list_values, table2
from uscl_med3d.report.contrasts import Contrast
from uscl_med3d.report.tables.context import DATASETS, Context
from uscl_med3d.report.words import count

FLAT = ("SAM", "MobileSAM", "TinySAM", "SAM-Med2D")
SETS = tuple(DATASETS[name] for name in GENERAL)


def _few(context: Context) -> int:
    return min(context.job.report.points)


def _ahead_at_few(context: Context, others: tuple[str, ...]) -> list[Contrast]:
    few = _few(context)
    return [
        against(
            context,
            USCL,
            other,
            name,
            few,
            f"USCL-Med3D minus {other}, {DATASETS[name]}, {count(few, 'click')}",
        )
        for other in others
        for name in GENERAL
    ]


def _ahead_at_few_paper(others: tuple[str, ...]) -> str:
    cells = {
        (other, name): table2("USCL-Med3D", name, 1) - table2(other, name, 1)
        for other in others
        for name in SETS
    }
    behind = [
        f"{name} {table2('USCL-Med3D', name, 1):g} < {other} {table2(other, name, 1):g}"
        for (other, name), lead in cells.items()
        if lead < 0
    ]
    text = f"ahead in {sum(lead > 0 for lead in cells.values())} of {len(cells)} cells at 1 click"
    return bears_out(not behind, "; ".join([text, *behind]))


def _behind_at_few(context: Context) -> list[Contrast]:
    few = _few(context)
    return [
        against(
            context,
            SAM,
            USCL,
            name,
            few,
            f"SAM-Med3D minus USCL-Med3D, {DATASETS[name]}, {count(few, 'click')}",
        )
        for name in GENERAL
    ]


def _gap(name: str, points: int) -> float:
    return table2("USCL-Med3D", name, points) - table2("SAM-Med3D", name, points)


def _behind_at_few_paper() -> str:
    gaps = [_gap(name, 1) for name in SETS]
    return bears_out(max(gaps) < 0, f"USCL-Med3D minus SAM-Med3D at 1 click: {list_values(gaps)}")


def _narrowing(context: Context) -> list[Contrast]:
    few, many = _few(context), context.last_point
    return [
        change_of_lead(
            context, USCL, SAM, name, few, many, f"{DATASETS[name]}: gap after {many} minus after {few}"
        )
        for name in GENERAL
    ]


def _narrowing_paper() -> str:
    texts, held = [], True
    for name in SETS:
        gaps = [_gap(name, points) for points in (1, 3, 5, 10)]
        held &= all(later >= earlier for earlier, later in pairwise(gaps))
        texts.append(f"{name} {list_values(gaps)}")
    return bears_out(held, "gaps at 1/3/5/10 clicks: " + "; ".join(texts))


def _amos(context: Context) -> list[Contrast]:
    return [against(context, USCL, SAM, "amos", context.last_point, "USCL-Med3D minus SAM-Med3D on AMOS")]


def _amos_paper() -> str:
    ours, base = table2("USCL-Med3D", "AMOS", 10), table2("SAM-Med3D", "AMOS", 10)
    cells = [_gap(name, points) for name in SETS for points in (1, 3, 5, 10)]
    lost = sum(gap < 0 for gap in cells)
    sign = ">" if ours > base else "<"
    return bears_out(
        ours > base, f"{ours:g} {sign} {base:g}; USCL-Med3D loses {lost} of {len(cells)} cells of Table 2"
    )


def _keeps(context: Context) -> list[Contrast]:
    margin = context.job.report.margin
    return [
        against(
            context,
            USCL,
            SAM,
            name,
            context.last_point,
            f"{DATASETS[name]}: change plus {margin:g} points",
            margin=margin,
        )
        for name in GENERAL
    ]


def _keeps_paper() -> str:
    losses = [_gap(name, 10) for name in SETS]
    return f"changes at 10 clicks {list_values(losses)} points; 'good' has no number in the paper"


GENERAL_CLAIMS = (
    Claim(
        id="general-beats-2d",
        claim="With few clicks, USCL-Med3D beats the 2D methods outside ultrasound.",
        source="Table 2, section 3.1",
        test="After the first click, its paired difference to each 2D method on each set is above 0.",
        paper_numbers=lambda: _ahead_at_few_paper(FLAT),
        contrasts=lambda context: _ahead_at_few(context, FLAT),
    ),
    Claim(
        id="general-beats-fastsam3d",
        claim="With few clicks, USCL-Med3D beats FastSAM3D outside ultrasound.",
        source="Table 2, section 3.1",
        test="After the first click, its paired difference to FastSAM3D on each set is above 0.",
        paper_numbers=lambda: _ahead_at_few_paper(("FastSAM3D",)),
        contrasts=lambda context: _ahead_at_few(context, ("FastSAM3D",)),
    ),
    Claim(
        id="general-behind-sam-med3d",
        claim="With few clicks, USCL-Med3D lies behind SAM-Med3D outside ultrasound.",
        source="Table 2, section 3.1",
        test="After the first click, SAM-Med3D minus USCL-Med3D is above 0 on each set.",
        paper_numbers=_behind_at_few_paper,
        contrasts=_behind_at_few,
    ),
    Claim(
        id="general-gap-narrows",
        claim="More clicks narrow the gap to SAM-Med3D outside ultrasound.",
        source="section 3.1",
        test="USCL-Med3D minus SAM-Med3D rises from the first to the last click on each set.",
        paper_numbers=_narrowing_paper,
        contrasts=_narrowing,
    ),
    Claim(
        id="general-amos",
        claim="After ten clicks, USCL-Med3D beats SAM-Med3D on AMOS.",
        source="section 3.1",
        test="Paired difference on AMOS after the last click; above 0 confirms, below 0 refutes.",
        paper_numbers=_amos_paper,
        contrasts=_amos,
    ),
    Claim(
        id="general-kept",
        claim="USCL-Med3D keeps the base model's ability outside ultrasound.",
        source="sections 3.1 and 3.3",
        test="Its loss against SAM-Med3D is smaller than the margin (params report.margin) on each set.",
        paper_numbers=_keeps_paper,
        contrasts=_keeps,
    ),
)
