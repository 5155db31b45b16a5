"""Fixtures: a segmenter without files, and methods that show where they were clicked."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.methods.base import ClickMethod
from uscl_med3d.methods.sam_med3d import SamMed3DMethod
from uscl_med3d.nets.sam_med3d import SamMed3D, SamMed3DConfig
from uscl_med3d.user.models import Choice
from uscl_med3d.user.segmenter import Segmenter

SIZE, RADIUS = 16, 3.5
MODEL = {
    "image_size": SIZE,
    "patch_size": 8,
    "embed_dim": 24,
    "depth": 2,
    "num_heads": 2,
    "global_blocks": [1],
    "window_size": 14,
    "mlp_ratio": 2.0,
    "prompt_dim": 48,
    "mask_channels": 16,
    "decoder_mlp_dim": 16,
    "decoder_heads": 4,
    "decoder_depth": 2,
    "iou_head_depth": 2,
    "iou_head_dim": 8,
    "num_multimask_outputs": 3,
    "relative_position": "upstream",
}
INGEST = {
    "spacing_mm": 2.0,
    "max_side": 32,
    "max_frames": 12,
    "frame_reduction": "average",
    "held_out_key_frames": 1,
    "split_fractions": {"train": 0.6, "val": 0.2, "test": 0.2},
    "tracked": "stack",
    "bad_sweeps": "stop",
    "workers": 1,
    "fan": {
        "threshold": 8,
        "working_side": 256,
        "opening": 3,
        "min_share": 0.02,
        "min_motion": 0.02,
        "max_labels_outside": 0.05,
    },
    "reconstruction": {
        "spacing_mm": 0.5,
        "interpolation": "nearest",
        "fill_mm": 1.0,
        "max_off_plane_mm": 5.0,
    },
}


class Ball:
    """A method whose mask is a ball around every object click, without balls around background clicks."""

    place_crop = ClickMethod.place_crop

    def embed(self, crops):
        return crops

    def start(self, embedding):
        return SimpleNamespace(mask=torch.zeros(1, 1, SIZE, SIZE, SIZE), quality=torch.tensor([[0.75]]))

    def click(self, state, points, labels):
        grid = torch.stack(torch.meshgrid(*[torch.arange(SIZE)] * 3, indexing="ij"), -1).float()
        logits = torch.where(state.mask[0, 0] > 0, 1.0, -RADIUS)
        for point, label in zip(points[0], labels[0], strict=True):
            inside = RADIUS - (grid - point).norm(dim=-1)
            logits = torch.maximum(logits, inside) if label == 1 else torch.minimum(logits, -inside)
        return logits[None, None]


def make_random_method():
    """A small SAM-Med3D with fixed random weights."""
    torch.manual_seed(0)
    network = SamMed3D(SamMed3DConfig(**MODEL))
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.05 * torch.randn_like(value))
    prompts = SimpleNamespace(clicks_given="all", click_axes="dhw")
    return SamMed3DMethod(network, prompts, torch.device("cpu"))


def make_choice(name="tiny"):
    """A model without files; `liver` is a class."""
    job = SimpleNamespace(
        classes={"liver": 3, "kidney": 5},
        model=SimpleNamespace(image_size=SIZE),
        evaluate=SimpleNamespace(sliding_overlap=0.5),
        run=SimpleNamespace(method="sam_med3d"),
    )
    return Choice(name, job, Ingest.model_validate(INGEST), Path("none"), None, None, None, None)


def draw_clip(frames=24, height=64, width=80):
    """Speckle on a black screen: the image region is rows 4 on, columns 10 to 69."""
    clip = np.zeros((frames, height, width), np.uint8)
    clip[:, 4:, 10 : width - 10] = np.random.default_rng(0).integers(
        30, 120, (frames, height - 4, width - 20)
    )
    return clip


@pytest.fixture
def clip():
    return draw_clip()


@pytest.fixture
def ball():
    """A segmenter that marks a ball where it is clicked; no input yet."""
    return Segmenter(make_choice(), Ball())


@pytest.fixture(scope="session")
def random_method():
    return make_random_method()


@pytest.fixture
def network(random_method):
    """A segmenter with a network of random weights; no input yet."""
    return Segmenter(make_choice(), copy.copy(random_method))


def write_nifti(path, clip, spacing=(0.6, 0.6, 1.2)):
    import nibabel

    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = (-20.0, 30.0, 5.0)
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(clip.transpose(2, 1, 0)), affine), path)
    return path


@pytest.fixture(scope="session")
def write_volume():
    """Write frames as a NIfTI with a place in the patient."""
    return write_nifti


@pytest.fixture
def make_desk(tmp_path, clip):
    """A desk with one NIfTI, or with the given items."""
    from uscl_med3d.view.desk import Desk
    from uscl_med3d.view.items import one_file

    def make(segmenter, items=None, models=("tiny", "other")):
        if items is None:
            source = write_nifti(tmp_path / "clip.nii.gz", clip)
            items = one_file(source, tmp_path / "mask.nii.gz", None, None, None)
        return Desk(
            items, segmenter, models, lambda name: Segmenter(make_choice(name), segmenter.method), False
        )

    return make


@pytest.fixture
def serve_page():
    """Serve a desk: its address and key."""
    from uscl_med3d.view.server import bind, make_page_app, running

    with ExitStack() as stack:

        def serve(desk):
            listener = bind("127.0.0.1", 0)
            app, key = make_page_app(desk, listener, "127.0.0.1", None)
            stack.enter_context(running(app, listener))
            return f"http://127.0.0.1:{listener.getsockname()[1]}", key

        yield serve
