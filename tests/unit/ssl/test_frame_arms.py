"""Single frames as images of pretext tasks: views, the encoder, and a whole arm on the tiny cohort."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_cohort import SHAPE, cohort, tiny_params

from uscl_med3d.cli import main
from uscl_med3d.core import params as parameters
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import write_json
from uscl_med3d.core.params.ssl import ENCODER
from uscl_med3d.core.ssl import SslPlan
from uscl_med3d.nets.frame_resnet import build_frame_resnet
from uscl_med3d.selfsupervised.frames import FrameDrawer, blur_frames, draw_frame_view, normalise_frames
from uscl_med3d.selfsupervised.images import Augmentation
from uscl_med3d.ssl.arms import FrameSweeps, embed
from uscl_med3d.ssl.maps import grey_values, place_terms, stack_stages
from uscl_med3d.ssl.probe_frames import load_probe_frames

__all__ = ["cohort"]

PLAIN = Augmentation(
    crop_share=(1.0, 1.0),
    flip_probability=(0, 0, 0),
    blur_probability=(0, 0),
    blur_sigma=(0.5, 1.0),
    jitter_probability=0,
    contrast=0.4,
    brightness=0.4,
)


def view(frame: torch.Tensor, number: int = 0, **changes) -> torch.Tensor:
    options = PLAIN.model_copy(update=changes)
    return draw_frame_view(frame, options, number, 16, np.random.default_rng(1))


@pytest.fixture
def frame() -> torch.Tensor:
    return torch.randint(1, 255, (20, 30), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def test_a_view_without_changes_is_the_whole_frame(frame):
    torch.testing.assert_close(view(frame), normalise_frames(frame[None, None], 16))


def test_every_change_acts_alone(frame):
    plain = view(frame)
    torch.testing.assert_close(view(frame, flip_probability=(1, 0, 1)), plain.flip(-1))
    jittered = view(frame, jitter_probability=1)
    slope = (jittered - jittered.mean()) / (plain - plain.mean())
    torch.testing.assert_close(slope, slope.mean().expand_as(slope), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(jittered, plain)
    assert view(frame, blur_probability=(1, 0)).std() < plain.std()
    torch.testing.assert_close(view(frame, 1, blur_probability=(1, 0)), plain)
    assert not torch.allclose(view(frame, crop_share=(0.3, 0.3)), plain)


def test_blur_keeps_a_constant_and_spreads_a_point():
    torch.testing.assert_close(blur_frames(torch.full((1, 1, 9, 9), 3.0), 1.3), torch.full((1, 1, 9, 9), 3.0))
    point = torch.zeros(1, 1, 15, 15)
    point[..., 7, 7] = 1
    blurred = blur_frames(point, 1.5)
    assert blurred.sum() == pytest.approx(1, abs=1e-5)
    assert blurred[0, 0, 7, 8] / blurred[0, 0, 7, 7] == pytest.approx(np.exp(-0.5 / 1.5**2), rel=1e-4)


def test_a_view_does_not_depend_on_the_other_images_of_the_batch(cohort):
    sweeps = FrameSweeps(cohort.volumes, cohort.splits, None, None)
    drawers = [FrameDrawer(sweeps, PLAIN, count, 16, 1, 5, 5, torch.device("cpu")) for count in (1, 2)]
    one, two = (drawer.training(3) for drawer in drawers)
    torch.testing.assert_close(one.first, two.first[:1])
    assert one.first.shape == (1, 1, 16, 16)


def test_frames_of_test_patients_cannot_be_pretrained_on(cohort):
    sweeps = FrameSweeps(cohort.volumes, cohort.splits, None, None)
    with pytest.raises(ValueError, match="s_e1"):
        sweeps.load("s_e1")


def test_the_encoder_is_drawn_from_its_seed_and_leaves_the_generator_alone():
    before = torch.get_rng_state()
    first, again, other = (build_frame_resnet((8, 16), seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    image = torch.randn(2, 1, 16, 16)
    assert first(image).shape == (2, 16, 4, 4)
    assert torch.equal(first(image), again(image)) and not torch.equal(first(image), other(image))


def test_images_of_a_batch_do_not_change_each_other():
    encoder, images = build_frame_resnet((8, 16), 1).train(), torch.randn(3, 1, 16, 16)
    torch.testing.assert_close(encoder(images)[:1], encoder(images[:1]), rtol=1e-4, atol=1e-5)


def tiny_job(name: str):
    params = tiny_params()
    frames = params.ssl.frames
    schedule = frames.schedule.model_copy(update={"steps": 4, "batch_size": 4, "evaluate_every": 4})
    frames = frames.model_copy(
        update={
            "size": 16,
            "widths": (8, 16),
            "every": 3,
            "grid": 4,
            "grid_step": 1,
            "cell_share": 0.2,
            "schedule": schedule,
            "training_seeds": (0, 1),
        }
    )
    changed = params.model_copy(update={"ssl": params.ssl.model_copy(update={"frames": frames})})
    job = SslPlan(changed, "results/tiny").list_jobs()[f"ssl_frames/{name}.json"]
    return parameters.job_model("ssl_frames").model_validate(job)


@pytest.mark.parametrize(
    "name",
    ["place", "pixels", "random", "labels", "labels_shuffled", "simclr", "byol_patient_1", "augment_flip"],
)
def test_an_arm_runs_and_repeats_itself(cohort, tmp_path, name):
    written = []
    for attempt in ("first", "second"):
        files = {key: tmp_path / f"{attempt}_{key}" for key in ("scores_out", "curve_out")}
        write_json(tmp_path / "job.json", tiny_job(name).model_dump(mode="json"))
        words = {
            "params": tmp_path / "job.json",
            "arm": name,
            "volumes": cohort.volumes,
            "splits": cohort.splits,
        }
        words |= {
            "pseudolabels": cohort.pseudolabels,
            "scores": files["scores_out"],
            "curve": files["curve_out"],
        }
        line = [text for key, value in words.items() for text in (f"--{key}", str(value))]
        assert main(["ssl_frames", *line, "--metadata"]) == 0
        written.append([file.read_bytes() for file in files.values()])
    assert written[0] == written[1]
    curve = pd.read_csv(tmp_path / "first_curve_out")
    alone = name in ("place", "pixels")  # nothing is trained or drawn
    assert set(curve["training_seed"]) == ({0} if alone else {0, 1})
    assert curve["probe_feature_std"].isna().all() == alone
    rows = pd.read_csv(tmp_path / "first_scores_out", compression="gzip")
    assert (rows["won"] <= rows["pairs"]).all() and len(rows)
    if name == "place":
        assert (rows["won"] == rows["pairs"] / 2).all()
    assert not list(tmp_path.glob("*.resume"))


def test_training_moves_the_features(cohort):
    from uscl_med3d.ssl.arms import train_encoder

    job = tiny_job("simclr")
    arm = job.ssl.frames.arms["simclr"]
    sweeps = FrameSweeps(cohort.volumes, cohort.splits, None, None)
    frames = load_probe_frames(
        cohort.volumes, cohort.splits, cohort.pseudolabels, "train", job.ssl.frames, job.classes
    )
    encoder, curve = train_encoder(job, "simclr", arm, sweeps, (frames, frames), 0, cohort.volumes / "out")
    untrained, _ = train_encoder(
        job,
        "random",
        arm.model_copy(update={"task": None}),
        sweeps,
        (frames, frames),
        0,
        cohort.volumes / "out",
    )
    assert (
        len(curve) == 2
        and np.abs(embed(frames, ENCODER, encoder) - embed(frames, ENCODER, untrained)).max() > 1e-3
    )


def test_a_group_alone_is_pretrained_on(cohort):
    with pytest.raises(InputError, match="chest"):
        FrameSweeps(cohort.volumes, cohort.splits, "chest", None)
    assert FrameSweeps(cohort.volumes, cohort.splits, "abdomen", None).train == ["s_t1", "s_t2"]


def test_probed_frames_are_spaced_and_accepted(cohort):
    job = tiny_job("random")
    frames = load_probe_frames(
        cohort.volumes, cohort.splits, cohort.pseudolabels, "train", job.ssl.frames, job.classes
    )
    places = sorted(frames.table["frame"].unique())
    # The first two frames of the pseudo-labels were rejected, so the frame 1 is not among them.
    assert places == list(range(4, SHAPE[0], 3))


def test_maps_of_all_stages_lie_on_one_grid():
    images = torch.randn(2, 1, 16, 16)
    encoder = build_frame_resnet((8, 16), 1)
    assert stack_stages(encoder, images, 4).shape == (2, 24, 4, 4)
    assert torch.equal(encoder.list_stages(images)[-1], encoder(images))


def test_grey_values_are_those_around_the_cell():
    image = torch.zeros(1, 1, 16, 16)
    image[..., 8:12, 4:8] = 1  # the cell (2, 1) of 4 x 4
    found = grey_values(image, 4)
    assert found.shape == (1, 36, 4, 4)
    assert found[0, :, 2, 1].sum() == 4 and found[0, :, 0, 3].sum() == 0


def test_terms_of_place_tell_all_cells_apart():
    terms = place_terms(10).flatten(1).T
    assert terms.shape == (100, 14) and len(torch.unique(terms, dim=0)) == 100
