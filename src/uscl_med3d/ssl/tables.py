"""Tables of the comparison of pretext tasks, from the scores of cells (Table 8) and of arms (frames)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from uscl_med3d.core.io import write_csv
from uscl_med3d.core.scores import read_score_file
from uscl_med3d.core.seeds import rng
from uscl_med3d.data.splits import read_splits
from uscl_med3d.ssl import dice
from uscl_med3d.ssl.claims import build_claims
from uscl_med3d.ssl.collapse_table import build_collapse
from uscl_med3d.ssl.compare import Compared, Resampler, Wins, read_wins
from uscl_med3d.ssl.words import ALL, LINEAR, name_labelled

COMPARED = {"random": "random", "shuffled": "labels_shuffled"}
"""Ends of columns of the probe table -> arms that every other one is compared with there."""
INTERVAL = ("ci_low", "ci_high")


class Probed:
    """All arms' probes: sums for every arm, probe and number of labelled patients, and what compares them.

    Args:
        rows: rows of every arm (columns of `probe.ROWS`, arm, training_seed). patients: table of the test patients.
    """

    def __init__(self, job: Any, rows: pd.DataFrame, patients: pd.DataFrame) -> None:
        self.targets = sorted(rows["target"].unique())
        report = job.report
        self.resampler = Resampler(
            patients, report.n_boot, report.confidence, rng(job.seed, "ssl", "intervals")
        )
        self.wins: dict[tuple[str, str, int], Wins] = {}
        self.validation: dict[tuple[str, str, int], float] = {}
        for (arm, probe, labelled), part in _split(rows):
            key = (arm, probe, labelled)
            self.wins[key] = read_wins(part, self.targets, self.resampler.patients)
            once = part.drop_duplicates(["training_seed", "draw", "target"])
            self.validation[key] = float(once.groupby("target")["validation"].mean().mean())

    def compare(
        self,
        terms: Sequence[tuple[float, str]],
        probe: str = LINEAR,
        labelled: int = ALL,
        targets: Sequence[str] = (),
        null: float = 0.0,
    ) -> Compared:
        """A weighted sum of arms' macro AUROCs, over all targets or over some of them; tested against `null`.

        Where arms differ in their number of seeds, the first ones are used.
        """
        chosen = [(weight, self.wins[arm, probe, labelled]) for weight, arm in terms]
        seeds = min(len(wins.won) for _, wins in chosen)
        asked = [place for place, name in enumerate(self.targets) if not targets or name in targets]
        return self.resampler.compare([(weight, wins.choose(seeds, asked)) for weight, wins in chosen], null)


def build_tables(
    job: Any,
    splits_csv: Path,
    cells: Sequence[Path],
    watch: Sequence[Path],
    starts: Sequence[Path],
    arms: Sequence[Path],
    curves: Sequence[Path],
    out: Path,
) -> None:
    """Write table8, probe, augment, metadata, collapse and claims (.csv) into the folder `out`.

    Raises:
        InputError: for files that cannot be read.
    """
    manifest = read_splits(splits_csv)
    test = manifest[manifest["split"] == "test"].drop_duplicates("patient").sort_values("patient")
    names = {"first": str, "second": str}  # of patients, which may be numbers
    rows = pd.concat([pd.read_csv(file, dtype=names) for file in arms], ignore_index=True)
    asked = {*rows["first"], *rows["second"]}
    known = test[test["patient"].isin(asked)][["patient", "group"]]
    probed = Probed(job, rows, known)
    curve = pd.concat([pd.read_csv(file) for file in curves], ignore_index=True)
    scores = pd.concat([_read_cell(file) for file in cells], ignore_index=True) if cells else None
    watched = _read_all(watch)
    compared = dice.compare_starts(job, scores)
    tables = {
        "table8": dice.build_table(job, scores, watched),
        "probe": build_probe(probed),
        "augment": build_augment(job.ssl.frames.augment, probed),
        "metadata": build_metadata(job.ssl.frames.arms, probed, curve),
        "collapse": build_collapse(_read_all(starts), watched, curve),
        "claims": build_claims(job, probed, compared),
    }
    for name, table in tables.items():
        write_csv(Path(out) / f"{name}.csv", table)


def _split(rows: pd.DataFrame) -> Any:
    return rows.groupby(["arm", "probe", "labelled"], sort=False)


def _read_cell(file: Path) -> pd.DataFrame:
    return read_score_file(file).assign(start=re.sub(r"_s[0-9]+$", "", Path(file).stem))


def _read_all(files: Sequence[Path]) -> pd.DataFrame:
    found = [pd.read_csv(file).assign(name=Path(file).stem) for file in files]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def build_probe(probed: Probed) -> pd.DataFrame:
    """AUROC of every arm and probe, per target and as their mean; the mean also against other arms (`COMPARED`).

    `seed_sd`: standard deviation of the mean over training seeds.
    """
    rows = []
    for (arm, probe, labelled), wins in probed.wins.items():
        common = {
            "arm": arm,
            "probe": probe,
            "labelled": name_labelled(labelled),
            "seeds": wins.won.shape[0],
            "draws": wins.won.shape[1],
        }
        whole = probed.resampler.compare([(1.0, wins)])
        by_seed = wins.by_seed()
        rows.append(
            common
            | {"target": "mean", "auroc": whole.estimate, "ci_low": whole.low, "ci_high": whole.high}
            | _compare_with(probed, arm, probe, labelled)
            | {
                "seed_sd": by_seed.std(ddof=1) if len(by_seed) > 1 else np.nan,
                "patients": len(probed.resampler.patients),
            }
        )
        for number, target in enumerate(probed.targets):
            if not wins.pairs[number].any():
                continue
            found = probed.resampler.compare([(1.0, wins.choose(len(wins.won), [number]))])
            rows.append(
                common
                | {"target": target, "auroc": found.estimate, "ci_low": found.low, "ci_high": found.high}
                | {"patients": int(((wins.pairs[number].sum(0) + wins.pairs[number].sum(1)) > 0).sum())}
            )
    return pd.DataFrame(rows).round(3)


def _compare_with(probed: Probed, arm: str, probe: str, labelled: int) -> dict[str, float]:
    """Mean AUROC minus that of the arms of `COMPARED`, with intervals; NaN where there is none."""
    found: dict[str, float] = {}
    for end, other in COMPARED.items():
        asked = arm != other and (other, probe, labelled) in probed.wins
        terms = [(1.0, arm), (-1.0, other)]
        against = probed.compare(terms, probe, labelled) if asked else Compared(*[np.nan] * 4)
        found |= {
            f"minus_{end}": against.estimate,
            f"minus_{end}_low": against.low,
            f"minus_{end}_high": against.high,
        }
    return found


def build_augment(augment: Any, probed: Probed) -> pd.DataFrame:
    """Every cell of the factorial, and the main effect of every change: mean AUROC with it minus without it."""
    rows = []
    cells = [name for name, _ in augment.list_cells()]
    for name in cells:
        found, key = probed.compare([(1.0, name)]), (name, LINEAR, ALL)
        rows.append(_row("cell", name, found) | {"seeds": len(probed.wins[key].won), "p": np.nan})
    for factor in augment.factors:
        found = probed.compare(augment.list_effect(factor))
        rows.append(_row("main effect", factor, found) | {"seeds": len(augment.training_seeds), "p": found.p})
    return pd.DataFrame(rows).round(3)


def build_metadata(arms: Any, probed: Probed, curve: pd.DataFrame) -> pd.DataFrame:
    """BYOL, BYOL with a branch, and the branch's controls; on unseen patients.

    `validation` is what a weight is chosen by; `branch_accuracy` that of the branch on its own training images.
    """
    rows = []
    for name, arm in arms.items():
        if arm.task not in ("byol", "byol_patient") or arm.group or arm.batch:
            continue
        found, key = probed.compare([(1.0, name)]), (name, LINEAR, ALL)
        against = probed.compare([(1.0, name), (-1.0, "byol")])
        last = curve[(curve["arm"] == name) & (curve["step"] > 0)]
        accuracy = last["branch_accuracy"].mean() if "branch_accuracy" in last else np.nan
        plain = name == "byol"
        rows.append(
            {
                "arm": name,
                "metadata": arm.options.get("metadata", "none" if plain else "patient"),
                "shuffled": bool(arm.options.get("shuffled", False)),
                "branch_weight": 0.0 if plain else arm.options["branch_weight"],
                "validation": probed.validation[key],
                "branch_accuracy": 100 * accuracy,
                "auroc": found.estimate,
                "ci_low": found.low,
                "ci_high": found.high,
                "minus_byol": against.estimate if not plain else np.nan,
                "minus_byol_low": against.low if not plain else np.nan,
                "minus_byol_high": against.high if not plain else np.nan,
                "seeds": len(probed.wins[key].won),
            }
        )
    return pd.DataFrame(rows).round(3)


def _row(kind: str, name: str, found: Compared) -> dict[str, Any]:
    return {"kind": kind, "name": name, "auroc": found.estimate, "ci_low": found.low, "ci_high": found.high}
