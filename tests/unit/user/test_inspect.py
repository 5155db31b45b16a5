"""`uscl-med3d inspect`: facts, assumptions, key frames and a sheet, for clips and for whole tables."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uscl_med3d.cli import main
from uscl_med3d.core.palette import COLOURS

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
from raw_files import draw_clip, draw_mask, write_mask, write_video

PARAMS = ["--params-file", str(Path(__file__).parents[3] / "params.yaml")]


def test_a_clip_with_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_video(tmp_path / "my sweep (2).mp4", draw_clip())
    write_mask(tmp_path / "masks", 4, draw_mask(5))
    out = tmp_path / "sheets"
    assert main(["inspect", str(clip), "--labels", str(tmp_path / "masks"), "--out", str(out), *PARAMS]) == 0
    text = capsys.readouterr().out
    for part in (
        "frames: 10 of 80 x 64 pixels",
        "pixel size: unknown",
        "key frame 4: kidney 768 px",
        "image region:",
    ):
        assert part in text
    sheet = np.asarray(Image.open(out / "my_sweep_2_mp4.png").convert("RGB"))
    kidney = (sheet == np.array(COLOURS[4])).all(axis=-1)
    assert kidney.sum() > 100  # the outline of the mask, and the legend
    # Without labels there is no outline.
    assert main(["inspect", str(clip), "--out", str(tmp_path / "plain"), *PARAMS]) == 0
    plain = np.asarray(Image.open(tmp_path / "plain/my_sweep_2_mp4.png").convert("RGB"))
    assert not (plain == np.array(COLOURS[4])).all(axis=-1).any()


def test_a_table_shows_what_can_be_used_and_what_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(tmp_path / "a.mp4", draw_clip())
    (tmp_path / "b.mp4").write_bytes(b"not a video" * 50)
    with open(tmp_path / "cohort.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["patient", "sweep", "group", "view", "video", "spacing_mm"])
        writer.writerow(["p1", "a", "abdomen", "abdomen_right", "a.mp4", "0.3"])
        writer.writerow(["p2", "b", "abdomen", "abdomen_right", "b.mp4", ""])
    out = tmp_path / "sheets"
    assert main(["inspect", str(tmp_path / "cohort.csv"), "--json", "--out", str(out), *PARAMS]) == 1
    first, second = json.loads(capsys.readouterr().out)
    assert (
        first["facts"]["pixel size"] == "0.3 x 0.3 mm (height x width), from the table"
        and not first["errors"]
    )
    assert "not readable as a video" in second["errors"][0]["found"] and second["contact_sheet"] is None
    assert sorted(path.name for path in out.iterdir()) == ["a.png"]


def test_labels_belong_to_one_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "a.mp4", "b.mp4", "--labels", "x.json", "--out", str(tmp_path), *PARAMS]) == 2
    assert "one clip and its labels" in capsys.readouterr().err


def test_an_error_about_a_clip_says_how_to_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.igs.mha").write_bytes(b"nothing")
    assert (
        main(
            [
                "reconstruct",
                str(tmp_path / "a.igs.mha"),
                "--spacing-mm",
                "1",
                "-o",
                str(tmp_path / "v.nii.gz"),
            ]
        )
        == 2
    )
    assert "uscl-med3d inspect" in capsys.readouterr().err
    assert main(["inspect", "a.mp4", "b.mp4", "--labels", "x.json", *PARAMS]) == 2
    assert "uscl-med3d inspect FILE" not in capsys.readouterr().err
