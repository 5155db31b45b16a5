"""One small example of every kind of file that the workflow writes, with the writer that the workflow uses.

As a script: writes each kind once and prints its name and SHA-256.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from uscl_med3d.core.io import save_volume, sha256, write_csv, write_json, write_packed_csv
from uscl_med3d.core.params.simulate import Video
from uscl_med3d.nets.lora import save_lora
from uscl_med3d.nets.tensors import save_tensors
from uscl_med3d.report import style
from uscl_med3d.simulate.video import write_video

# With x264's macroblock tree, clips of this size came out different, smaller ones did not.
FRAMES = 14
HEIGHT, WIDTH = 216, 288
DPI = 50


def noise() -> np.random.Generator:
    """The same numbers every time."""
    return np.random.default_rng(7)


@cache
def clip() -> np.ndarray:
    """Frames (f, h, w) uint8 that change from one to the next."""
    steps = noise().integers(-9, 10, (FRAMES, HEIGHT, WIDTH))
    return (np.cumsum(steps, axis=0) + 120).clip(0, 255).astype(np.uint8)


def video(path: Path) -> None:
    settings = Video(frames_per_second=20, crf=16, group_of_pictures=12, preset="veryfast")
    write_video(path, clip(), settings)


def nifti(path: Path) -> None:
    save_volume(path, noise().integers(0, 999, (6, 20, 24)).astype(np.int16), (1.0, 0.8, 0.8))


def png(path: Path) -> None:
    Image.fromarray(clip()[0] // 60).save(path)


def table() -> pd.DataFrame:
    values = noise().normal(size=40)
    return pd.DataFrame({"case": [f"case_{i}" for i in range(40)], "dice": values, "click": range(40)})


def csv(path: Path) -> None:
    write_csv(path, table())


def packed_csv(path: Path) -> None:
    write_packed_csv(path, table()[["case", "click"]])


def json(path: Path) -> None:
    write_json(path, {"values": noise().normal(size=9).tolist(), "name": "é"})


def tensors() -> dict[str, torch.Tensor]:
    values = torch.from_numpy(noise().normal(size=(7, 5)).astype(np.float32))
    return {name: values + i for i, name in enumerate(("b", "a.weight", "c", "a.bias"))}


def weights(path: Path) -> None:
    save_tensors(path, tensors(), {"base": "0123", "rank": "4", "method": "x", "scale": "y"})


def lora(path: Path) -> None:
    save_lora(path, tensors(), rank=4, alpha=8.0, base_sha256="0123")


def figure(path: Path) -> None:
    """PNG and PDF as the report's figures, and SVG; all in one file for the hash. One panel: layout takes time."""
    with style.styled():
        drawn = style.new_figure(0.8, 1.0)
        axes = drawn.add_subplot()
        axes.plot(noise().normal(size=30))
        axes.set_xticks([])
        axes.set_yticks([0.0])
        style.save(drawn, path.parent, path.stem, DPI)
        drawn.savefig(path.with_suffix(".svg"), metadata={"Date": None, "Creator": None})
    made = [path.with_suffix(end) for end in (".png", ".pdf", ".svg")]
    path.write_bytes(b"".join(file.read_bytes() for file in made))


WRITERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "video": ("clip.mp4", video),
    "NIfTI": ("volume.nii.gz", nifti),
    "PNG of a mask": ("mask.png", png),
    "CSV": ("table.csv", csv),
    "CSV, packed": ("table.csv.gz", packed_csv),
    "JSON": ("values.json", json),
    "safetensors": ("weights.safetensors", weights),
    "safetensors of adapters": ("lora.safetensors", lora),
    "PNG, PDF and SVG of a figure": ("figure.all", figure),
}


def write(name: str, folder: Path) -> str:
    """Write one kind of file; its SHA-256."""
    file, writer = WRITERS[name]
    writer(folder / file)
    return sha256(folder / file)


def unwritten(path: Path) -> None:
    """The control: what nobody wrote."""
    path.write_bytes(np.empty(5000, np.uint8).tobytes())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made_in:
        place = Path(made_in)
        for kind in WRITERS:
            sys.stdout.write(f"{kind}\t{write(kind, place)}\n")
        unwritten(place / "control")
        sys.stdout.write(f"control\t{sha256(place / 'control')}\n")
