"""Which models the tables need: the list of runs, each trained exactly once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uscl_med3d.core.params.methods import MethodEntry, Run


def list_runs(methods: Mapping[str, MethodEntry], training_seeds: Sequence[int]) -> list[Run]:
    """Expand the method registry into runs, in the order of the registry.

    A run's id is the method's key; a cell of the LoRA sweep adds rank, modules and VCL. Training seeds other than
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
    return main_cell(name, entry.grid.rank)


def main_cell(name: str, rank: int) -> str:
    """Id of the cell that stands for a LoRA sweep with this main rank."""
    return cell_id(name, rank, "both", True)


def cell_id(name: str, rank: int, modules: str, vcl: bool) -> str:
    """Id of one cell of a LoRA sweep."""
    return f"{name}_r{rank}_{modules}_{'vcl' if vcl else 'novcl'}"


def pretraining(run: Run) -> str | None:
    """Name of the VCL pretraining that a run starts from, `r<rank>[_s<seed>]`; None without VCL.

    All runs of one rank and training seed share one; the first training seed has no suffix, as in the runs' ids.
    """
    suffix = f"_s{run.training_seed}"
    return f"r{run.rank}{suffix if run.id.endswith(suffix) else ''}" if run.vcl else None


def _cells(name: str, entry: MethodEntry, methods: Mapping[str, MethodEntry]) -> list[Run]:
    if entry.weights_of is not None:
        source = entry.weights_of
        main = main_run(source, methods[source])
        (cell,) = (cell for cell in _cells(source, methods[source], methods) if cell.id == main)
        return [cell.model_copy(update={"id": name, "method": name, "datasets": entry.datasets})]
    grid = entry.grid
    if grid is None:
        cell_free = Run(
            id=name, method=name, rank=None, modules=None, vcl=None, training_seed=0, datasets=entry.datasets
        )
        return [cell_free]
    wanted = [(rank, modules, True) for rank in grid.ranks for modules in grid.modules]
    if grid.without_vcl:
        wanted += [(grid.rank, modules, False) for modules in grid.modules]
    main = main_run(name, entry)
    cells = []
    for rank, modules, vcl in wanted:
        run_id = cell_id(name, rank, modules, vcl)
        cells.append(
            Run(
                id=run_id, method=name, rank=rank, modules=modules, vcl=vcl, training_seed=0,
                datasets=entry.datasets if run_id == main else ("us",),
            )
        )  # fmt: skip
    return cells
