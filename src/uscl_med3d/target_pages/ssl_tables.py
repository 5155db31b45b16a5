"""How the tables of target `ssl` are shown, and why cells of theirs are empty."""

from __future__ import annotations

import pandas as pd

from uscl_med3d.core.params.ssl import NONE
from uscl_med3d.ssl.words import ALL, LINEAR, UNTUNED, name_labelled
from uscl_med3d.target_pages.tables import Column, Row, Table, interval, is_empty

COMPARED = {"minus_random": "random", "minus_shuffled": "labels_shuffled"}
"""Columns of the probe table -> the arm that is compared with."""
P = Column("p", "p", digits=3)


def _explain_table8(row: Row, column: str) -> str:
    if row["start"] == NONE:
        return "it is the start that the others are compared with"
    if row["labelled_per_group"] == name_labelled(UNTUNED):
        return "the base model without a fine-tune is not compared with a fine-tune"
    return ""


def _explain_probe(row: Row, column: str) -> str:
    if row["target"] != "mean":
        return "only the mean over structures is compared, and has a spread over seeds"
    if row["arm"] == COMPARED.get(column):
        return "it is the arm that the others are compared with"
    if column == "seed_sd":
        return "one training seed" if row["seeds"] == 1 else ""
    return "the arm to compare with has no such probe" if column in COMPARED else ""


def _explain_augment(row: Row, column: str) -> str:
    return "a combination is not tested; main effects are" if row["kind"] == "cell" else ""


def _explain_metadata(row: Row, column: str) -> str:
    if row["arm"] != "byol":
        return ""
    return "no branch" if column == "branch_accuracy" else "it is what the others are compared with"


def _explain_collapse(row: Row, column: str) -> str:
    if column == "labelled":
        return "pretraining sees no labels"
    if column == "training_seed":
        return "one training seed alone"
    if not is_empty(row["feature_std_after"]):
        return "a fine-tuned encoder is watched after its training only" if column.endswith("_before") else ""
    return "no encoder to watch" if row["encoder"] == "frames" else "its curve has no collapse watch"


def _after_all_clicks(table: pd.DataFrame) -> pd.Series:
    return table["clicks"] == table["clicks"].max()


def _linear_means(table: pd.DataFrame) -> pd.Series:
    wanted = (
        (table["probe"] == LINEAR) & (table["target"] == "mean") & (table["labelled"] == name_labelled(ALL))
    )
    return wanted & ~table["arm"].str.startswith("augment")


TABLE8 = Table(
    "table8",
    "Table 8. Dice after a fine-tune, by start and number of labelled patients",
    "Test patients, Dice (0–100) with 95 % intervals over patients. `none`: no pretext task. `untuned`: "
    "the base model without a fine-tune. Minus `none`: paired on the same patients; p before any "
    "correction. Rows after the last click; all rows below them.",
    (
        Column("Start", "start"),
        Column("Labelled patients · per group", "labelled_per_group"),
        Column("Labelled patients, · all", "labelled_patients", digits=0),
        Column("Clicks", "clicks", digits=0),
        Column("Dice", *interval("dice"), digits=1),
        Column("Minus none", *interval("minus_none", "minus_none_low", "minus_none_high"), digits=1),
        P,
        Column("Test patients", "test_patients", digits=0),
        Column("Seeds", "seeds", digits=0),
    ),
    _explain_table8,
    _after_all_clicks,
    ("start", "labelled_patients", "clicks"),
)
PROBE = Table(
    "probe",
    "Probes of the features of single frames",
    "AUROC in percent of cells at the same place; 50 is what knows nothing. Intervals resample patients "
    "within their group, training seeds and draws of labels. Shown first: the linear probe with all "
    "labelled patients, mean over structures; all probes and structures below.",
    (
        Column("Arm", "arm"),
        Column("Probe", "probe"),
        Column("Labelled patients · per group", "labelled"),
        Column("Structure", "target"),
        Column("AUROC", *interval("auroc"), digits=1),
        Column(
            "Minus random weights",
            *interval("minus_random", "minus_random_low", "minus_random_high"),
            digits=1,
        ),
        Column(
            "Minus taught · wrong masks",
            *interval("minus_shuffled", "minus_shuffled_low", "minus_shuffled_high"),
            digits=1,
        ),
        Column("SD over seeds", "seed_sd", digits=1),
        Column("Seeds", "seeds", digits=0),
        Column("Draws", "draws", digits=0),
        Column("Patients", "patients", digits=0),
    ),
    _explain_probe,
    _linear_means,
)
AUGMENT = Table(
    "augment",
    "The factorial of augmentations",
    "`cell`: AUROC of the pretext task with this combination, linear probe. `main effect`: mean AUROC with "
    "the change minus without it. p before any correction.",
    (
        Column("Kind", "kind"),
        Column("Combination, or change", "name"),
        Column("AUROC", *interval("auroc"), digits=1),
        Column("Seeds", "seeds", digits=0),
        P,
    ),
    _explain_augment,
)
METADATA = Table(
    "metadata",
    "BYOL with a branch that is told metadata",
    "AUROC of the linear probe on test patients. Validation: the AUROC (0–1) by which the weight of the "
    "branch is chosen. Accuracy of the branch: percent, on its own training images.",
    (
        Column("Arm", "arm"),
        Column("The branch is told", "metadata"),
        Column("Of another patient", "shuffled"),
        Column("Weight", "branch_weight", digits=1),
        Column("Validation", "validation", digits=3),
        Column("Accuracy · of the branch", "branch_accuracy", digits=1),
        Column("AUROC", *interval("auroc"), digits=1),
        Column("Minus BYOL", *interval("minus_byol", "minus_byol_low", "minus_byol_high"), digits=1),
        Column("Seeds", "seeds", digits=0),
    ),
    _explain_metadata,
)
COLLAPSE = Table(
    "collapse",
    "Collapse watch of every encoder",
    "Spread (standard deviation of normalised features; 1 is an even spread, near 0 all images look alike) "
    "and effective rank of the features, before and after. Validation images; for fine-tuned encoders the "
    "middle crops of test sweeps.",
    (
        Column("Encoder", "encoder"),
        Column("Stage", "stage"),
        Column("Name", "name"),
        Column("Labelled", "labelled"),
        Column("Training seed", "training_seed", digits=0),
        Column("Spread · before", "feature_std_before", digits=4),
        Column("Spread · after", "feature_std_after", digits=4),
        Column("Effective rank · before", "effective_rank_before", digits=1),
        Column("Effective rank · after", "effective_rank_after", digits=1),
        Column("Collapsed", "collapsed"),
    ),
    _explain_collapse,
    lambda table: (table["encoder"] == "SAM-Med3D") & (table["stage"] == "pretraining"),
)
PATIENTS = Table(
    "patients",
    "What the simulator drew of every patient",
    "Size of the body (1: mean) and thickness of the wall above everything that is looked for; classes are "
    "thirds within each group.",
    (
        Column("Patient", "patient"),
        Column("Group", "group"),
        Column("Size", "size", digits=2),
        Column("Wall, mm", "wall_mm", digits=1),
        Column("Class of the wall", "body_wall_class", digits=0),
        Column("Class of the size", "body_size_class", digits=0),
    ),
)
TABLES = (TABLE8, PROBE, AUGMENT, METADATA, COLLAPSE, PATIENTS)
