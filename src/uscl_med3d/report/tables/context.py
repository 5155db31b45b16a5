"""What every table needs: the chosen protocol's scores, the registry, and one way to make a cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import pandas as pd

from uscl_med3d.core import seeds
from uscl_med3d.core.params.methods import Grid, MethodEntry, Run
from uscl_med3d.core.reporting import BLIND
from uscl_med3d.core.runs import list_runs, main_run
from uscl_med3d.report.patients import AVERAGED, average_seeds
from uscl_med3d.report.reported import PAPER_METHODS, load_reported, reported_value
from uscl_med3d.report.scores import choose_protocol, choose_reference, explain_missing, read_scores
from uscl_med3d.report.statistics import estimate

DATASETS = {"us": "3dus", "amos": "AMOS", "totalsegmentator": "TotalSegmentator", "brats": "BraTS"}
"""Dataset key of the score files: its name in the paper's tables."""

IMAGE_USE_DATASETS = DATASETS | {"us": "ultrasound"}
"""Dataset key: its name in the table of image use."""

MODULES = {"encoder": "image_encoder", "decoder": "mask_decoder", "both": "image_encoder+mask_decoder"}
"""Value of a LoRA run's `modules`: its name in the paper's tables."""

NO_ROWS = pd.DataFrame(columns=list(AVERAGED))

VALUES = (
    "dice",
    "ci_low",
    "ci_high",
    "n_patients",
    "n_cases",
    "volume_clicks",
    "reported",
    "reason",
    "image_use",
    "below",
)
"""Columns of every table behind its keys. `image_use`: Dice with the own image minus Dice with another patient's, of the
method on the data set after so many clicks. `below`: the blind rows that beat this one (`tables.blind`)."""


def read_image_use(job: Any, path: Path | None) -> pd.DataFrame | None:
    """The table of image use with the main run of each method as column `run`; None where it was not measured."""
    if path is None or not Path(path).is_file():
        return None
    labels = {entry.label: main_run(name, entry) for name, entry in job.methods.items()}
    frame = pd.read_csv(path)
    return frame.assign(run=frame["method"].map(labels))


@dataclass(frozen=True)
class Context:
    """The job and its test scores under the protocol that the tables show."""

    job: Any
    scores: pd.DataFrame
    image_use: pd.DataFrame | None = None
    _classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _by_reference: dict[str, dict[tuple[str, int, str], pd.DataFrame]] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Any, scores: pd.DataFrame, image_use: pd.DataFrame | None = None) -> Context:
        """`scores` as read from the files; `image_use` as `report.image_use` has made it.

        Any protocol, any split. The first listed crop and simulator are shown.
        """
        evaluate = job.evaluate
        return cls(
            job, choose_protocol(scores, evaluate.crops[0], evaluate.click_simulators[0], "test"), image_use
        )

    @classmethod
    def empty(cls, job: Any) -> Context:
        """Without scores: for what the registry alone tells."""
        return cls(job, read_scores([]))

    @property
    def own(self) -> bool:
        """Whether this is a user's cohort without the benchmark, where nothing of the paper is shown."""
        return self.job.benchmark is False

    @property
    def classes(self) -> tuple[str, ...]:
        """Ultrasound classes, in the order of the parameters."""
        return tuple(self.job.classes)

    @property
    def shown_classes(self) -> tuple[str, ...]:
        """Classes that have a column: all; of an own cohort those that were scored on ultrasound, if any were."""
        rows = self.scores[(self.scores["dataset"] == "us") & self.scores["dice"].notna()]
        scored = tuple(name for name in self.classes if (rows["class"] == name).any())
        return scored if self.own and scored else self.classes

    @property
    def last_point(self) -> int:
        """The click count of Tables 3 to 5."""
        return max(self.job.report.points)

    @cached_property
    def runs(self) -> list[Run]:
        """Every run of the registry, all training seeds."""
        return list_runs(self.job.methods, self.job.training_seeds)

    @cached_property
    def reference(self) -> str:
        """The human reference of every ultrasound number."""
        return choose_reference(self.scores[self.scores["dataset"] == "us"])

    def _scored(self, reference: str) -> dict[tuple[str, int, str], pd.DataFrame]:
        """Scored rows averaged over click seeds, by (dataset, click, run); ultrasound on one reference."""
        if reference not in self._by_reference:
            chosen = (self.scores["dataset"] != "us") | (self.scores["reference"] == reference)
            names = ["dataset", "click", "run"]
            averaged = average_seeds(self.scores[chosen], names)
            self._by_reference[reference] = {
                cast(tuple[str, int, str], key): rows.drop(columns=names)
                for key, rows in averaged.groupby(names, sort=True)
            }
        return self._by_reference[reference]

    def scored(
        self, runs: Iterable[Run], dataset: str, click: int, reference: str | None = None
    ) -> pd.DataFrame:
        """Dice per training seed, patient, case and class of some runs (the training seeds of one model).

        reference: of ultrasound numbers; None is the one that every other table rests on.
        """
        scored = self._scored(reference or self.reference)
        found = [scored[key] for run in runs if (key := (dataset, click, run.id)) in scored]
        return pd.concat(found, ignore_index=True) if len(found) > 1 else found[0] if found else NO_ROWS

    def clicks(self, dataset: str) -> list[int]:
        """Click counts at which a dataset was scored."""
        return sorted(
            {int(click) for name, click, _ in self._scored(self.reference) if name == dataset and click > 0}
        )

    def classes_of(self, dataset: str) -> tuple[str, ...]:
        """Classes over which a dataset's mean is taken.

        For ultrasound the parameters', else the scored ones.
        """
        if dataset not in self._classes:
            names = self.scores.loc[self.scores["dataset"] == dataset, "class"].dropna().unique()
            self._classes[dataset] = self.classes if dataset == "us" else tuple(sorted(names))
        return self._classes[dataset]

    def method_with_label(self, label: str) -> str | None:
        """Registry key of a row's method, or None; a row of the paper's tables has the paper's name."""
        if label in PAPER_METHODS:
            return PAPER_METHODS[label] if PAPER_METHODS[label] in self.job.methods else None
        return next((name for name, entry in self.job.methods.items() if entry.label == label), None)

    def main_runs(self, method: str) -> list[Run]:
        """The runs (all training seeds) that stand for a method in Tables 1, 2 and 4."""
        return self.runs_like(main_run(method, self.job.methods[method]))

    def runs_like(self, run_id: str) -> list[Run]:
        """All training seeds of the run `run_id`; empty where the registry has no such run."""
        return [run for run in self.runs if run.id == run_id or run.id == f"{run_id}_s{run.training_seed}"]

    def sweep(self) -> tuple[str, MethodEntry] | None:
        """The method with a LoRA sweep (Tables 3 and 5), or None."""
        return next(
            ((name, entry) for name, entry in self.job.methods.items() if entry.grid is not None), None
        )

    def grid(self) -> Grid | None:
        """Ranks and modules of that sweep, or None."""
        sweep = self.sweep()
        return sweep[1].grid if sweep else None

    def cell(
        self, table: str, keys: dict[str, Any], source: Source, classes: Sequence[str]
    ) -> dict[str, Any]:
        """One row of a long table.

        Keys, our estimate with interval, the reported value, the reason if empty.
        """
        made = _empty("" if source.runs else source.reason)
        if source.runs:
            made = self._estimate(source, classes)
        reported = float("nan") if self.own else reported_value(table, **keys)
        more = {"reported": reported, "image_use": self._image_use(source), "below": ""}
        return keys | made | more

    def _estimate(self, source: Source, classes: Sequence[str]) -> dict[str, Any]:
        rows = self.scored(source.runs, source.dataset, source.click, source.reference)
        if not rows["class"].isin(classes).any():
            return _empty(self._explain(source, classes))
        report = self.job.report
        # The stream names the data, not the run or the table: all methods meet the same resampled patients, so
        # equal scores have equal intervals, and a cell has the same interval wherever it is shown.
        other = [] if source.reference in (None, self.reference) else [source.reference]
        names: list[str | int] = [source.dataset, source.click, *classes, *other]
        rng = seeds.rng(self.job.seed, "report", *names)
        made = estimate(rows, classes, report.confidence, report.n_boot, rng)
        reason = f"mean without {', '.join(made.missing)}: no scored case" if made.missing else ""
        return {
            "dice": made.mean,
            "ci_low": made.low,
            "ci_high": made.high,
            "n_patients": made.n_patients,
            "n_cases": made.n_cases,
            "volume_clicks": self._volume_clicks(source, classes),
            "reason": reason,
        }

    def _image_use(self, source: Source) -> float:
        """How much less Dice the model has with another patient's image; NaN where that was not measured."""
        if self.image_use is None or not source.runs:
            return float("nan")
        rows = self.image_use[self.image_use["run"] == source.runs[0].id]
        rows = rows[
            (rows["dataset"] == IMAGE_USE_DATASETS[source.dataset]) & (rows["points"] == source.click)
        ]
        return float(rows["difference"].iloc[0]) if len(rows) else float("nan")

    def _volume_clicks(self, source: Source, classes: Sequence[str]) -> float:
        """Clicks that a volume has cost on average: more than `click` where every slice gets that many."""
        rows = self.scores[self.scores["run"].isin([run.id for run in source.runs])]
        rows = rows[(rows["dataset"] == source.dataset) & (rows["click"] == source.click)]
        return float(rows.loc[rows["class"].isin(classes) & rows["dice"].notna(), "volume_clicks"].mean())

    def _explain(self, source: Source, classes: Sequence[str]) -> str:
        """Why a cell is empty: the run was not scored there.

        Or the reasons that the stage `evaluate` recorded.
        """
        ids, run = [run.id for run in source.runs], source.runs[0]
        rows = self.scores[self.scores["run"].isin(ids)]
        if rows.empty:
            return f"no scores of run {run.id}"
        if source.dataset not in run.datasets:
            return f"run {run.id} is not scored on {DATASETS.get(source.dataset, source.dataset)}"
        if source.click > self.job.evaluate.clicks:
            return f"not scored: {self.job.evaluate.clicks} clicks were given (params.yaml: evaluate.clicks)"
        rows = rows[(rows["dataset"] == source.dataset) & (rows["click"] == source.click)]
        if source.reference is not None:
            rows = rows[rows["reference"].isin([source.reference]) | rows["reference"].isna()]
        return explain_missing(rows[rows["class"].isin(classes)])


@dataclass(frozen=True)
class Source:
    """Where a cell comes from: runs, dataset and click; or the reason why there are no runs.

    reference: of an ultrasound number; None is the one that every other table rests on.
    """

    runs: tuple[Run, ...]
    dataset: str
    click: int
    reason: str
    reference: str | None = None


def _empty(reason: str) -> dict[str, Any]:
    nan = float("nan")
    missing = dict.fromkeys(("dice", "ci_low", "ci_high", "volume_clicks"), nan)
    return missing | {"n_patients": 0, "n_cases": 0, "reason": reason}


def source_of_method(context: Context, label: str, dataset: str, click: int) -> Source:
    """The main runs of the method with this label, or the reason why there are none."""
    name = context.method_with_label(label)
    if name is None:
        return Source((), dataset, click, f"no method {label} at this scale: section `methods`")
    if context.job.methods[name].prompt in ("none", "key_frames"):
        click = 0  # one mask, whatever the column
    return Source(tuple(context.main_runs(name)), dataset, click, "")


def source_of_cell(context: Context, rank: int, modules: str, vcl: bool) -> Source:
    """The runs of one cell of the LoRA sweep, or the reason why there are none."""
    from uscl_med3d.core.runs import cell_id

    sweep = context.sweep()
    if sweep is None:
        return Source(
            (), "us", context.last_point, "no method with a LoRA sweep at this scale: section `methods`"
        )
    short = {long: name for name, long in MODULES.items()}[modules]
    grid = sweep[1].grid
    run_id = cell_id(sweep[0], rank, short, grid.pretraining if vcl and grid else None)
    runs = tuple(context.runs_like(run_id))
    return Source(
        runs,
        "us",
        context.last_point,
        ""
        if runs
        else f"no run {run_id} at this scale: methods.{sweep[0]}.grid in params.yaml; the whole of scale `study` has all",
    )


def labels_in_order(context: Context, table: str) -> list[str]:
    """Row labels: the paper's, in its order, then the registry's further methods that get clicks on these sets.

    Of an own cohort the registry's alone.
    """
    sets = {"us"} if table == "table1" else set(DATASETS) - {"us"}
    paper = list(dict.fromkeys(load_reported(table)["method"]))
    clicked = [
        entry.label
        for entry in context.job.methods.values()
        if entry.takes == "clicks" and entry.weights_of is None and sets & set(entry.datasets)
    ]
    if context.own:
        return clicked
    more = [label for label in clicked if label not in (*paper, *BLIND)]
    return [*paper, *more, *BLIND]


def is_tuning_method(entry: MethodEntry) -> bool:
    """Whether a method is a way of tuning the base model (a row of Table 4), not a competing model.

    A competitor has a row of its own in the paper's Tables 1 or 2; what starts from no base model tunes none.
    """
    known = {*load_reported("table1")["method"], *load_reported("table2")["method"]}
    tuned = entry.base is not None and (entry.trained or entry.weights_of is not None)
    return tuned and (entry.takes, entry.works_on) == ("clicks", "crop") and entry.label not in known
