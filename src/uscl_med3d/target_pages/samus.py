"""The page of target `samus`: the article's experiments on simulated single images."""

from __future__ import annotations

from typing import Any

import pandas as pd

from uscl_med3d.report.html.page import paragraph
from uscl_med3d.target_pages.claims import Judged, count_verdicts, read_judged, show_claims, write_interval
from uscl_med3d.target_pages.files import TargetFiles
from uscl_med3d.target_pages.tables import Column, Row, Table, form, interval
from uscl_med3d.target_pages.target import Target, draw, show

COMMAND = "snakemake --cores all samus"
ALL, DISC, OURS, CONTROL = "all", "disc at the click", "SAMUS", "image"
OTHER = (
    "“Another image”: another patient's image with the same clicks, the control; the difference is what a method owes "
    "to the image. "
)


def _scores(prefix: str, where: str) -> tuple[Column, ...]:
    """Dice, Dice on another image, and the difference."""
    return (
        Column(f"Dice{where}", *interval(f"{prefix}dice", f"{prefix}ci_low", f"{prefix}ci_high"), digits=1),
        Column(f"another · image{where}", f"{prefix}dice_other", digits=1),
        Column(
            f"own minus · another{where}",
            *interval(f"{prefix}own_minus_other", f"{prefix}own_low", f"{prefix}own_high"),
            digits=1,
        ),
    )


def _explain_gain(row: Row, column: str) -> str:
    return "the first row of a set: there is none above it" if column.startswith("gain") else ""


def _explain_cost(row: Row, column: str) -> str:
    return "not trained here" if column == "training_mb" else ""


METHOD, SET, POINTS = Column("Method", "method"), Column("Set", "set"), Column("Clicks", "points", digits=0)
SCANNER = Column("Scanner", "scanner")
COST = (
    Column("Image, px", "image_size", digits=0),
    Column("Parameters", "parameters", digits=0),
    Column("Trained", "trained", digits=0),
    Column("Training memory, · MB", "training_mb", digits=1),
    Column("GFLOP · per image", "gflop", digits=3),
)
S1 = Table(
    "s1",
    "S1. Task-specific networks, each trained on one part of the body, against SAMUS",
    "Seen scanner. Dice in percent with 95 % intervals over patients. "
    + OTHER
    + "The disc does not look at the image. Distance: 95th "
    "percentile of the distance between borders, in pixels.",
    (
        METHOD,
        Column("Trained on", "trained_on"),
        SET,
        POINTS,
        *_scores("", ""),
        Column("Distance, px", "hd95_px", digits=1),
        Column("Empty masks", "empty", digits=0),
        Column("Images", "images", digits=0),
        Column("Patients", "patients", digits=0),
    ),
    first=lambda table: table["set"] == ALL,
)
S2 = Table(
    "s2",
    "S2. Foundation models on the seen and the unseen scanner",
    "Trained on the seen scanner alone; the same test patients lie under both. Dice in percent with 95 % "
    "intervals over patients. "
    + OTHER
    + "Drop: Dice on the seen minus Dice on the unseen scanner, same patients.",
    (
        METHOD,
        SET,
        POINTS,
        *_scores("seen_", ", seen"),
        *_scores("unseen_", ", unseen"),
        Column("Drop", *interval("drop", "drop_low", "drop_high"), digits=1),
    ),
    first=lambda table: table["set"] == ALL,
)
S3 = Table(
    "s3",
    "S3. Components of SAMUS, added in the article's order",
    "Gain: Dice minus that of the row above, same patients. " + OTHER,
    (
        METHOD,
        SET,
        SCANNER,
        POINTS,
        *_scores("", ""),
        Column("Gain", *interval("gain", "gain_low", "gain_high"), digits=1),
    ),
    _explain_gain,
    lambda table: table["set"] == ALL,
)
S4_CLICKS = Table(
    "s4_clicks",
    "S4. One, three, five and ten clicks",
    "Further clicks are placed on the method's errors, by the simulator that the parameters name. " + OTHER,
    (METHOD, SET, SCANNER, POINTS, *_scores("", "")),
    first=lambda table: (table["set"] == ALL) & (table["scanner"] == "seen"),
)
S4_PLACES = Table(
    "s4_places",
    "S4. The place of one click",
    "Several first clicks per structure. Spread: standard deviation of Dice over the places within a "
    "structure, mean over structures. Range: largest minus smallest mean of the places, which is what the "
    "article reports. The disc's Dice depends on the place alone.",
    (
        METHOD,
        SET,
        SCANNER,
        Column("Places", "places", digits=0),
        Column("Dice", "dice", digits=1),
        Column("Spread", *interval("spread", "spread_low", "spread_high"), digits=1),
        Column("Range of means", *interval("range", "range_low", "range_high"), digits=1),
    ),
    first=lambda table: (table["set"] == ALL) & (table["scanner"] == "seen"),
)
S5 = Table(
    "s5",
    "S5. What a foundation model costs, and its Dice on both scanners",
    "Training memory at batch 1: bytes of weights, gradients, the optimiser's numbers and all tensors that "
    "the backward pass needs, counted, not measured. Dice after one click (SAMed takes none), all "
    "structures.",
    (
        METHOD,
        *COST,
        Column("Dice, seen", "seen_dice", digits=1),
        Column("Dice, unseen", "unseen_dice", digits=1),
    ),
    _explain_cost,
)
COUNTED = Table(
    "counted",
    "The same counts for every method",
    "As in S5, with the task-specific networks.",
    (METHOD, *COST),
    _explain_cost,
)
SPEED = Table(
    "s5_speed",
    "Images per second",
    "Measured on the machine of the run, median of the repetitions; other machines give other numbers.",
    (
        METHOD,
        Column("Images per second", "frames_per_second", digits=1),
        Column("Repetitions", "repeats", digits=0),
    ),
)
TABLES = (S1, S2, S3, S4_CLICKS, S4_PLACES, S5, COUNTED, SPEED)


def read_claims(files: TargetFiles) -> list[Judged]:
    """Claims of the article, with the control among them."""
    found = files.read("claims")
    if found is None:
        return []
    rows = found.to_dict("records")
    where = [f"{row['source']}. Test: {row['test']}" for row in rows]
    return [
        read_judged(row, row["claim"], place, row["why"], row["paper_numbers"])
        for row, place in zip(rows, where, strict=True)
    ]


def summarise(files: TargetFiles) -> str:
    """SAMUS after one click, beside the disc and the best network without a click; then the verdicts."""
    claims, table = read_claims(files), files.read("s2")
    if not claims or table is None or table.empty:
        return "No result yet: claims.csv or s2.csv is missing."
    rows = table[table["set"] == ALL].set_index("method")
    parts = []
    if OURS in rows.index:
        own: Any = rows.loc[OURS]
        dice = form(own["seen_dice"], 1) + write_interval(own["seen_ci_low"], own["seen_ci_high"], 1)
        owed = form(own["seen_own_minus_other"], 1) + write_interval(
            own["seen_own_low"], own["seen_own_high"], 1
        )
        parts.append(
            f"On simulated stills after one click SAMUS has {dice} Dice, of which it owes {owed} to the image"
        )
    if DISC in rows.index:
        parts.append(f"a disc that does not look has {form(rows.loc[DISC, 'seen_dice'], 1)}")
    if (best := _best_without_click(files)) is not None:
        parts.append(f"{best[0]}, without a click, {form(best[1], 1)}")
    verdicts = pd.Series([claim.verdict for claim in claims if claim.id != CONTROL])
    counted = ", ".join(f"{number} {name}" for name, number in verdicts.value_counts(sort=False).items())
    return f"{'; '.join(parts)}. Of {len(verdicts)} claims of the article: {counted}."


def _best_without_click(files: TargetFiles) -> tuple[str, float] | None:
    """Name and Dice of the best network that gets no click, over all parts of the body."""
    table = files.read("s1")
    if table is None or table.empty:
        return None
    table = table[(table["set"] == ALL) & (pd.to_numeric(table["points"], errors="coerce") == 0)]
    dice = pd.to_numeric(table["dice"], errors="coerce")
    best = table.assign(dice=dice).dropna(subset=["dice"]).nlargest(1, "dice").to_dict("records")
    return (str(best[0]["method"]), float(best[0]["dice"])) if best else None


def overview(job: Any, files: TargetFiles) -> str:
    """Verdicts, the control, and what the images are."""
    scans, claims = job.samus.scans, read_claims(files)
    text = (
        "The article's sets may not be copied, so its experiments run on simulated stills of "
        f"{' and '.join(scans.parts)}, from a seen and an unseen scanner. The networks are small and, at the "
        "default scale, trained for minutes: nothing here speaks of the official weights."
    )
    parts = [paragraph(text, "note")]
    if not claims:
        return "".join([*parts, paragraph("claims.csv is missing: no claim is judged.", "note")])
    parts.append(count_verdicts(pd.Series([claim.verdict for claim in claims if claim.id != CONTROL])))
    return "".join([*parts, *(_control(claim) for claim in claims if claim.id == CONTROL)])


def _control(claim: Judged) -> str:
    holds = claim.verdict == "supported"
    found = "" if claim.estimate is None else f" {form(claim.estimate, 1)}"
    number = f"{found}{write_interval(claim.low, claim.high, 1)} ({claim.why})"
    after = "" if holds else " So claims about its Dice are not testable: they may only say where clicks lie."
    text = f"Control “{claim.claim.rstrip('.')}”: {claim.verdict},{number}.{after}"
    return paragraph(text, "note good" if holds else "note bad")


def claims(job: Any, files: TargetFiles) -> str:
    """Every claim of the article, judged."""
    found = read_claims(files)
    if not found:
        return paragraph(f"claims.csv is missing. It is made by: {COMMAND}", "note")
    text = (
        "A claim that joins several comparisons is supported when all of them are above zero, and "
        "contradicted when one is below zero at an interval widened by their number. The estimate is the "
        "weakest of them, in Dice points unless the test says otherwise; a count has no interval."
    )
    return paragraph(text, "muted") + show_claims(found, "The article's own numbers")


def task(job: Any, files: TargetFiles) -> str:
    """S1."""
    return show(S1, files, COMMAND)


def foundation(job: Any, files: TargetFiles) -> str:
    """S2."""
    return show(S2, files, COMMAND)


def ablation(job: Any, files: TargetFiles) -> str:
    """S3."""
    return show(S3, files, COMMAND)


def prompts(job: Any, files: TargetFiles) -> str:
    """S4."""
    return show(S4_CLICKS, files, COMMAND) + show(S4_PLACES, files, COMMAND)


def deployment(job: Any, files: TargetFiles) -> str:
    """S5 and its figure."""
    caption = (
        "Each spoke is a share of the best method's value, so outside is better. SAM was not trained, so "
        "its line is open. The cross is the disc, which does not look at the image. Images per second were "
        "measured; all else is counted or scored."
    )
    shown = draw("s5_radar", "S5 in one picture", caption, files)
    return shown + "".join(show(table, files, COMMAND) for table in (S5, COUNTED, SPEED))


TARGET = Target(
    name="samus",
    stage="samus",
    folder="samus",
    figures="",
    main="samus/claims.csv",
    tables=("claims", *(table.name for table in TABLES)),
    curves="*.csv",
    title="USCL-Med3D: SAMUS and its relatives on simulated single images",
    asked="Does what SAMUS's article says hold on simulated stills: is it the best on seen and unseen scanners, does each "
    "component help, and does it look at the image at all?",
    command=COMMAND,
    again="uscl-med3d regenerate",
    doc="docs/samus.md",
    summarise=summarise,
    overview=overview,
    sections=(
        ("claims", "Claims", claims),
        ("s1", "Task-specific networks", task),
        ("s2", "Foundation models", foundation),
        ("s3", "Components", ablation),
        ("s4", "Clicks", prompts),
        ("s5", "Deployment", deployment),
    ),
)
