"""Which models the tables need: the list of runs, each trained exactly once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uscl_med3d.core.params.methods import Grid, MethodEntry, Run

TASKS = {"crop": "crops", "slice": "slices", "window": "windows", "volume": "fits"}
"""What a method works on -> module of `train.tasks` that trains it."""


def list_runs(methods: Mapping[str, MethodEntry], training_seeds: Sequence[int]) -> list[Run]:
    """Expand the method registry into runs, in the order of the registry.

    A run's id is the method's key; a cell of the LoRA sweep adds rank, modules and pretext task. Training seeds other than
    the first add `_s<seed>`. Only the main cell of a sweep is scored outside ultrasound.
    """
    runs: list[Run] = []
    for name, entry in methods.items():
        for position, seed in enumerate(training_seeds if entry.trained else training_seeds[:1]):
            suffix = f"_s{seed}" if position else ""
            runs += [
                cell.model_copy(update={"id": cell.id + suffix, "training_seed": seed})
                for cell in _cells(name, entry, methods)
            ]
    return runs


def main_run(name: str, entry: MethodEntry) -> str:
    """Id of the run that stands for a method in Tables 1, 2 and 4 (first training seed)."""
    if entry.grid is None:
        return name
    return main_cell(name, entry.grid)


def main_cell(name: str, grid: Grid) -> str:
    """Id of the cell that stands for a LoRA sweep."""
    return cell_id(name, grid.rank, "both", grid.pretraining)


def cell_id(name: str, rank: int, modules: str, pretraining: str | None) -> str:
    """Id of one cell of a LoRA sweep."""
    return f"{name}_r{rank}_{modules}_{pretraining or 'none'}"


def pretraining_id(run: Run) -> str | None:
    """Name of the pretrained encoder that a run starts from, `<task>_r<rank>[_s<seed>]`; None without one.

    All runs of one task, rank and training seed share one; the first training seed has no suffix, as in the runs' ids.
    """
    if run.pretraining is None:
        return None
    suffix = f"_s{run.training_seed}"
    return f"{run.pretraining}_r{run.rank}{suffix if run.id.endswith(suffix) else ''}"


def _cells(name: str, entry: MethodEntry, methods: Mapping[str, MethodEntry]) -> list[Run]:
    if entry.weights_of is not None:
        source = entry.weights_of
        main = main_run(source, methods[source])
        (cell,) = (cell for cell in _cells(source, methods[source], methods) if cell.id == main)
        return [cell.model_copy(update={"id": name, "method": name, "datasets": entry.datasets})]
    grid = entry.grid
    if grid is None:
        cell_free = Run(
            id=name,
            method=name,
            rank=None,
            modules=None,
            pretraining=None,
            training_seed=0,
            datasets=entry.datasets,
        )
        return [cell_free]
    wanted = [
        (rank, modules, grid.pretraining)
        for rank in grid.ranks
        for modules in (grid.modules if rank == grid.rank else grid.sweep_modules)
    ]
    if grid.without_pretraining and grid.pretraining is not None:
        wanted += [(grid.rank, modules, None) for modules in grid.modules]
    main = main_run(name, entry)
    cells = []
    for rank, modules, pretraining in wanted:
        run_id = cell_id(name, rank, modules, pretraining)
        cells.append(
            Run(
                id=run_id,
                method=name,
                rank=rank,
                modules=modules,
                pretraining=pretraining,
                training_seed=0,
                datasets=entry.datasets if run_id == main else ("us",),
            )
        )
    return cells
