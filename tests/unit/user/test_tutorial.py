"""Every command and snippet of docs/tutorial.md runs, in order, on a synthetic clip and, where it is at hand, a real one."""

from __future__ import annotations

import re
import shlex
import shutil

import nibabel
import numpy as np
import pytest
from tiny_cohort import ROOT

TEXT = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
SAMPLE = "data/real/us_video_lung_pocus/Vir_prospective_file1.mp4"


def list_blocks() -> list[tuple[str, str]]:
    """(language, content) of the fenced blocks that a reader runs or writes."""
    return [
        block
        for block in re.findall(r"```(\w+)\n(.*?)```", TEXT, re.S)
        if block[0] in ("sh", "python", "csv")
    ]


def follow(run) -> None:
    names: dict = {}
    for language, content in list_blocks():
        if language == "python":
            exec(compile(content, "docs/tutorial.md", "exec"), names)
        elif language == "csv":
            # Written before the next snippet, which makes the folder.
            names["table"] = content
        else:
            for line in content.strip().splitlines():
                program, *arguments = shlex.split(line)
                assert program == "uscl-med3d", line
                if arguments[0] == "ingest":
                    with open("my_cohort/cohort.csv", "w", encoding="utf-8") as stream:
                        stream.write(names["table"])
                done = run(*arguments)
                assert done.code == 0, (line, done.err)


@pytest.fixture
def workplace(finished, tmp_path, monkeypatch):
    shutil.copytree(finished / "results", tmp_path / "results")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(workplace) -> None:
    mask = nibabel.load(workplace / "mask.nii.gz")
    assert mask.shape[:2] == (278, 278) and mask.shape[2] >= 60
    volume = nibabel.load(workplace / "my_cohort/volumes/P01_right/key_frames.nii.gz")
    assert (np.asarray(volume.dataobj) != 255).any()
    for name in (
        "frame_40.png",
        "overlay_40.png",
        "my_cohort_list.csv",
        "my_model/MODEL_CARD.md",
        "my_cohort/splits.csv",
    ):
        assert (workplace / name).is_file(), name


def test_the_tutorial_on_a_synthetic_clip(workplace, clips, run):
    clips.video(workplace / "sweep.mp4", clips.draw(frames=60, height=278, width=278))
    follow(run)
    check(workplace)


def test_the_tutorial_on_a_real_clip(workplace, shared, run):
    shutil.copy(shared / SAMPLE, workplace / "sweep.mp4")
    follow(run)
    check(workplace)


def test_its_links_and_pictures_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / "docs" / target).is_file(), target
