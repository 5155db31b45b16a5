"""Small cohorts, written file by file as a hospital would export them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

CLASSES = {"pleural_effusion": 1, "ascites": 2, "liver": 3, "spleen": 4, "kidney": 5}
COLUMNS = (
    "patient",
    "sweep",
    "group",
    "view",
    "split",
    "video",
    "key_frames",
    "probe",
    "spacing_mm",
    "frame_spacing_mm",
    "reference",
    "corrections",
)
SETTINGS: dict[str, Any] = {
    "spacing_mm": 2.0,
    "max_side": 40,
    "max_frames": 64,
    "frame_reduction": "average",
    "held_out_key_frames": 1,
    "split_fractions": {"train": 0.5, "val": 0.25, "test": 0.25},
    "fan": {
        "threshold": 6,
        "working_side": 256,
        "opening": 2,
        "min_share": 0.05,
        "min_motion": 0.3,
        "max_labels_outside": 0.2,
    },
    "tracked": "stack",
    "reconstruction": {
        "spacing_mm": 1.0,
        "interpolation": "nearest",
        "fill_mm": 2.0,
        "max_off_plane_mm": 2.0,
    },
    "bad_sweeps": "stop",
    "workers": 1,
}


def write_video(
    path: Path,
    frames: np.ndarray,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times_ms: Sequence[int] | None = None,
    container: dict[str, str] | None = None,
) -> Path:
    """Encode uint8 (d, h, w) frames, evenly or each at its time; `container`: options of the file format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container or {}) as file:
        stream = file.add_stream(codec, rate=20)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], pix_fmt
        if codec == "libx264":
            stream.options = {"crf": "10", "preset": "ultrafast"}
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, grey in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(grey, format="gray")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[index], Fraction(1, 1000)
            for packet in stream.encode(frame):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
    return path


def write_mask(folder: Path, frame: int, mask: np.ndarray) -> Path:
    """Write a key frame's label map as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"frame_{frame:04d}.png"
    Image.fromarray(mask.astype(np.uint8)).save(path)
    return path


def draw_clip(frames: int = 10, height: int = 64, width: int = 80, seed: int = 0) -> np.ndarray:
    """Speckle in a rectangle (rows 4.., columns 10..70) of a black screen."""
    rng = np.random.default_rng(seed)
    clip = np.zeros((frames, height, width), np.uint8)
    clip[:, 4:, 10 : width - 10] = rng.integers(30, 220, (frames, height - 4, width - 20))
    return clip


def draw_mask(value: int = 3, height: int = 64, width: int = 80) -> np.ndarray:
    """A block of one class in the middle."""
    mask = np.zeros((height, width), np.uint8)
    mask[20:44, 24:56] = value
    return mask


@dataclass
class Cohort:
    """A cohort being written; `rows` may be edited before `save`."""

    folder: Path
    rows: list[dict[str, str]] = field(default_factory=list)

    @property
    def csv(self) -> Path:
        return self.folder / "cohort.csv"

    def add(self, sweep: str, *, patient: str = "", clip: np.ndarray | None = None, **cells: str) -> None:
        """Add a sweep with a video and, unless `key_frames=""`, masks on frames 1, 4, 6 and 8."""
        write_video(self.folder / "videos" / f"{sweep}.mp4", draw_clip() if clip is None else clip)
        row = dict.fromkeys(COLUMNS, "") | {
            "patient": patient or f"p_{sweep}",
            "sweep": sweep,
            "group": "abdomen",
            "view": "abdomen_right",
            "video": f"videos/{sweep}.mp4",
            "key_frames": f"masks/{sweep}",
            "probe": "convex",
            "spacing_mm": "1.0",
        }
        row |= cells
        if row["key_frames"]:
            for frame in (1, 4, 6, 8):
                write_mask(self.folder / row["key_frames"], frame, draw_mask())
        self.rows.append(row)

    def save(self) -> Path:
        with open(self.csv, "w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)
        return self.csv
