"""A user's own clips through the same rules: real lung ultrasound, few labels, no reference standard."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

OVERLAY = """
scale: mine
cohort: mine/cohort.csv
benchmark: true               # every table; the default for an own cohort is in test_own_cohort_page.py
foundation:
  sam_med3d: {weights: results/smoke/checkpoints/foundation/sam_med3d.safetensors, source: the smoke run}
gate: {required: true, seeing: {sam_med3d: {required: false}}}   # the smoke run's base model sees nothing
methods:                      # those of the paper's own tables are enough here
  uscl_med3d: {grid: {ranks: [32], modules: [both], without_pretraining: false}}
  sam: null
  mobile_sam: null
  tinysam: null
  sam_med2d: null
  fastsam3d: null
  swin_unetr: null
  seggpt: null
  shape_interpolation: null
"""


SCALES = "workflow/scales/smoke.yaml mine.yaml"


def write_rough_mask(folder: Path, clip: Path, frame: int) -> None:
    """A rectangle in the middle of the image: made for this test, it claims nothing about the anatomy."""
    import av
    import numpy as np
    from PIL import Image

    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        height, width = stream.height, stream.width
    mask = np.zeros((height, width), np.uint8)
    mask[height // 3 : height // 2, width // 3 : width // 2] = 1
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(folder / f"frame_{frame:04d}.png")


@pytest.fixture(scope="module")
def own(smoke, shared):
    """Three real clips as a cohort, and one cut off in the copy; only one training clip has (rough) key frames."""
    clips = sorted((shared / "data/real/us_video_lung_pocus").glob("Reg_pat*.mpeg"))
    if len(clips) < 3:
        pytest.skip("needs the real lung clips Reg_pat*.mpeg")
    mine = smoke.folder / "mine"
    mine.mkdir()
    header = "patient,sweep,group,view,split,video,key_frames,probe,spacing_mm,frame_spacing_mm,reference"
    rows = [header]
    for number, (split, clip) in enumerate(zip(("train", "val", "test"), clips[1:4], strict=False)):
        keys = ""
        if split == "train":
            keys = "keys/s0"
            for frame in (2, 12, 22):
                write_rough_mask(mine / keys, clip, frame)
        rows.append(f"p{number},s{number},chest,chest,{split},{clip.resolve()},{keys},convex,,,")
    whole = shared / "data/real/us_video_lung_pocus/Vir_prospective_file1.mp4"
    (mine / "cut.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    rows.append("p3,s3,chest,chest,train,cut.mp4,,convex,,,")
    (mine / "cohort.csv").write_text("\n".join(rows) + "\n")
    (smoke.folder / "mine.yaml").write_text(OVERLAY)
    said = smoke.snakemake("--quiet", "rules", scale=SCALES, ok=False)
    assert "1 of 4 sweeps left out: s3" in said, said[-6000:]
    return smoke.folder / "results/mine"


def test_pseudo_labels_come_from_the_rough_key_frames(own):
    from uscl_med3d.core.io import load_volume

    labels, _ = load_volume(own / "pseudolabels/s0.nii.gz")
    sidecar = json.loads((own / "volumes/s0/sidecar.json").read_text())
    prompts = [key["index"] for key in sidecar["key_frames"] if key["role"] == "prompt"]
    assert prompts and all((labels[index] == 1).any() for index in prompts)
    assert sidecar["axis_without_millimetres"] == "d" and sidecar["spacing_mm"]["h"] is None


def test_no_label_no_dice(own):
    from uscl_med3d.core.scores import read_score_file

    rows = read_score_file(own / "scores/full_tuning.parquet").query("dataset == 'us'")
    assert len(rows) and rows["dice"].isna().all()
    assert rows["reason"].str.contains("not scored").all()
    with open(own / "tables/table5.csv", newline="") as stream:
        assert all(not row["dice"] and row["reason"] for row in csv.DictReader(stream))
    assert "not scored" in (own / "report.html").read_text()


def test_a_click_on_a_real_clip_gives_a_mask(own, smoke):
    """Encode once, click three times, on a volume that has no label at all."""
    import torch

    from uscl_med3d.core.io import load_volume
    from uscl_med3d.core.params import load_job
    from uscl_med3d.methods.base import Weights
    from uscl_med3d.methods.registry import find_method

    job = load_job("evaluate", own / "params/evaluate/uscl_med3d_r32_both_vcl.json")
    checkpoints = own / "checkpoints"
    weights = Weights(
        checkpoints / "foundation/sam_med3d.safetensors",
        checkpoints / "pretrain/vcl_r32.safetensors",
        checkpoints / "finetune/uscl_med3d_r32_both_vcl.safetensors",
    )
    method = find_method("uscl_med3d").load(job, weights)
    image, _ = load_volume(own / "volumes/s2/image.nii.gz")
    side = job.model.image_size
    crop = torch.zeros(1, 1, side, side, side)
    part = torch.from_numpy(image[:side, :side, :side].astype("float32"))
    crop[0, 0, : part.shape[0], : part.shape[1], : part.shape[2]] = part
    with torch.no_grad():
        state = method.encode(crop)
        masks = [
            method.click(state, torch.full((1, n, 3), side // 2), torch.ones(1, n, dtype=torch.long))
            for n in (1, 2, 3)
        ]
    assert all(mask.shape == crop.shape and torch.isfinite(mask).all() for mask in masks)


def test_a_cut_off_clip_is_left_out_listed_and_named_at_the_end(own, smoke):
    """Everything is made from the other clips; then the run ends with an error (asserted in `own`) that names it."""
    with open(own / "failures.csv", newline="") as stream:
        (failure,) = csv.DictReader(stream)
    assert failure["sweep"] == "s3" and failure["file"].endswith("cut.mp4") and failure["remedy"]
    assert not (own / "volumes/s3").exists() and (own / "tables/table5.csv").is_file()
    page = (own / "report.html").read_text()
    assert "cut.mp4" in page and "1 sweep of the cohort table could not be used" in page
    assert not (own / "complete.json").exists()
    assert set(smoke.planned(scale=SCALES)) == {"all", "complete", "run_cost"}


def test_one_corrected_frame_computes_one_sweep_again(own, smoke):
    """A pseudo-label goes out as an image and comes back as a correction; the other sweeps are taken as they are."""
    before = json.loads((own / "volumes/s0/sidecar.json").read_text())
    step, taken = before["grid"]["frame_step"], {key["index"] for key in before["key_frames"]}
    frame = next(number for number in range(30) if int((number + 0.5) / step) not in taken)
    review = ["review", "s0", "--frames", str(frame), "--results", "results/mine", "--out", "mine/look"]
    said = smoke.run("uscl-med3d", *review)
    assert (
        "column `corrections`" in said
        and (smoke.folder / f"mine/look/labels/frame_{frame:04d}.png").is_file()
    )
    table = smoke.folder / "mine/cohort.csv"
    lines = table.read_text().splitlines()
    extra = ["corrections"] + ["look/labels" if line.startswith("p0,") else "" for line in lines[1:]]
    table.write_text("\n".join(f"{line},{cell}" for line, cell in zip(lines, extra, strict=True)) + "\n")
    smoke.snakemake("--quiet", "rules", "--until", "pseudolabel", scale=SCALES)
    log = (own / "logs/ingest.log").read_text()
    assert "ingest: 1 of 4 sweeps computed, 2 unchanged, 1 left out" in log
    assert "pseudolabel: 1 of 2 sweeps computed, 1 unchanged" in (own / "logs/pseudolabel.log").read_text()
    after = json.loads((own / "volumes/s0/sidecar.json").read_text())
    roles = {key["frame"]: key["role"] for key in before["key_frames"]}
    assert sorted(roles.values()) == ["held_out", "prompt", "prompt"]
    assert {key["frame"]: key["role"] for key in after["key_frames"]} == roles | {frame: "correction"}
