"""`show` and the example notebook, whose cells are run one after another."""

from __future__ import annotations

import json
from pathlib import Path

import av
import nibabel
import numpy as np
import pytest

import uscl_med3d
from uscl_med3d.user.segmenter import Segmenter

pytest.importorskip("ipyniivue", reason="no ipyniivue")
NOTEBOOK = Path(__file__).parents[3] / "docs/notebook.ipynb"


def write_video(path, frames):
    path.parent.mkdir(parents=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], "yuv420p"
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def images(widget):
    return [nibabel.Nifti1Image.from_bytes(volume.data) for volume in widget.volumes]


def test_volume_and_mask_lie_on_each_other(clip, tmp_path):
    mask = np.zeros(clip.shape, np.uint8)
    mask[3:9, 20:30, 40:60] = 4
    volume, labels = images(uscl_med3d.show(clip, mask))
    np.testing.assert_array_equal(np.asarray(volume.dataobj), clip[:, ::-1].transpose(2, 1, 0))
    np.testing.assert_array_equal(np.asarray(labels.dataobj), mask[:, ::-1].transpose(2, 1, 0))
    np.testing.assert_array_equal(volume.affine, labels.affine)
    nibabel.save(nibabel.Nifti1Image(mask.transpose(2, 1, 0), np.eye(4)), tmp_path / "mask.nii.gz")
    np.save(tmp_path / "mask.npy", mask)
    for name in ("mask.nii.gz", "mask.npy"):
        assert images(uscl_med3d.show(clip, tmp_path / name))[1].to_bytes() == labels.to_bytes()
    assert len(images(uscl_med3d.show(clip, layout="3d"))) == 1


def test_bad_masks_and_layouts_say_what_is_wrong(clip):
    for mask in (
        np.zeros((2, 2, 2), np.uint8),
        clip.astype(float),
        clip.astype(int) - 9,
        clip.astype(int) * 9,
    ):
        with pytest.raises(ValueError, match=r"mask is|label map"):
            uscl_med3d.show(clip, mask)
    with pytest.raises(ValueError, match="layout"):
        uscl_med3d.show(clip, layout="4d")


def test_the_example_notebook_runs(tmp_path, monkeypatch, network, clip):
    write_video(tmp_path / "demo/videos/demo.mp4", clip)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Segmenter, "load", classmethod(lambda cls: network))
    names: dict = {}
    shown = []
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        *before, last = "".join(cell["source"]).splitlines()
        exec("\n".join(before), names)
        shown.append(eval(last, names) if not last.startswith(("print", "import")) else exec(last, names))
    assert (tmp_path / "mask.nii.gz").is_file() and shown[-1] == {"liver": int((network.mask() > 0).sum())}
    assert sum(hasattr(each, "volumes") for each in shown) == 2
