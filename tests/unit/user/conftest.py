"""Fixtures: a finished scale of tiny models in an own folder, and clips as a scanner would export them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest
import torch
from tiny_cohort import tiny_params

from uscl_med3d.core import params as parameters
from uscl_med3d.core.io import sha256, write_csv, write_json
from uscl_med3d.core.runs import list_runs
from uscl_med3d.core.scores import COLUMNS, write_scores
from uscl_med3d.methods.base import Weights
from uscl_med3d.methods.registry import find_method
from uscl_med3d.nets import lora
from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d, save_checkpoint
from uscl_med3d.report.tables import TABLES
from uscl_med3d.report.tables.context import VALUES

RUNS = {
    "sam_med3d": 20.0,
    "full_tuning": 61.0,
    "uscl_med3d_r32_both_vcl": 64.0,
    "uscl_med3d_r32_decoder_vcl": 50.0,
}
"""Runs with weights, and their validation Dice."""


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with results/phantom as the pipeline leaves it, of a tiny model."""
    root = tmp_path_factory.mktemp("finished")
    params = tiny_params(ingest__spacing_mm=2.0, ingest__max_side=32, ingest__max_frames=12)
    folder = root / "results/phantom"
    base, vcl = (
        folder / "checkpoints/foundation/sam_med3d.safetensors",
        folder / "checkpoints/pretrain/vcl_r32.safetensors",
    )
    torch.manual_seed(3)
    network = build_sam_med3d(SamMed3DConfig(**params.model.model_dump()))
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.05 * torch.randn_like(value))
    save_checkpoint(network, base)
    runs = {run.id: run for run in list_runs(params.methods, params.training_seeds)}
    write_json(folder / "params/ingest.json", parameters.slice_job(params, "ingest"))
    write_json(folder / "params/report.json", parameters.slice_job(params, "report"))
    write_json(folder / "params/all.json", params.model_dump(mode="json"))
    for name in (*RUNS, "nearest_key_frame"):
        write_json(
            folder / f"params/evaluate/{name}.json", parameters.slice_job(params, "evaluate", runs[name])
        )
    for name, dice in RUNS.items():
        job = parameters.load_job("evaluate", folder / f"params/evaluate/{name}.json")
        if job.run.pretraining and not vcl.is_file():
            alpha = lora.lora_alpha(job.method.tuning["alpha_rule"], 32)
            layers = job.method.tuning["layers"]
            lora.add_lora(network, "encoder", 32, alpha, 0.0, 1, layers=layers)
            tensors = {
                key: 0.1 * torch.randn(value.shape)
                for key, value in lora.lora_state(network, "encoder").items()
            }
            lora.save_lora(vcl, tensors, 32, alpha, sha256(base))
        if job.method.trained:
            method = find_method(job.run.method).load(
                job, Weights(base, vcl if job.run.pretraining else None)
            )
            for value in method.prepare_training():
                value.data.add_(0.02 * torch.randn_like(value))
            method.save(folder / f"checkpoints/finetune/{name}.safetensors")
        rows = [
            ("us", "val", "p", "true_mask", 1, dice - 30),
            ("us", "val", "p", "true_mask", 3, dice - 1),
            ("us", "val", "p", "true_mask", 3, dice + 1),
            ("us", "val", "p", "true_mask", 3, None),
            ("us", "val", "p", "pseudo_label", 3, 90),
            ("us", "val", "p", "true_mask_same_frames", 3, 90),
            ("us", "test", "p", "true_mask", 3, 99),
        ]
        frame = pd.DataFrame(rows, columns=["dataset", "split", "patient", "reference", "click", "dice"])
        write_scores(folder / f"scores/{name}.parquet", frame.reindex(columns=list(COLUMNS)))
    label = params.methods["uscl_med3d"].label
    cells = [
        (label, 1, "liver", 51.25, 40.5, 62.75, 24, 24, 1, 16.5, "", 12.25, "ball"),
        ("Other", 1, "liver", 11, 10, 12, 24, 24, 1, 16.5, "", None, ""),
    ]
    write_csv(folder / "tables/table1.csv", pd.DataFrame(cells, columns=[*TABLES["table1"].KEYS, *VALUES]))
    write_json(
        folder / "volumes/s1/sidecar.json",
        {
            "patient": "p1",
            "sweep": "s1",
            "group": "abdomen",
            "split": "train",
            "probe": "convex",
            "source_format": "video",
            "source_codec": "h264",
            "source_shape": [60, 100, 100],
            "axis_without_millimetres": "d",
            "spacing_mm": {"d": None, "h": 2.0, "w": 2.0},
            "has_reference": False,
            "key_frames": [
                {"frame": 3, "index": 3, "role": "prompt"},
                {"frame": 9, "index": 9, "role": "held_out"},
            ],
            "key_frames_not_used": [
                {"frame": 4, "reason": "frame 3 is nearer to the middle of the same voxel"}
            ],
        },
    )
    return root


@pytest.fixture
def here(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in the folder of the finished scale."""
    monkeypatch.chdir(finished)
    return finished


def draw_clip(frames: int = 24, height: int = 64, width: int = 80, seed: int = 0) -> np.ndarray:
    """Speckle in a rectangle (rows 4.., columns 10..70) of a black screen, with a bright moving ball."""
    random = np.random.default_rng(seed)
    clip = np.zeros((frames, height, width), np.uint8)
    clip[:, 4:, 10 : width - 10] = random.integers(30, 120, (frames, height - 4, width - 20))
    d, h, w = np.indices(clip.shape)
    clip[((h - 32) ** 2 + (w - 40) ** 2 + (d - 12) ** 2) < 100] = 220
    return clip


def write_video(path: Path, frames: np.ndarray) -> Path:
    """Encode uint8 (d, h, w) frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "10", "preset": "ultrafast"}
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def write_dicom(path: Path, frames: np.ndarray, **attributes: Any) -> Path:
    """Write uint8 (d, h, w) frames as uncompressed ultrasound, with attributes by keyword."""
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid(
        entropy_srcs=[path.name]
    )
    dataset.Modality, dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "US", "MONOCHROME2", 1
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = np.ascontiguousarray(frames).tobytes() + b"\0" * (frames.size % 2)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


@pytest.fixture(scope="session")
def clips() -> SimpleNamespace:
    """Functions that draw and write clips."""
    return SimpleNamespace(draw=draw_clip, video=write_video, dicom=write_dicom)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., SimpleNamespace]:
    """Run the command line in this process: code, out, err."""
    from uscl_med3d import cli

    def call(*arguments: str | Path) -> SimpleNamespace:
        code = cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return SimpleNamespace(code=code, out=captured.out, err=captured.err)

    return call


def read_json(path: Path) -> Any:
    """Content of a JSON file."""
    return json.loads(path.read_text())
