"""Tables and claims from scores that were made so that the answer is known."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_cohort import tiny_params

from uscl_med3d.cli import main
from uscl_med3d.core.io import write_json
from uscl_med3d.core.reporting import SSL_FIGURES, SSL_TABLES
from uscl_med3d.core.scores import COLUMNS, write_scores
from uscl_med3d.core.ssl import SslPlan
from uscl_med3d.ssl.claims import hold_to_the_control, judge_all
from uscl_med3d.ssl.same_place import sum_pairs
from uscl_med3d.ssl.tables import _read_cell
from uscl_med3d.ssl.words import ALL, LINEAR, ROWS, SHUFFLED

PATIENTS = [f"p{n:02d}" for n in range(16)]
GROUPS = {name: ("chest", "abdomen")[n % 2] for n, name in enumerate(PATIENTS)}
STRUCTURES = {"chest": ("pleural_effusion",), "abdomen": ("liver", "spleen")}


def write_arm(
    folder: Path, arm: str, gap: float, seeds: tuple[int, ...], random: np.random.Generator
) -> list[Path]:
    """Sums of probes whose positives lie `gap` above the negatives, and a learning curve."""
    rows = []
    kinds = [(LINEAR, gap, 0)]
    kinds += [(SHUFFLED, 0.0, draw) for draw in range(3)] if arm == "labels" else []
    for seed, (probe, gap, draw) in product(seeds, kinds):
        for group, targets in STRUCTURES.items():
            names = [name for name in PATIENTS if GROUPS[name] == group]
            for target in targets:
                labels, owners = np.tile([0, 1], 5 * len(names)), np.repeat(np.arange(len(names)), 10)
                scores = random.normal(size=len(labels)) + gap * labels
                won, pairs = sum_pairs(scores, labels, np.zeros(len(labels)), owners, len(names))
                rows += [
                    (probe, ALL, draw, target, names[i], names[j], won[i, j], pairs[i, j], 0.5, arm, seed)
                    for i, j in np.argwhere(pairs)
                ]
    files = [folder / f"{arm}.csv.gz", folder / f"{arm}.csv"]
    pd.DataFrame(rows, columns=[*ROWS, "arm", "training_seed"]).to_csv(files[0], index=False)
    curve = {
        "step": [0, 4],
        "feature_std": [0.2, 0.001 if arm == "byol" else 0.1],
        "effective_rank": [9.0, 8.0],
    }
    both = [
        pd.DataFrame(curve).assign(
            arm=arm, training_seed=seed, probe_feature_std=curve["feature_std"][1], probe_effective_rank=8.0
        )
        for seed in seeds
    ]
    pd.concat(both).to_csv(files[1], index=False)
    return files


def write_cell(folder: Path, start: str, dice: float, random: np.random.Generator, seeds=(0,)) -> list[Path]:
    rows = []
    for seed in seeds:
        for count in (1, 0):
            for patient, group in GROUPS.items():
                for name in STRUCTURES[group]:
                    for click in (1, 2):
                        value = dice + 5 * (count == 0) + click + random.normal(0, 1)
                        rows.append(
                            {
                                "run": str(count),
                                "method": "m",
                                "training_seed": seed,
                                "dataset": "us",
                                "split": "test",
                                "patient": patient,
                                "case": patient,
                                "class": name,
                                "reference": "true_mask",
                                "click": click,
                                "click_seed": 0,
                                "dice": value,
                            }
                        )
    files = [folder / f"{start}.parquet", folder / f"{start}_watch" / f"{start}.csv"]
    write_scores(files[0], pd.DataFrame(rows).reindex(columns=list(COLUMNS)))
    files[1].parent.mkdir()
    watched = [{"labelled": c, "patients": 2 * c, "feature_std": 0.1, "effective_rank": 5.0} for c in (1, 0)]
    pd.DataFrame(watched).to_csv(files[1], index=False)
    return files


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """Folder with the tables."""
    folder, random = tmp_path_factory.mktemp("ssl"), np.random.default_rng(4)
    params = tiny_params()
    plan = SslPlan(params, "results/tiny")
    splits = folder / "splits.csv"
    rows = [f"{name},{name},{group},{group}_right,test" for name, group in GROUPS.items()]
    splits.write_text(
        "\n".join(["patient,sweep,group,view,split", *rows]).replace("chest_right", "chest") + "\n"
    )
    gaps = {
        "random": 0.0,
        "simclr": 0.0,
        "byol": 1.5,
        "labels": 3.0,
        "labels_shuffled": 0.0,
        "byol_patient_1": 0.4,
        "byol_patient_01": 0.4,
    }
    gaps |= {name: 1.5 if "blur" in name else 0.5 for name in plan.arms if name.startswith("augment")}
    named = params.ssl.frames.list_arms()
    arms = [write_arm(folder, name, gaps.get(name, 1.0), named[name][1], random) for name in plan.arms]
    cells = [
        write_cell(folder, name, level, random) for name, level in (("none", 50), ("vcl", 60), ("mae", 50))
    ]
    starts = [folder / "starts" / "vcl.csv"]
    starts[0].parent.mkdir()
    pd.DataFrame({"step": [0, 9], "loss": [1.0, 0.5]}).to_csv(starts[0], index=False)
    out = folder / "out"
    write_json(folder / "job.json", plan.list_jobs()["ssl.json"])
    lists = {"cells": cells, "watch": cells, "arms": arms, "curves": arms}
    words = ["--starts", str(starts[0])]
    for name, files in lists.items():
        words += [f"--{name}", *(str(pair[name in ("watch", "curves")]) for pair in files)]
    job = ["ssl", "--params", str(folder / "job.json"), "--splits", str(splits), "--out", str(out), *words]
    assert main(job) == 0
    return out


@pytest.fixture(scope="module")
def tables(written) -> dict[str, pd.DataFrame]:
    return {name: pd.read_csv(written / f"{name}.csv") for name in SSL_TABLES}


def test_repetitions_of_a_cell_belong_to_its_start(tmp_path):
    params = tiny_params()
    table = params.ssl.table8.model_copy(
        update={"training_seeds": (0, 1), "arms": ("none", "simclr", "simclr_no_same_patient")}
    )
    params = params.model_copy(update={"ssl": params.ssl.model_copy(update={"table8": table})})
    cells = SslPlan(params, "results/tiny").cells
    assert "simclr_no_same_patient_s1" in cells
    for name, run in cells.items():
        write_scores(
            tmp_path / f"{name}.parquet", pd.DataFrame(columns=list(COLUMNS), data=[[None] * len(COLUMNS)])
        )
        expected = (run.pretraining or "none") if name != "untuned" else "untuned"
        assert set(_read_cell(tmp_path / f"{name}.parquet")["start"]) == {expected}


def test_every_figure_is_drawn_and_repeats_itself(written, tmp_path):
    files = [text for name in SSL_TABLES for text in ("--tables", str(written / f"{name}.csv"))]
    drawn = []
    for name in ("first", "second"):
        out = tmp_path / name
        line = ["ssl_figures", "--params", str(written.parent / "job.json"), *files, "--out", str(out)]
        assert main(line) == 0
        drawn.append({file.name: file.read_bytes() for file in out.iterdir()})
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == {f"{name}{end}" for name in SSL_FIGURES for end in (".png", ".pdf")}


def claim(tables, name: str) -> pd.Series:
    return tables["claims"].set_index("claim").loc[name]


def test_claims_have_the_columns_that_are_promised(tables):
    assert list(tables["claims"])[:5] == ["claim", "estimate", "ci_low", "ci_high", "verdict"]
    assert tables["claims"]["claim"].is_unique
    known = {"supported", "contradicted", "undecided", "not tested", "not testable", "void"}
    assert set(tables["claims"]["verdict"]) <= known


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("C0", "supported"),
        ("C0n", "undecided"),
        ("C0s", "undecided"),
        ("C1a", "supported"),
        ("C1b", "undecided"),
        ("C6a", "supported"),
        ("C3a", "contradicted"),
        ("C3b", "undecided"),
        ("C5a", "contradicted"),
        ("C4a", "void"),
        ("C2b", "not tested"),
        ("T8 vcl 1", "supported"),
        ("T8 mae all", "undecided"),
    ],
)
def test_verdicts_follow_what_was_put_in(tables, name, verdict):
    assert claim(tables, name)["verdict"] == verdict


@pytest.mark.parametrize(
    ("positive", "negative", "chance", "verdict", "named"),
    [
        ("supported", "undecided", "undecided", "supported", ""),
        ("supported", "contradicted", "contradicted", "supported", ""),
        ("undecided", "undecided", "undecided", "not testable", "C0 "),
        ("supported", "supported", "undecided", "not testable", "C0n"),
        ("supported", None, "undecided", "not testable", "C0n"),
        ("supported", "undecided", "supported", "not testable", "C0s"),
        ("supported", "undecided", None, "not testable", "C0s"),
    ],
)
def test_claims_on_frames_say_nothing_where_a_control_fails(positive, negative, chance, verdict, named):
    auroc, dice = "AUROC of cells at the same place, linear probe", "Dice, last click"
    rows = [
        {"claim": "C1a", "verdict": "supported", "measure": auroc},
        {"claim": "T8 vcl 1", "verdict": "supported", "measure": dice},
    ]
    controls = {"C0": positive, "C0n": negative, "C0s": chance}
    rows += [{"claim": name, "verdict": given, "measure": auroc} for name, given in controls.items() if given]
    hold_to_the_control(rows)
    assert [row["verdict"] for row in rows] == [
        verdict,
        "supported",
        *(given for given in controls.values() if given),
    ]
    assert named in rows[0].get("reason", "")


def test_negative_controls_are_not_corrected():
    """Corrected over twenty claims, a p of 0.01 would be no finding, and the control would pass."""
    rows = [{"claim": f"C{n}", "estimate": 1.0, "sign": 1, "p": 0.9} for n in range(1, 20)]
    rows += [{"claim": name, "estimate": 1.0, "sign": 1, "p": 0.01} for name in ("C0n", "C0s", "C0")]
    judge_all(rows, 0.05)
    verdicts = {row["claim"]: row["verdict"] for row in rows}
    assert verdicts["C0n"] == verdicts["C0s"] == "supported" and verdicts["C0"] == "undecided"
    assert "p_holm" not in rows[-2] and rows[-1]["p_holm"] > 0.05


def test_intervals_hold_their_estimate(tables):
    tested = tables["claims"].dropna(subset=["estimate"])
    assert ((tested["ci_low"] <= tested["estimate"]) & (tested["estimate"] <= tested["ci_high"])).all()


def test_table_8_compares_with_the_fine_tune_without_pretext_task(tables):
    table = tables["table8"].set_index(["start", "labelled_per_group", "clicks"])
    assert table.loc[("vcl", "1", 2), "minus_none"] == pytest.approx(10, abs=1)
    assert table.loc[("none", "all", 2), "dice"] - table.loc[("none", "1", 2), "dice"] == pytest.approx(
        5, abs=1
    )
    assert np.isnan(table.loc[("none", "1", 2), "minus_none"])
    assert set(table["test_patients"]) == {len(PATIENTS)}


def test_main_effects_are_those_of_the_cells(tables):
    effects = tables["augment"][tables["augment"]["kind"] == "main effect"].set_index("name")["auroc"]
    cells = tables["augment"][tables["augment"]["kind"] == "cell"].set_index("name")["auroc"]
    blurred = cells.index.str.contains("blur")
    assert effects["blur"] == pytest.approx(cells[blurred].mean() - cells[~blurred].mean(), abs=0.01)
    assert effects["blur"] > 10 and abs(effects["flip"]) < 4


def test_a_collapsed_encoder_is_called_one(tables):
    found = tables["collapse"].set_index("name")["collapsed"]
    assert set(found[["byol"]]) == {"yes"} and set(found[["simclr"]]) == {"no"}
    assert np.isnan(found["vcl"].iloc[0]) or "no" in set(found["vcl"])


def test_metadata_table_has_the_controls(tables):
    table = tables["metadata"].set_index("arm")
    assert table.loc["byol_random_1", "metadata"] == "random" and table.loc["byol_wall_shuffled", "shuffled"]
    assert table.loc["byol", "branch_weight"] == 0 and np.isnan(table.loc["byol", "minus_byol"])


def test_probe_table_compares_with_random_weights(tables):
    table = tables["probe"]
    table = table[(table["target"] == "mean") & (table["probe"] == LINEAR)].set_index("arm")
    assert table.loc["labels", "minus_random"] > table.loc["byol", "minus_random"] > 0
    # `labels_shuffled` was made like `random`: either tells the same of an arm, and nothing of itself.
    assert table.loc["labels", "minus_shuffled"] == pytest.approx(table.loc["labels", "minus_random"], abs=6)
    assert np.isnan(table.loc["labels_shuffled", "minus_shuffled"])
    assert table.loc["random", "auroc"] == pytest.approx(50, abs=6)
