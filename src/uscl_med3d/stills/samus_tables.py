"""Tables S1 to S4 of SAMUS's article, on the simulated sets: what task-specific methods, foundation models, components
and clicks are worth. Dice and Hausdorff distance as in `stills.table`; intervals come from resampling patients.

Each table has its control: the disc at the click, which does not look at the image, and in `dice_other` the same
clicks on another patient's image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from uscl_med3d.core.params.samus import TASK
from uscl_med3d.stills.resample import Estimate, estimate
from uscl_med3d.stills.sets import ALL, IN_A_ROW

NOT_HERE = (
    "CPFNet",
    "CA-Net",
    "CE-Net",
    "AAU-Net",
    "Swin-Unet",
    "SETR",
    "MISSFormer",
    "TransUNet",
    "TransFuse",
    "FAT-Net",
    "H2Former",
)
"""Task-specific methods of the article that its repository does not have."""
WHY_NOT = "not in the article's repository, and not written here"
CLICK_SCORES = ["dice", "ci_low", "ci_high", "dice_other", "own_minus_other", "own_low", "own_high"]


@dataclass(frozen=True)
class Scores:
    """Scores of all methods (`sets.COLUMNS`), and how they are summarised.

    Attributes:
        settings: `core.params.samus.Samus` with its variants. seed: master seed.
    """

    rows: pd.DataFrame
    settings: Any
    seed: int

    def parts(self) -> list[str]:
        """Parts of the body, and all of them together where there are several."""
        names = list(self.settings.scans.parts)
        return [*names, ALL] if len(names) > 1 else names

    def of_role(self, *roles: str) -> list[str]:
        """Methods of some roles in the order of the parameters, without the variants of SAMUS."""
        entries = self.settings.methods.items()
        variants = {*self.settings.ablations[:-1], TASK}
        return [name for name, entry in entries if entry.role in roles and name not in variants]

    def label(self, name: str) -> str:
        """A method's name in tables."""
        return str(self.settings.methods[name].label)

    def pick(self, name: str, part: str, scanner: str, points: int = 1) -> pd.DataFrame:
        """Rows of a method on the images of a part of the body, from one scanner, after so many clicks in a row.

        Methods without clicks have their one row whatever `points` is.
        """
        sets = [f"{one}_{scanner}" for one in self.settings.scans.parts if part in (one, ALL)]
        at = self.rows[(self.rows["method"] == name) & self.rows["set"].isin(sets)]
        return at[at["points"].isin([0, points]) & (at["place"] == IN_A_ROW)]

    def estimate(self, rows: pd.DataFrame, column: str = "dice") -> Estimate:
        """Mean over structures of one column, with draws over patients."""
        return estimate(rows.assign(dice=rows[column]), self.settings.n_boot, self.seed)

    def own_minus_other(self, rows: pd.DataFrame) -> Estimate:
        """What a method owes to the image."""
        return self.estimate(rows.assign(own=rows["dice"] - rows["dice_other"]), "own")

    def summary(self, rows: pd.DataFrame) -> list[float]:
        """`CLICK_SCORES` of some rows."""
        mean = self.estimate(rows)
        return [
            *self.cells(mean),
            _round(self.estimate(rows, "dice_other").value),
            *self.cells(self.own_minus_other(rows)),
        ]

    def cells(self, one: Estimate) -> list[float]:
        """An estimate with its interval, for a table."""
        return [_round(value) for value in (one.value, *one.interval(self.settings.confidence))]


def table_s1(scores: Scores) -> pd.DataFrame:
    """S1: task-specific methods, each trained on one part of the body, against SAMUS, on the seen scanner's sets.

    SAMUS is there twice: trained on one part as its rivals are, and once for all parts.
    """
    columns = [
        "method",
        "trained_on",
        "set",
        "points",
        *CLICK_SCORES,
        "hd95_px",
        "empty",
        "images",
        "patients",
        "why",
    ]
    rows = []
    for part in scores.parts():
        for name in [*scores.of_role("task"), TASK, "samus", *scores.of_role("control")]:
            at = scores.pick(name, part, "seen")
            trained = "one part" if scores.settings.methods[name].role == "task" else "all parts"
            rows.append(
                [
                    scores.label(name),
                    trained,
                    part,
                    int(at["points"].iloc[0]),
                    *scores.summary(at),
                    _round(at["hd95_px"].mean()),
                    int(at["hd95_px"].isna().sum()),
                    at["image"].nunique(),
                    at["group"].nunique(),
                    "",
                ]
            )
    blank = ["–"] * (len(columns) - 3)
    rows += [[name, "–", *blank, WHY_NOT] for name in NOT_HERE]
    return pd.DataFrame(rows, columns=columns)


def table_s2(scores: Scores) -> pd.DataFrame:
    """S2: foundation models on the seen and the unseen scanner, and the drop between them on the same patients."""
    columns = ["method", "set", "points", *(f"seen_{name}" for name in CLICK_SCORES)]
    columns += [*(f"unseen_{name}" for name in CLICK_SCORES), "drop", "drop_low", "drop_high"]
    rows = []
    for part in scores.parts():
        for name in scores.of_role("foundation", "control"):
            seen, unseen = scores.pick(name, part, "seen"), scores.pick(name, part, "unseen")
            rows.append(
                [
                    scores.label(name),
                    part,
                    int(seen["points"].iloc[0]),
                    *scores.summary(seen),
                    *scores.summary(unseen),
                    *scores.cells(drop(scores, name, part)),
                ]
            )
    return pd.DataFrame(rows, columns=columns)


def drop(scores: Scores, name: str, part: str) -> Estimate:
    """Dice on the seen minus Dice on the unseen scanner, of the patients in whom both show a structure."""
    seen, unseen = scores.pick(name, part, "seen"), scores.pick(name, part, "unseen")
    both = set(seen["group"]) & set(unseen["group"])
    return scores.estimate(seen[seen["group"].isin(both)]) - scores.estimate(
        unseen[unseen["group"].isin(both)]
    )


def table_s3(scores: Scores) -> pd.DataFrame:
    """S3: components of SAMUS added to SAM one by one, after one click; `gain` is over the row above, paired."""
    columns = ["method", "set", "scanner", "points", *CLICK_SCORES, "gain", "gain_low", "gain_high"]
    rows = []
    for part in scores.parts():
        for scanner in ("seen", "unseen"):
            before = None
            for name in scores.settings.ablations:
                at = scores.pick(name, part, scanner)
                mean = scores.estimate(at)
                gain = ["–"] * 3 if before is None else scores.cells(mean - before)
                label = "SAMUS (all)" if name == "samus" else scores.label(name)
                rows.append([label, part, scanner, 1, *scores.summary(at), *gain])
                before = mean
    return pd.DataFrame(rows, columns=columns)


def table_s4_clicks(scores: Scores) -> pd.DataFrame:
    """S4, number of clicks: Dice after each of `points`, with the same clicks on another patient's image beside it."""
    rows = [
        [scores.label(name), part, scanner, points, *scores.summary(scores.pick(name, part, scanner, points))]
        for part in scores.parts()
        for scanner in ("seen", "unseen")
        for name in clicked(scores)
        for points in scores.settings.points
    ]
    return pd.DataFrame(rows, columns=["method", "set", "scanner", "points", *CLICK_SCORES])


def table_s4_places(scores: Scores) -> pd.DataFrame:
    """S4, place of the one click: how much Dice differs between first clicks on the same structure.

    `spread`: standard deviation over places within a structure, mean over structures. `range`: largest minus smallest
    mean Dice of a place number over all images, which is what the article reports.
    """
    columns = ["method", "set", "scanner", "places", "dice", "spread", "spread_low", "spread_high"]
    columns += ["range", "range_low", "range_high"]
    rows = []
    for part in scores.parts():
        for scanner in ("seen", "unseen"):
            for name in clicked(scores):
                at = places(scores, name, part, scanner)
                rows.append(
                    [
                        scores.label(name),
                        part,
                        scanner,
                        scores.settings.places,
                        _round(scores.estimate(at).value),
                        *scores.cells(spread(scores, at)),
                        *scores.cells(range_of_means(scores, at)),
                    ]
                )
    return pd.DataFrame(rows, columns=columns)


def clicked(scores: Scores) -> list[str]:
    """Methods that take clicks, of the tables' methods."""
    found = set(scores.rows.loc[scores.rows["points"] > 0, "method"])
    return [name for name in scores.of_role("foundation", "control") if name in found]


def places(scores: Scores, name: str, part: str, scanner: str) -> pd.DataFrame:
    """Rows of first clicks that were drawn anew."""
    sets = [f"{one}_{scanner}" for one in scores.settings.scans.parts if part in (one, ALL)]
    rows = scores.rows
    return rows[(rows["method"] == name) & rows["set"].isin(sets) & (rows["place"] != IN_A_ROW)]


def spread(scores: Scores, at: pd.DataFrame) -> Estimate:
    """Standard deviation of Dice over places within a structure, mean over structures."""
    within = at.groupby(["image", "group", "class"])["dice"].std(ddof=0)
    return scores.estimate(within.to_frame().reset_index())


def range_of_means(scores: Scores, at: pd.DataFrame) -> Estimate:
    """Largest minus smallest mean Dice of the places."""
    means = [scores.estimate(at[at["place"] == place]) for place in sorted(at["place"].unique())]
    draws = np.stack([one.draws for one in means])
    values = [one.value for one in means]
    return Estimate(max(values) - min(values), draws.max(0) - draws.min(0), means[0].groups)


def check_scores(rows: pd.DataFrame, methods: Sequence[str]) -> list[str]:
    """What is wrong with the scores, in words: methods without any, scores twice, methods on other images."""
    wrong = []
    missing = sorted(set(methods) - set(rows["method"]))
    if missing:
        wrong.append(f"no scores of {', '.join(missing)}")
    key = ["method", "image", "class", "points", "place"]
    if rows.duplicated(key).any():
        wrong.append(f"{int(rows.duplicated(key).sum())} scores twice")
    keys = rows["image"] + "/" + rows["class"]
    shown = {name: frozenset(keys[rows["method"] == name]) for name in rows["method"].unique()}
    wrong += [
        f"other images for {name}"
        for name, found in sorted(shown.items())
        if found != next(iter(shown.values()))
    ]
    return wrong


def _round(value: Any) -> float:
    return round(float(value), 2)
