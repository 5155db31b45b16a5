from __future__ import annotations

import pytest

from uscl_med3d.core.params.methods import Grid, MethodEntry
from uscl_med3d.core.runs import list_runs, main_run, pretraining_id

MODULES = ("encoder", "decoder", "both")
GRID = Grid(
    rank=32,
    ranks=(8, 16, 32, 64),
    modules=MODULES,
    sweep_modules=MODULES,
    pretraining="vcl",
    without_pretraining=True,
)


def entry(grid: Grid | None = None, trained: bool = True, weights_of: str | None = None) -> MethodEntry:
    return MethodEntry(
        label="x",
        takes="clicks",
        works_on="crop",
        base=None,
        weights_of=weights_of,
        trained=trained,
        tuning={"strategy": "lora"} if grid else None,
        datasets=("us", "amos"),
        grid=grid,
        options={},
    )


def test_tables_3_and_5_share_their_runs():
    ids = [run.id for run in list_runs({"lora": entry(GRID)}, [0])]
    assert len(ids) == len(set(ids)) == 4 * 3 + 3
    assert "lora_r32_both_vcl" in ids and "lora_r32_decoder_none" in ids and "lora_r8_both_none" not in ids


def test_only_the_main_cell_leaves_ultrasound():
    runs = {run.id: run for run in list_runs({"lora": entry(GRID)}, [0])}
    assert [r.id for r in runs.values() if r.datasets != ("us",)] == [main_run("lora", entry(GRID))]


def test_untrained_method_has_one_run_for_all_training_seeds():
    assert [r.id for r in list_runs({"base": entry(trained=False)}, [0, 1, 2])] == ["base"]


@pytest.mark.parametrize("seeds", [[0], [0, 7], [3, 5, 9]])
def test_training_seeds_multiply_trained_runs(seeds):
    runs = list_runs({"full": entry()}, seeds)
    assert [r.training_seed for r in runs] == seeds
    assert [r.id for r in runs] == ["full", *(f"full_s{s}" for s in seeds[1:])]


def test_a_method_with_the_weights_of_another_runs_as_its_main_cell():
    (run,) = [
        r
        for r in list_runs({"lora": entry(GRID), "off": entry(trained=False, weights_of="lora")}, [0, 1])
        if r.method == "off"
    ]
    assert (run.id, run.rank, run.modules, run.pretraining, run.datasets) == (
        "off",
        32,
        "both",
        "vcl",
        ("us", "amos"),
    )


def test_runs_of_one_rank_and_training_seed_share_a_pretraining():
    runs = list_runs({"lora": entry(GRID)}, [3, 5])
    names = {run.id: pretraining_id(run) for run in runs}
    assert names["lora_r8_encoder_vcl"] == names["lora_r8_both_vcl"] == "vcl_r8"
    assert names["lora_r8_encoder_vcl_s5"] == names["lora_r8_both_vcl_s5"] == "vcl_r8_s5"
    assert names["lora_r32_both_none"] is None


def test_other_ranks_are_trained_for_the_modules_of_the_sweep_only():
    grid = GRID.model_copy(update={"sweep_modules": ("both",)})
    ids = [run.id for run in list_runs({"lora": entry(grid)}, [0])]
    assert "lora_r8_both_vcl" in ids and "lora_r8_encoder_vcl" not in ids and "lora_r32_encoder_vcl" in ids
    assert len(ids) == 3 + 3 + 3


def test_a_grid_that_contradicts_itself_is_refused():
    for wrong in ({"rank": 5}, {"modules": ("both",)}):
        with pytest.raises(ValueError, match=r"rank|modules"):
            Grid.model_validate(GRID.model_dump() | wrong)
