"""Clicks in every slice are on record, and the record is enough to make the masks again."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from tiny_sam import SMALLEST

from uscl_med3d.core.io import load_volume, sha256
from uscl_med3d.core.scores import read_score_file
from uscl_med3d.evaluate.cases import Sources
from uscl_med3d.evaluate.kept import SLICE_CLICK_COLUMNS, SLICE_CLICKS
from uscl_med3d.evaluate.score import evaluate
from uscl_med3d.methods.base import Weights
from uscl_med3d.methods.registry import find_method
from uscl_med3d.nets.sam import build_sam
from uscl_med3d.nets.sam.checkpoint import save_weights


def test_clicks_in_slices_replay_to_the_same_masks(cohort, make_job, tmp_path):
    """The record alone, given to a tiny SAM in order, gives the masks that were scored."""
    job = make_job("evaluate", "sam", methods__sam__datasets=["us"], evaluate__splits=["test"])
    torch.manual_seed(2)
    save_weights(tmp_path / "sam.safetensors", "sam", SMALLEST, build_sam(SMALLEST))
    for name in ("a", "b"):
        evaluate(
            job,
            Sources(cohort.volumes, cohort.splits, cohort.pseudolabels, cohort.general),
            Weights(tmp_path / "sam.safetensors"),
            scores_file=tmp_path / f"{name}.parquet",
            image_use_file=tmp_path / f"{name}.image_use.parquet",
            predictions_dir=tmp_path / name,
        )
    assert sha256(tmp_path / "a" / SLICE_CLICKS) == sha256(tmp_path / "b" / SLICE_CLICKS)
    clicks = pd.read_csv(tmp_path / "a" / SLICE_CLICKS)
    scores = read_score_file(tmp_path / "a.parquet")
    assert list(clicks.columns) == SLICE_CLICK_COLUMNS
    keys = ["case", "class", "click_seed", "click"]
    given = clicks.groupby(keys[:3])["click"].size()
    last = scores[(scores["click"] == 3) & scores["dice"].notna()].drop_duplicates(["case", "class"])
    assert given.to_dict() == last.set_index(keys[:3])["volume_clicks"].to_dict()
    method = find_method("sam").load(job, Weights(tmp_path / "sam.safetensors"))
    paths = sorted((tmp_path / "a").glob("*.nii.gz"))
    assert len(paths) == 3
    for path in paths:
        case, name = path.name.removesuffix(".nii.gz").rsplit("_", 1)
        image = load_volume(cohort.volumes / case / "image.nii.gz")[0]
        of_case = clicks[(clicks["case"] == case) & (clicks["class"] == name)]
        replayed = replay(method, image, of_case)
        np.testing.assert_array_equal(replayed, load_volume(path)[0].astype(bool))
        assert replayed.any() and not replayed[of_case["click_d"].unique()].all()


def replay(method, image, clicks):
    """Masks (d, h, w) after recorded clicks; all slices together, as they were predicted."""
    slices = sorted(clicks["click_d"].unique())
    masks = np.zeros(image.shape, bool)
    with torch.inference_mode():
        embedding = method.embed(method.prepare(torch.from_numpy(image.astype(np.float32)))[slices])
        state = method.start(embedding, image.shape[1:])
        table = torch.zeros(len(slices), 0, 3)
        for number in range(1, clicks["click"].max() + 1):
            new = clicks[clicks["click"] == number].set_index("click_d")
            column = ["click_h", "click_w", "click_label"]
            rows = [new.loc[d, column].tolist() if d in new.index else [0, 0, -1] for d in slices]
            table = torch.cat([table, torch.tensor(rows, dtype=torch.float32)[:, None]], 1)
            logits = method.click(state, table[..., :2], table[..., 2].long())
            for row, d in enumerate(slices):
                if d in new.index:
                    masks[d] = (logits[row, 0] > 0).numpy()
    return masks
