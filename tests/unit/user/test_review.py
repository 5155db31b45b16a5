"""Pseudo-labels out to a drawing tool, and back in as corrections."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from uscl_med3d import cli
from uscl_med3d.core import params as parameters
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import load_volume, read_json, save_volume, write_csv, write_json
from uscl_med3d.core.params.files import read_defaults
from uscl_med3d.core.plan import Plan
from uscl_med3d.data.ingest import ingest
from uscl_med3d.user.review import export_review, list_flagged

ROOT = Path(__file__).resolve().parents[3]
COLUMNS = ("patient", "sweep", "group", "view", "split", "video", "key_frames", "spacing_mm", "corrections")
FRAMES, HEIGHT, WIDTH = 20, 150, 200


def write_clip(folder: Path) -> None:
    import av

    noise = np.random.default_rng(0)
    with av.open(str(folder / "clip.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for _ in range(FRAMES):
            frame = np.zeros((HEIGHT, WIDTH), np.uint8)
            frame[6:-9, 10:-15] = noise.integers(40, 200, (HEIGHT - 15, WIDTH - 25))
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def organ(centre: float) -> np.ndarray:
    """A liver-like ellipse with a smaller kidney beside it, (HEIGHT, WIDTH)."""
    y, x = np.indices((HEIGHT, WIDTH))
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[((y - 70) / 38) ** 2 + ((x - centre) / 45) ** 2 < 1] = 3
    mask[((y - 95) / 17) ** 2 + ((x - centre - 20) / 23) ** 2 < 1] = 5
    return mask


class Study:
    """A cohort of three sweeps with results as far as the pseudo-labels; paths as the pipeline has them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.results = folder, folder / "results/mine"
        for frame in (1, 6, 11, 18):
            self.save_mask("keys", frame, organ(80 + frame))
        write_clip(folder)
        values = read_defaults(ROOT)
        values |= {"scale": "mine", "cohort": str(folder / "cohort.csv")}
        values["ingest"] |= {"spacing_mm": 2.3, "max_frames": 14, "workers": 1}
        params = parameters.validate(values, "params.yaml")
        write_json(self.results / "params/all.json", params.model_dump(mode="json"))
        self.job = parameters.job_model("ingest").model_validate(parameters.slice_job(params, "ingest"))
        assert Plan(values).cohort_csv == str(folder / "cohort.csv")
        self.ingest()
        self.sidecar = read_json(self.results / "volumes/a/sidecar.json")
        self.proposed = self.propose()

    def save_mask(self, place: str, frame: int, mask: np.ndarray) -> None:
        path = self.folder / place / f"frame_{frame:04d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(mask).save(path)

    def ingest(self, corrections: str = "") -> Path:
        with open(self.folder / "cohort.csv", "w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            for name, split in (("a", "train"), ("v", "val"), ("t", "test")):
                own = corrections if name == "a" else ""
                writer.writerow(
                    [f"p{name}", name, "abdomen", "abdomen_right", split, "clip.mp4", "keys", 0.8, own]
                )
        out = self.results if not corrections else self.folder / "again"
        ingest(
            self.job, self.folder / "cohort.csv", out / "volumes", out / "splits.csv", out / "failures.csv"
        )
        return out / "volumes"

    def propose(self) -> np.ndarray:
        """Labels as the stage writes them: a drifting organ, of which two frames are rejected."""
        keys = load_volume(self.results / "volumes/a/key_frames.nii.gz")[0]
        prompts = [key["index"] for key in self.sidecar["key_frames"] if key["role"] == "prompt"]
        label = np.stack([np.roll(keys[prompts[0]], index // 2, axis=1) for index in range(len(keys))])
        save_volume(self.results / "pseudolabels/review/a.nii.gz", label, (1.0, 2.3, 2.3))
        held_out = next(key["index"] for key in self.sidecar["key_frames"] if key["role"] == "held_out")
        rows = [
            ("a", name, index, index not in (3, 9, held_out))
            for name in ("liver", "kidney")
            for index in range(len(keys))
        ]
        table = pd.DataFrame(rows, columns=["sweep", "class", "frame", "accepted"])
        write_csv(self.results / "pseudolabels/frames.csv", table)
        return label

    def frame_of(self, index: int) -> int:
        return int((index + 0.5) * self.sidecar["grid"]["frame_step"])


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    return Study(tmp_path_factory.mktemp("study"))


def test_flagged_frames_come_as_images_of_the_clips_own_size(study: Study, tmp_path, capsys) -> None:
    assert cli.main(["review", "a", "--results", str(study.results), "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    names = [f"frame_{study.frame_of(index):04d}.png" for index in (3, 9)]
    for folder in ("frames", "labels"):
        assert sorted(path.name for path in (tmp_path / "out" / folder).iterdir()) == names
        assert Image.open(tmp_path / "out" / folder / names[0]).size == (WIDTH, HEIGHT)
    label = Image.open(tmp_path / "out/labels" / names[0])
    assert label.mode == "P" and set(np.unique(np.array(label))) == {0, 3, 5}
    assert Image.open(tmp_path / "out/frames" / names[0]).mode == "L"
    assert "column `corrections` of a" in text and "held out" in text and "3 liver" in text
    # What a person has drawn meanwhile is not overwritten.
    assert cli.main(["review", "a", "--results", str(study.results), "--out", str(tmp_path / "out")]) == 2
    assert "is there already" in capsys.readouterr().err


def test_exported_labels_read_back_as_corrections_are_the_same_on_the_volume(study: Study, tmp_path) -> None:
    indices = [0, 3, 5, 9, 13]
    indices = [i for i in indices if all(key["index"] != i for key in study.sidecar["key_frames"])]
    made = export_review(study.results, "a", [study.frame_of(index) for index in indices], tmp_path)
    assert made.frames == [study.frame_of(index) for index in indices] and len(indices) >= 3
    volumes = study.ingest(corrections=str(tmp_path / "labels"))
    back, _ = load_volume(volumes / "a/key_frames.nii.gz")
    roles = {key["index"]: key["role"] for key in read_json(volumes / "a/sidecar.json")["key_frames"]}
    assert all(roles[index] == "correction" for index in indices)
    before = {key["index"]: key["role"] for key in study.sidecar["key_frames"]}
    assert before.items() <= roles.items()
    agreement = float((back[indices] == study.proposed[indices]).mean())
    print(f"agreement {agreement:.5f}")
    for value in (3, 5):
        first, second = back[indices] == value, study.proposed[indices] == value
        assert 2 * (first & second).sum() / (first.sum() + second.sum()) > 0.99
    assert agreement > 0.999
    study.ingest()


@pytest.mark.parametrize(
    ("sweep", "frames", "found"),
    [
        ("x", None, "no such sweep"),
        ("t", None, "a test sweep"),
        ("v", None, "no such file"),
        ("a", [20], "frames 0 to 19"),
        ("a", [-1], "frame -1"),
    ],
)
def test_what_cannot_be_corrected_is_refused(study: Study, tmp_path, sweep, frames, found) -> None:
    with pytest.raises(InputError, match=found):
        export_review(study.results, sweep, frames, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_held_out_frame_is_refused_by_name(study: Study, tmp_path) -> None:
    held_out = next(key["frame"] for key in study.sidecar["key_frames"] if key["role"] == "held_out")
    with pytest.raises(InputError, match="held out"):
        export_review(study.results, "a", [held_out], tmp_path)


def test_another_clip_is_noticed(study: Study, tmp_path) -> None:
    path = study.results / "volumes/a/sidecar.json"
    text = path.read_text()
    path.write_text(json.dumps(study.sidecar | {"source_sha256": "0" * 64}))
    try:
        with pytest.raises(InputError, match="another clip"):
            export_review(study.results, "a", [4], tmp_path)
    finally:
        path.write_text(text)


def test_numbers_of_frames_are_numbers(capsys) -> None:
    assert cli.main(["review", "a", "--frames", "3;4", "--out", "x"]) == 2
    assert "numbers with commas" in capsys.readouterr().err


def test_identifiers_in_the_gates_table_are_text(tmp_path) -> None:
    table = pd.DataFrame(
        {
            "sweep": ["NA", "NA", "001", "1"],
            "patient": ["P1", "P1", "P2", "P3"],
            "frame": [4, 2, 7, 8],
            "accepted": [False, True, False, False],
        }
    )
    write_csv(tmp_path / "pseudolabels/frames.csv", table)
    assert list_flagged(tmp_path, "NA") == [4] and list_flagged(tmp_path, "001") == [7]
