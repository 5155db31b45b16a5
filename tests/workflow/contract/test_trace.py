"""Every number of a table says where it comes from."""

from __future__ import annotations

import hashlib
import re


def test_trace_names_checkpoint_data_parameters_and_commit(finished):
    output = finished.run(
        "uscl-med3d", "trace", "table3", "tuned_modules=image_encoder+mask_decoder", "vcl_head=True"
    )
    commit = finished.run("git", "rev-parse", "HEAD").strip()
    assert f"commit {commit}" in output and "with local edits" not in output
    for file in (
        "checkpoints/finetune/uscl_med3d_r8_both_vcl.safetensors",
        "checkpoints/pretrain/vcl_r8.safetensors",
        "checkpoints/foundation/sam_med3d.safetensors",
        "scores/uscl_med3d_r8_both_vcl.parquet",
    ):
        digest = hashlib.sha256((finished.results / file).read_bytes()).hexdigest()[:16]
        assert f"results/phantom/{file}  sha256 {digest}\n" in output, file
    for job in (
        "evaluate/",
        "finetune/",
        "pretrain/vcl_r8",
        "pseudolabel/",
        "foundation/seggpt",
        "ingest/",
        "simulate/",
    ):
        assert re.search(rf"^ *{job}\S*: parameters [0-9a-f]{{16}} in ", output, re.MULTILINE), job
    assert "data/raw/phantom" in output and "data/splits/phantom.csv  sha256 " in output


def test_trace_says_that_a_checkpoint_was_replaced(copy):
    path = copy.results / "checkpoints/finetune/uscl_med3d_r8_both_vcl.safetensors"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    output = copy.run("uscl-med3d", "trace", "table3", "vcl_head=True")
    assert re.search(r"made \S*uscl_med3d_r8_both_vcl.safetensors .*ANOTHER FILE IS HERE NOW", output)
