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
foundation:
  sam_med3d: {weights: results/smoke/checkpoints/foundation/sam_med3d.safetensors, source: the smoke run}
gate: {required: true}
methods:                      # those of the paper's own tables are enough here
  uscl_med3d: {grid: {ranks: [32], modules: [both], without_vcl: false}}
  sam: null
  mobile_sam: null
  tinysam: null
  sam_med2d: null
  fastsam3d: null
  swin_unetr: null
  seggpt: null
  shape_interpolation: null
"""


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
    """Three real clips as a cohort; only the training clip has (rough) key frames."""
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
    (mine / "cohort.csv").write_text("\n".join(rows) + "\n")
    (smoke.folder / "mine.yaml").write_text(OVERLAY)
    smoke.snakemake("--quiet", "rules", scale="workflow/scales/smoke.yaml mine.yaml")
    return smoke.folder / "results/mine"


def test_pseudo_labels_come_from_the_rough_key_frames(own):
    from uscl_med3d.core.io import load_volume

    labels, _ = load_volume(own / "pseudolabels/s0.nii.gz")
    sidecar = json.loads((own / "volumes/s0/sidecar.json").read_text())
    prompts = [key["index"] for key in sidecar["key_frames"] if key["role"] == "prompt"]
    assert prompts and all((labels[index] == 1).any() for index in prompts)
    assert sidecar["axis_without_millimetres"] == "d" and sidecar["spacing_mm"]["h"] is None


def test_no_label_no_dice(own):
    with open(own / "scores/full_tuning.csv", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["dataset"] == "us"]
    assert rows and not any(row["dice"] for row in rows)
    assert all("not scored" in row["reason"] for row in rows)
    with open(own / "tables/table5.csv", newline="") as stream:
        assert all(not row["dice"] and row["reason"] for row in csv.DictReader(stream))
    assert "not scored" in (own / "report.html").read_text()


def test_a_click_on_a_real_clip_gives_a_mask(own, smoke):
    """Encode once, click three times, on a volume that has no label at all."""
    import torch

    from uscl_med3d.core.io import load_volume
    from uscl_med3d.core.params import load_job
    from uscl_med3d.methods.registry import find_method

    job = load_job("evaluate", own / "params/evaluate/uscl_med3d_r32_both_vcl.json")
    checkpoints = own / "checkpoints"
    method = find_method("uscl_med3d").load(
        job, checkpoints / "foundation/sam_med3d.safetensors",
        checkpoints / "finetune/uscl_med3d_r32_both_vcl.safetensors", checkpoints / "pretrain/r32.safetensors",
    )  # fmt: skip
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
