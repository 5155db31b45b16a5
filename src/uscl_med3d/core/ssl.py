"""What the workflow needs to know of the comparison of pretext tasks (target `ssl`): cells, arms, job files."""

from __future__ import annotations

from typing import Any

from uscl_med3d.core import params as parameters
from uscl_med3d.core.closure import list_sources
from uscl_med3d.core.params.methods import Run
from uscl_med3d.core.params.ssl import NONE, Table8
from uscl_med3d.core.reporting import SSL_FIGURES, SSL_TABLES

METHOD, UNTUNED = "uscl_med3d", "sam_med3d"
"""The method whose start is compared, and the one that shows its base model as it comes."""


class SslPlan:
    """Lists of the target `ssl` of one scale; empty where the scale has no method to compare.

    Attributes:
        cells: name -> run of Table 8: every start of the encoder and training seed, and the untuned base model.
        starts: name -> run of the pretext tasks that these start from.
        arms: names of the arms of the comparison on frames.
    """

    tables, figures = SSL_TABLES, SSL_FIGURES

    def __init__(self, params: parameters.Params, results: str) -> None:
        self.params, self.settings, self.folder = params, params.ssl, f"{results}/ssl"
        self.cells = self._list_cells()
        self.starts = {name: run for name, run in self.cells.items() if run.pretraining}
        self.arms = list(self.settings.frames.list_arms())

    def _list_cells(self) -> dict[str, Run]:
        entry, table = self.params.methods.get(METHOD), self._table8
        if entry is None or entry.grid is None:
            return {}
        cells = {}
        for seed in table.training_seeds:
            for task in table.arms:
                name = task if seed == table.training_seeds[0] else f"{task}_s{seed}"
                pretraining = None if task == NONE else task
                cells[name] = Run(
                    id=name,
                    method=METHOD,
                    rank=entry.grid.rank,
                    modules="both",
                    pretraining=pretraining,
                    training_seed=seed,
                    datasets=("us",),
                )
        if UNTUNED in self.params.methods:
            cells["untuned"] = Run(
                id="untuned",
                method=UNTUNED,
                rank=None,
                modules=None,
                pretraining=None,
                training_seed=0,
                datasets=("us",),
            )
        return cells

    @property
    def _table8(self) -> Table8:
        assert self.settings.table8 is not None  # only the job of a single arm has none
        return self.settings.table8

    @property
    def labelled(self) -> list[int]:
        """Labelled training patients of each group in Table 8; 0: all."""
        return [count or 0 for count in self._table8.labelled]

    def list_jobs(self) -> dict[str, dict[str, Any]]:
        """Path below the folder of job files -> content."""
        table, slice_job = self._table8, parameters.slice_job
        wanted = {"ssl.json": slice_job(self.params, "ssl")}
        pretrain = self.params.pretrain
        schedule = pretrain.schedule.model_validate(pretrain.schedule.model_dump() | table.pretrain)
        changed = self.params.model_copy(
            update={"pretrain": pretrain.model_copy(update={"schedule": schedule})}
        )
        for run in self.starts.values():
            job = slice_job(changed, "pretrain", pretext=str(run.pretraining))
            options = job["pretrain"]["tasks"][run.pretraining]
            fewer = options | ({"images": table.images} if "images" in options else {})
            job["pretrain"] = job["pretrain"] | {"tasks": {run.pretraining: fewer}}
            wanted[f"ssl_pretrain/{run.pretraining}.json"] = job
        finetune, evaluate = self.params.finetune, self.params.evaluate
        fewer = {"splits": ("test",), "clicks": table.clicks, "click_seeds": evaluate.click_seeds[:1]}
        shorter = self.params.model_copy(
            update={
                "finetune": finetune.model_validate(finetune.model_dump() | table.finetune),
                "evaluate": evaluate.model_copy(update=fewer | {"surface_at": ()}),
            }
        )
        wanted |= {
            f"ssl_cell/{name}.json": slice_job(shorter, "ssl_cell", run) for name, run in self.cells.items()
        }
        wanted |= {f"ssl_frames/{name}.json": self._slice_arm(name) for name in self.arms}
        return wanted

    def _slice_arm(self, name: str) -> dict[str, Any]:
        """The job of an arm depends on its own options, not on which other arms exist."""
        frames = self.settings.frames
        arm, seeds = frames.list_arms()[name]
        tasks = {arm.pretext: self.params.pretext_tasks[arm.pretext]} if arm.pretext else {}
        own = frames.model_copy(update={"arms": {name: arm}, "training_seeds": seeds, "augment": None})
        job = parameters.slice_job(self.params, "ssl_frames")
        return job | {
            "ssl": {
                "tasks": tasks,
                "table8": None,
                "frames": own.model_dump(mode="json"),
                "probe": job["ssl"]["probe"],
            }
        }

    def start_weights(self, cell: str) -> list[str]:
        """Pretrained adapters that a cell starts from."""
        return [f"{self.folder}/checkpoints/{cell}.safetensors"] if cell in self.starts else []

    def pretrain_code(self, start: str) -> list[str]:
        """Source files of a pretext task's job."""
        return list_sources(
            "uscl_med3d.pretext.stage", f"uscl_med3d.pretext.{self.starts[start].pretraining}"
        )

    def cell_code(self, cell: str) -> list[str]:
        """Source files of a cell's job."""
        method = self.cells[cell].method
        tuning = self.params.methods[method].tuning
        found = [f"uscl_med3d.tuning.{tuning['strategy']}"] if tuning else []
        return list_sources(
            "uscl_med3d.ssl.cells", "uscl_med3d.train.tasks.crops", f"uscl_med3d.methods.{method}", *found
        )

    def arm_code(self, arm: str) -> list[str]:
        """Source files of an arm's job."""
        task = self.settings.frames.list_arms()[arm][0].pretext
        return list_sources("uscl_med3d.ssl.arms", *([f"uscl_med3d.pretext.{task}"] if task else []))
