"""The scale `paper` at full size: were the official files read, is every stage real and of full size, does it fit?"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import torch
from full_run import SCALES, FullRun
from official_files import NETWORKS, SEGGPT_CONFIG, describe_shapes, write
from safetensors.torch import load_file

from uscl_med3d.core.io import load_volume, sha256
from uscl_med3d.nets.sam_med3d.checkpoint import read_state

OURS = "uscl_med3d_r32_both_vcl"
MEMORY_MB = 12 * 1024
CPU_MINUTES = 40
"""Of all jobs together: 20 minutes on two cores, whatever else the machine does."""


@pytest.mark.parametrize(
    ("model", "keys"),
    [
        ("sam_med3d", "sam_med3d"),
        ("fastsam3d", "fastsam3d"),
        ("sam", "sam_vit_b"),
        ("sam_med2d", "sam_med2d"),
        ("mobile_sam", "mobile_sam"),
        ("tinysam", "mobile_sam"),
    ],
)
def test_files_have_the_official_names_and_shapes(shared: Path, model: str, keys: str) -> None:
    official = json.loads((shared / f"reference/{keys}.keys.json").read_text())["state_dict"]
    assert describe_shapes(model) == {name: value["shape"] for name, value in official.items()}


def test_seggpt_is_vit_large() -> None:
    assert {
        name: SEGGPT_CONFIG[name]
        for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "patch_size")
    } == {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "patch_size": 16}
    assert list(SEGGPT_CONFIG["image_size"]) == [896, 448]


# --------------------------------------------------------------------------------------------- official files
@pytest.mark.parametrize("model", NETWORKS)
def test_every_tensor_of_the_official_file_is_in_the_base_model(full: FullRun, model: str) -> None:
    """By bytes; the listing that the stage depends on has the file's hash."""
    place = full.official[model]
    file = place / "model.safetensors" if model == "seggpt" else place
    assert sha256(file) in full.json(f"inputs/foundation_{model}.json").values()
    given = read_state(file)
    if model == "fastsam3d":  # an image encoder; the rest is SAM-Med3D's
        rest = read_state(full.official["sam_med3d"])
        given = {f"image_encoder.{name}": value for name, value in given.items()}
        given |= {name: value for name, value in rest.items() if not name.startswith("image_encoder.")}
    made = load_file(full.results / f"checkpoints/foundation/{model}.safetensors")
    assert made.keys() == given.keys()
    assert all(torch.equal(made[name], value) for name, value in given.items())
    card = full.json(f"checkpoints/foundation/{model}.json")
    assert card["preprocessing"] == "official"


def test_parameters_are_those_of_full_size(full: FullRun) -> None:
    for model in NETWORKS:
        with torch.device("meta"):
            count = sum(value.numel() for value in NETWORKS[model]().parameters())
        card = full.json(f"checkpoints/foundation/{model}.json")
        assert card["encoder_parameters" if model == "fastsam3d" else "parameters"] == count
    whole = full.json("checkpoints/foundation/sam_med3d.json")["parameters"]
    assert whole == 100_509_232
    tuned = full.json("curves/finetune/full_tuning.json")
    assert tuned["total_parameters"] == whole and tuned["trainable_parameters"] > 0.9 * whole


def test_lora_of_rank_32_is_on_every_attention_of_encoder_and_decoder(full: FullRun) -> None:
    """Counted from the official names and shapes alone: a layer (o, i) gets 32 (o + i) parameters."""
    adapted = [
        shape
        for name, shape in describe_shapes("sam_med3d").items()
        if re.search(r"(blocks\.\d+\.attn\.(qkv|proj)|attn\w*\.(q|k|v|out)_proj)\.weight$", name)
    ]
    info = full.json(f"curves/finetune/{OURS}.json")
    assert info["trainable_parameters"] == sum(32 * (outputs + inputs) for outputs, inputs in adapted)
    assert len(info["adapted_layers"]) == len(adapted)


def test_a_crop_of_128_goes_through_vit_b(full: FullRun) -> None:
    """512 tokens through twelve blocks are about 100 GFLOP, which no smaller network or crop costs."""
    cost = full.json(f"benchmarks/inference/{OURS}.json")
    assert 90 < cost["encoder_gflop"] < 130
    assert full.plan.params.model.image_size == 128


# --------------------------------------------------------------------------------------------- stages
def test_the_cohort_is_read_at_its_own_spacing(full: FullRun) -> None:
    for row in csv.DictReader((full.folder / full.plan.cohort_csv).read_text().splitlines()):
        sidecar = full.json(f"volumes/{row['sweep']}/sidecar.json")
        assert sidecar["spacing_mm"] == {"d": None, "h": 1.5, "w": 1.5} and sidecar["has_reference"]


def test_seggpt_labels_the_sweeps(full: FullRun) -> None:
    """Each frame that is no prompt has been judged, with a confidence of its own; key frames stay as annotated."""
    with open(full.results / "pseudolabels/frames.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    sweeps = {row["sweep"] for row in rows}
    sweeps = {row["sweep"] for row in rows}
    propagated = [row["confidence"] for row in rows if row["reason"] != "human key frame"]
    assert len(sweeps) == 2 and len(propagated) >= 6 and len(set(propagated)) == len(propagated)
    for sweep in sweeps:
        labels, _ = load_volume(full.results / f"pseudolabels/review/{sweep}.nii.gz")
        keys, _ = load_volume(full.results / f"volumes/{sweep}/key_frames.nii.gz")
        sidecar = full.json(f"volumes/{sweep}/sidecar.json")
        prompts = [key["index"] for key in sidecar["key_frames"] if key["role"] == "prompt"]
        assert prompts and all((labels[index] == keys[index]).all() for index in prompts)


def test_pretraining_moves_the_adapter(full: FullRun) -> None:
    """An adapter starts with B = 0; after two steps every B of the encoder has moved."""
    tensors = load_file(full.results / "checkpoints/pretrain/vcl_r32.safetensors")
    moved = [name for name, value in tensors.items() if "lora_B" in name and value.any()]
    assert len(moved) == 24


def test_tuning_moves_encoder_and_decoder(full: FullRun) -> None:
    base = load_file(full.results / "checkpoints/foundation/sam_med3d.safetensors")
    whole = load_file(full.results / "checkpoints/finetune/full_tuning.safetensors")
    start = load_file(full.results / "checkpoints/pretrain/vcl_r32.safetensors")
    ours = load_file(full.results / f"checkpoints/finetune/{OURS}.safetensors")
    for part in ("image_encoder.", "mask_decoder."):
        assert any(not torch.equal(whole[name], base[name]) for name in whole if part in name)
        assert any(value.any() for name, value in ours.items() if part in name and "lora_B" in name)
    shared = start.keys() & ours.keys()
    assert shared and all(not torch.equal(start[name], ours[name]) for name in shared if "lora_B" in name)


def test_every_run_has_scores_on_its_test_sets(full: FullRun) -> None:
    for run, entry in full.plan.runs.items():
        rows = full.scores(run)
        for dataset in entry.datasets:
            tested = rows[(rows["dataset"] == dataset) & (rows["split"] == "test")]
            assert len(tested), f"{run}: no Dice on {dataset}"
            takes = full.plan.params.methods[entry.method].takes
            assert tested["click"].max() == (3 if takes == "clicks" else 0)


def test_an_adapter_that_is_off_is_the_base_model(full: FullRun) -> None:
    """And one that is on is not: the comparison could fail."""
    base = full.scores("sam_med3d")
    assert full.scores("adapter_off").equals(base)
    assert not full.scores(OURS).equals(base) and not full.scores("full_tuning").equals(base)


def test_tables_and_report_are_there(full: FullRun) -> None:
    for table in full.plan.tables:
        with open(full.results / f"tables/{table}.csv", newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert rows and all(row["dice"] or row["reason"] for row in rows if "dice" in row)
    assert "<html" in (full.results / "report.html").read_text()
    assert full.json("complete.json") is not None
    assert full.planned(scale=SCALES) == {}


# --------------------------------------------------------------------------------------------- cost
def test_it_fits_into_memory_and_time(full: FullRun) -> None:
    jobs = full.cost()
    assert {"foundation", "pseudolabel", "pretrain", "finetune", "evaluate", "report"} <= {
        job["stage"] for job in jobs
    }
    too_large = {job["job"]: job["peak_memory_mb"] for job in jobs if job["peak_memory_mb"] > MEMORY_MB}
    assert not too_large, f"more than {MEMORY_MB} MB: {too_large}"
    assert sum(job["cpu_seconds"] for job in jobs) < 60 * CPU_MINUTES


# --------------------------------------------------------------------------------------------- control, last
@pytest.mark.parametrize("model", ["mobile_sam", "sam_med3d"])
def test_other_weights_make_everything_anew_and_give_other_scores(full: FullRun, model: str) -> None:
    """Could the scores be the same with any file? The file is drawn again from another seed."""
    before, others = full.scores(model), full.scores("sam")
    write(model, full.official[model], 100)
    jobs = full.planned(scale=SCALES)
    if model == "sam_med3d":  # FastSAM3D shares its decoder
        bases = [full.plan.params.methods[run.method].base for run in full.plan.runs.values()]
        assert jobs["foundation"] == 2 and jobs["pretrain"] == 1 and jobs["finetune"] == 2
        assert jobs["evaluate"] == bases.count("sam_med3d") + bases.count("fastsam3d")
    else:
        assert jobs["foundation"] == jobs["evaluate"] == 1 and "finetune" not in jobs
    full.snakemake("--quiet", "rules", "--", f"results/full/scores/{model}.parquet", scale=SCALES)
    after = full.scores(model)
    assert len(after) and not after["dice"].equals(before["dice"])
    assert full.scores("sam").equals(others)
