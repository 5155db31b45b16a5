"""Real lung clips, which nobody has annotated: is more learned from them than from clips of noise?"""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from uscl_med3d import cli
from uscl_med3d.core.params.files import overlay
from uscl_med3d.core.seeds import rng
from uscl_med3d.data.clips import read_clip
from uscl_med3d.user.pretraining.job import Base
from uscl_med3d.user.pretraining.run import pretrain_clips


@pytest.fixture(scope="module")
def lung(shared: Path) -> Path:
    folder = shared / "data/real/us_video_lung_pocus"
    if len(list(folder.glob("*.m*"))) < 7:
        pytest.skip("needs the seven clips of data/real/us_video_lung_pocus")
    return folder


def test_the_folder_as_it_is(lung, tmp_path, capsys):
    """Readers, image regions, two files that are none, and names that tell two of five patients."""
    output = tmp_path / "lung.safetensors"
    assert cli.main(["pretrain-clips", str(lung), "-o", str(output), "--steps", "1"]) == 0
    shown, card = capsys.readouterr(), json.loads(output.with_suffix(".json").read_text())
    assert "7 clips of 5 patients (named in the paths: pat1 (2 clips), pat2 (2 clips)" in shown.err
    assert "no clips: LICENCES.tsv, SOURCE.txt" in shown.err
    assert len(card["clips"]) == 7 and not card["left_out"]
    assert {one["frames"] for one in card["clips"]} >= {151, 280}


def test_real_clips_teach_what_clips_of_noise_do_not(lung, tmp_path, values, ask):
    """SimMIM predicts hidden patches: from neighbours in a real clip, from nothing where its pixels are at random places.

    The probe stands still in these clips, so frames out of order would be no control: they look alike.
    """
    small = {"ingest": {"max_side": 40, "max_frames": 40}, "ssl": {"tasks": {"simmim": {"images": 4}}}}
    for path in sorted(lung.glob("Reg_pat*.mpeg")):
        frames = read_clip(path)[0][::6]
        places = rng(3, path.name).permuted(
            np.broadcast_to(np.arange(frames[0].size), (len(frames), frames[0].size)), axis=1
        )
        noise = np.take_along_axis(frames.reshape(len(frames), -1), places, 1).reshape(frames.shape)
        for name, clip in (("real", frames), ("noise", noise)):
            (tmp_path / name).mkdir(exist_ok=True)
            file = tmp_path / name / f"{path.stem}.nii.gz"
            nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(clip.transpose(2, 1, 0)), np.eye(4)), file)
    found = {}
    for name in ("real", "noise"):
        output = tmp_path / f"{name}.safetensors"
        wanted = ask(task="simmim", rank=32, steps=40, seed=3, control=name == "real")
        pretrain_clips(tmp_path / name, output, wanted, overlay(values, small), Base.shipped())
        (found[name],) = json.loads(output.with_suffix(".json").read_text())["measured"]
    gains = {name: 1 - one["after"] / one["guess"] for name, one in found.items()}
    assert gains["real"] > 0.2 and abs(gains["noise"]) < 0.05, found  # measured: 0.36 and 0.002
    # The head alone, on the base model's encoder, does not get as far as with the adapter.
    assert (
        found["real"]["after"] < found["real"]["still"] and found["real"]["after"] < found["real"]["before"]
    ), found
