"""Claims about pseudo-labels: section 2.1."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from uscl_med3d.core import seeds
from uscl_med3d.report.claims.claim import Claim, Evidence, Finding
from uscl_med3d.report.figures.pseudolabel_quality import METHODS, REFERENCES, read_quality
from uscl_med3d.report.patients import AVERAGED, combine, gather
from uscl_med3d.report.statistics import Difference, judge


def compare_proposals(evidence: Evidence) -> Sequence[Finding]:
    """SegGPT minus each trivial alternative, against each reference that the cohort has; patients are the unit."""
    quality = read_quality(evidence.pseudolabels_dir)
    findings = []
    for reference, words in REFERENCES.items():
        rows = quality[quality["reference"] == reference]
        for method in ("nearest_key_frame", "shape_interpolation"):
            result = _difference(evidence, rows, method) if len(rows) else None
            if result is not None:
                findings.append(Finding(f"SegGPT minus {METHODS[method][0]}, {words}", result))
    return findings or [Finding("", "no quality.csv: pseudo-labels were not scored against any human mask")]


def _difference(evidence: Evidence, rows: pd.DataFrame, other: str) -> Difference | None:
    report = evidence.context.job.report
    cases = rows.assign(case=rows["sweep"] + ":" + rows["frame"].astype(str), training_seed=0)
    cases = cases[cases["dice"].notna()]
    terms = [
        (sign, cases.loc[cases["method"] == method, list(AVERAGED)])
        for sign, method in ((1.0, "seggpt"), (-1.0, other))
    ]
    sums = gather(combine(terms), evidence.context.classes, "value")
    if not sums.patients:
        return None
    return judge(
        [sums],
        margin=0.0,
        paired=True,
        confidence=report.confidence,
        n_boot=report.n_boot,
        n_permutations=report.n_permutations,
        alpha=report.alpha,
        power=report.power,
        rng=seeds.rng(evidence.context.job.seed, "report", "pseudolabels", other, rows["reference"].iloc[0]),
    )


PSEUDOLABEL_CLAIMS = (
    Claim(
        id="pseudolabels",
        claim="SegGPT with a few key frames gives reliable masks for the other frames of a sweep.",
        source="section 2.1.2",
        test="SegGPT beats copying the nearest key frame and interpolating shapes, on every reference at hand; losing "
        "to one of them refutes that a model is needed.",
        paper_numbers=lambda: "no number is given",
        examine=compare_proposals,
    ),
)
