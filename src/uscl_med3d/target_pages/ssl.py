"""The page of target `ssl`: pretext tasks compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from uscl_med3d.report.html.page import paragraph
from uscl_med3d.report.words import count, signed
from uscl_med3d.ssl.claims import CONTROL, NEGATIVES, SUPPORTED
from uscl_med3d.ssl.words import LINEAR
from uscl_med3d.target_pages.claims import Judged, count_verdicts, read_judged, show_claims, write_interval
from uscl_med3d.target_pages.files import TargetFiles
from uscl_med3d.target_pages.ssl_tables import AUGMENT, COLLAPSE, METADATA, PATIENTS, PROBE, TABLE8, TABLES
from uscl_med3d.target_pages.tables import form, is_empty
from uscl_med3d.target_pages.target import Target, draw, show

COMMAND = "snakemake --cores all ssl"
CONTROLS = (CONTROL, *NEGATIVES)
ON_FRAMES, IN_3D = "C1", "T8 "
"""Claims that a pretext task helps: beginnings of their names, on single frames and in SAM-Med3D."""
CONTROL_WORDS = (
    ("place", "the place of the cell alone; 50 by construction"),
    ("random", "features of the network before any training"),
    ("pixels", "the mean grey values around the cell"),
    ("linear, labels shuffled", "what a probe reaches with the masks of other frames"),
    ("labels", "positive control: the same network, taught the labels of the cells"),
    ("labels_shuffled", "negative control: taught the masks of other frames"),
    ("byol_random_1", "the branch is told a class that is drawn anew for every image"),
    ("byol_wall_shuffled", "the branch is told the body wall of another patient"),
)


def read_claims(files: TargetFiles) -> list[Judged]:
    """Every claim with its reason; of one that was tested, the reason is its p."""
    found = files.read("claims")
    if found is None:
        return []
    rows = found.to_dict("records")
    return [
        read_judged(
            row,
            row["text"],
            str(row["claim"]),
            _why(row),
            "–" if is_empty(row["measure"]) else row["measure"],
        )
        for row in rows
    ]


def _why(row: Any) -> str:
    """The reason that the table gives; else p before and after the correction, which is what the verdict is read from."""
    if not is_empty(row["reason"]):
        return str(row["reason"])
    if is_empty(row["p"]):
        return "not tested, and the table gives no reason"
    own = f"p = {row['p']:.3f}"
    if is_empty(row["p_holm"]):
        return f"{own}, its own: a correction would make it easier not to be supported"
    return f"{own}; {row['p_holm']:.3f} corrected over all claims (Holm)"


def is_held(claim: Judged) -> bool:
    """Whether a control is as it must be: the positive one supported, the negative ones not."""
    return (claim.verdict == SUPPORTED) == (claim.id == CONTROL)


def find_failed(claims: Sequence[Judged]) -> list[str]:
    """Names of controls that are not as they must be, or were not run; in their usual order."""
    judged = {claim.id: claim for claim in claims if claim.id in CONTROLS}
    return [name for name in CONTROLS if name not in judged or not is_held(judged[name])]


def summarise(files: TargetFiles) -> str:
    """Is any pretext task confirmed to help, by how much at most, and do the controls hold?"""
    claims = read_claims(files)
    if not claims:
        return "No result yet: claims.csv is missing."
    helps = [
        claim for claim in claims if claim.id.startswith((ON_FRAMES, IN_3D)) and claim.estimate is not None
    ]
    confirmed = [claim.id for claim in helps if claim.verdict == SUPPORTED]
    lead = (
        f"Confirmed to help: {', '.join(confirmed)}" if confirmed else "No pretext task is confirmed to help"
    )
    lead += f" ({len(confirmed)} of {count(len(helps), 'comparison')} with no pretraining supported)"
    most = [
        _most([claim for claim in helps if claim.id.startswith(start)], unit)
        for start, unit in ((ON_FRAMES, "AUROC points on single frames"), (IN_3D, "Dice points in SAM-Med3D"))
    ]
    failed = find_failed(claims)
    held = f"controls do NOT hold: {', '.join(failed)}" if failed else "the controls hold"
    largest = " and ".join(text for text in most if text)
    return "; ".join(part for part in (lead, largest and f"at most {largest}", held) if part) + "."


def _most(claims: list[Judged], unit: str) -> str:
    """The claim with the largest estimate, in words; nothing where there is none."""
    if not claims:
        return ""
    best = max(claims, key=lambda claim: claim.estimate or 0.0)
    return f"{signed(best.estimate or 0.0, 1)}{write_interval(best.low, best.high, 1)} {unit} ({best.id})"


def overview(job: Any, files: TargetFiles) -> str:
    """Verdicts, and what two encoders are compared."""
    text = (
        "A pretext task learns from sweeps without labels. Two encoders are compared: the adapters of "
        "SAM-Med3D, as in the paper (Table 8: Dice after a short fine-tune), and a small network of single "
        "frames, from random weights (probes of its frozen features). At the default scale "
        "everything is small and trained for minutes: “undecided” is no evidence against a task."
    )
    claims = read_claims(files)
    if not claims:
        return paragraph(text) + paragraph("claims.csv is missing: no claim is judged.", "note")
    verdicts = pd.Series([claim.verdict for claim in claims if claim.id not in CONTROLS])
    failed = find_failed(claims)
    said = (
        f"Controls that do not hold: {', '.join(failed)}. Claims on frames are not testable."
        if failed
        else "The controls hold: the probes tell a taught encoder from random weights, and reward neither wrong labels nor "
        "place (section Controls)."
    )
    return paragraph(text) + count_verdicts(verdicts) + paragraph(said, "note bad" if failed else "note good")


def controls(job: Any, files: TargetFiles) -> str:
    """Could a number come out if nothing had been learned? Controls, and the collapse watch."""
    found = [claim for claim in read_claims(files) if claim.id in CONTROLS]
    text = (
        "Could a number come out if nothing had been learned? C0 must be supported, C0n and C0s must not be."
    )
    parts = [paragraph(text)]
    parts.append(
        show_claims(found, "Measured") if found else paragraph("claims.csv has no controls.", "note")
    )
    listed = "".join(f"<li><code>{name}</code>: {words}</li>" for name, words in CONTROL_WORDS)
    parts.append(f"<p>Controls among the rows of the tables below:</p><ul>{listed}</ul>")
    return "".join([*parts, _watch(files.read("collapse")), show(COLLAPSE, files, COMMAND)])


def _watch(table: pd.DataFrame | None) -> str:
    """How many encoders were watched, how many collapsed, and the smallest spread."""
    if table is None or table.empty:
        return ""
    watched = table[table["collapsed"].isin(["yes", "no"])]
    fallen = watched[watched["collapsed"] == "yes"]
    least = watched.nsmallest(1, "feature_std_after").to_dict("records")
    text = f"Collapse watch: {len(fallen)} of {count(len(watched), 'encoder')} give all images the same features."
    for one in least:
        text += f" The smallest spread is {form(one['feature_std_after'], 4)} ({one['name']})."
    if len(fallen):
        text += f" Collapsed: {', '.join(sorted(set(fallen['name'])))}."
    return paragraph(text, "note bad" if len(fallen) else "note good")


def table8(job: Any, files: TargetFiles) -> str:
    """Figure and table of Table 8."""
    caption = (
        "Dice of test patients over the number of labelled patients, one line per pretext task, with 95 % "
        "intervals over patients. Dotted: the base model as it comes. All starts get the same labelled "
        "patients and the same crops; one training seed."
    )
    return draw("table8", "Table 8 as a figure", caption, files) + show(TABLE8, files, COMMAND)


def frames(job: Any, files: TargetFiles) -> str:
    """Figure and table of the probes."""
    caption = (
        "AUROC of the probes, as their mean over structures and for each structure; cells are compared at "
        f"the same place only, so 50 is what knows nothing. Circles: {LINEAR} probe; squares: k-NN; "
        "crosses: labels shuffled, which must lie near 50. 95 % intervals over patients and training seeds."
    )
    return draw("probes", "Probes of frozen features", caption, files) + show(PROBE, files, COMMAND)


def augment(job: Any, files: TargetFiles) -> str:
    """Figure and table of the factorial."""
    task = job.ssl.frames.augment.task
    caption = (
        f"Pretext task: {task}. Left: every combination of changes of a view. Right: what each change does, "
        "mean AUROC with it minus without it; where the interval crosses the line, nothing is said. The p "
        "here is before the correction over all claims."
    )
    return draw("augment", "Augmentations, every combination", caption, files) + show(AUGMENT, files, COMMAND)


def metadata(job: Any, files: TargetFiles) -> str:
    """Figure and table of the patient branch."""
    caption = (
        "BYOL with a branch that is told something of the patient. Left: AUROC minus that of BYOL alone. "
        "Right: how often the branch is right on its own training images. The controls are told nothing "
        "true: only what is above them counts."
    )
    shown = draw("metadata", "A branch that is told metadata", caption, files)
    if files.read(PATIENTS.name) is None:
        without = paragraph("No patients.csv: a cohort that was not simulated has no such metadata.", "note")
        return shown + show(METADATA, files, COMMAND) + without
    return shown + show(METADATA, files, COMMAND) + show(PATIENTS, files, COMMAND)


def claims(job: Any, files: TargetFiles) -> str:
    """Every claim but the controls: on frames, in Table 8, and those that were not tested."""
    found = [claim for claim in read_claims(files) if claim.id not in CONTROLS]
    if not found:
        return paragraph(f"claims.csv is missing. It is made by: {COMMAND}", "note")
    caption = (
        "Every tested claim with its estimate and 95 % interval; the colour is the verdict, which is read "
        "from the test corrected over all claims."
    )
    text = (
        "A claim is supported or contradicted where its test, corrected over all claims (Holm), is below "
        f"{job.report.alpha:g}; estimates are in points of what was measured. An interval that leaves out "
        "zero is not enough."
    )
    in_3d = [claim for claim in found if claim.id.startswith(IN_3D)]
    left = [claim for claim in found if claim.estimate is None]
    rest = [claim for claim in found if claim not in in_3d and claim not in left]
    return "".join(
        [
            draw("verdicts", "All claims", caption, files),
            paragraph(text, "muted"),
            "<h3>On single frames</h3>" + show_claims(rest, "Measured"),
            "<h3>In SAM-Med3D (Table 8)</h3>"
            + show_claims(in_3d, "Measured", f"all {count(len(in_3d), 'claim')}"),
            "<h3>Without an estimate</h3>" + show_claims(left, "Measured"),
        ]
    )


TARGET = Target(
    name="ssl",
    stage="ssl",
    folder="ssl",
    figures="figures",
    main="ssl/claims.csv",
    tables=("claims", *(table.name for table in TABLES)),
    curves="*.csv",
    title="USCL-Med3D: what unlabelled sweeps teach",
    asked="Does a pretext task on sweeps without labels help what is learned afterwards, and which one helps most: VCL, "
    "SimCLR, BYOL, masked autoencoding, or what is known of the patient?",
    command=COMMAND,
    again="uscl-med3d regenerate",
    doc="docs/ssl.md",
    summarise=summarise,
    overview=overview,
    sections=(
        ("controls", "Controls", controls),
        ("starts", "Table 8", table8),
        ("frames", "Single frames", frames),
        ("views", "Augmentations", augment),
        ("patients", "Metadata", metadata),
        ("claims", "Claims", claims),
    ),
)
