"""`uscl-med3d segment` with official checkpoints: no scale, no parameters, the official mask on the file's grid."""

from __future__ import annotations

import argparse
import json
from itertools import permutations

import nibabel
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from uscl_med3d.core.errors import InputError
from uscl_med3d.nets.fastsam3d import FastSam3DConfig, build_fastsam3d
from uscl_med3d.nets.recognise import sam_med3d_config
from uscl_med3d.nets.sam_med3d import SamMed3DConfig, read_state
from uscl_med3d.user import models
from uscl_med3d.user.official import OfficialChoice, load_official

CASES = [(name, count) for name in ("axial", "oblique") for count in (1, 3)]


@pytest.fixture(scope="module")
def facts(shared):
    return json.loads((shared / "reference/sam_med3d_pipeline.tiny.json").read_text())


@pytest.fixture(scope="module")
def tensors(shared):
    return load_file(shared / "reference/sam_med3d_pipeline.tiny.safetensors")


@pytest.fixture(scope="module")
def state(tensors):
    return {k.removeprefix("state/"): v.float() for k, v in tensors.items() if k.startswith("state/")}


@pytest.fixture(scope="module")
def weights(state, facts, tmp_path_factory):
    """The forms in which the weights of the fixture may come: with a card; as the authors' training writes them."""
    folder = tmp_path_factory.mktemp("weights")
    save_file(state, folder / "carded.safetensors")
    (folder / "carded.json").write_text(json.dumps(facts["sidecar"]))
    trained = {
        "model_state_dict": state,
        "epoch": 3,
        "losses": [np.float64(0.5)],
        "best_loss": np.float64(0.5),
        "lr_scheduler_state_dict": {"milestones": __import__("collections").Counter([120, 180])},
        "args": argparse.Namespace(lr=8e-4, multi_click=True),
        "used_datas": ["a"],
    }
    torch.save(trained, folder / "turbo.pth")
    save_file(state, folder / "bare.safetensors")
    return folder


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder without results and parameters."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def points_of(facts, name, count):
    given = facts["volumes"][name][f"points_{count}"]["given_voxel_xyz_label"]
    return [argument for x, y, z, label in given for argument in ("--point", f"{x},{y},{z},{label}")]


def assert_official(mask, tensors, name, count):
    wanted = tensors[f"{name}/points_{count}/original_grid_mask"].numpy()
    assert mask.shape == wanted.shape
    assert (mask != wanted).sum() <= 1e-3 * ((mask > 0) | (wanted > 0)).sum()


@pytest.mark.parametrize(("name", "count"), CASES)
@pytest.mark.parametrize("file", ["carded.safetensors", "turbo.pth", "bare.safetensors"])
def test_the_official_mask(name, count, file, weights, facts, tensors, shared, elsewhere, run):
    volume = shared / f"reference/sam_med3d_pipeline/{name}_image.nii.gz"
    done = run(
        "segment", volume, "--weights", weights / file, *points_of(facts, name, count), "-o", "mask.nii.gz"
    )
    assert done.code == 0, done.err
    assert ("no card" in done.err) == (file != "carded.safetensors")
    mask, image = nibabel.load(elsewhere / "mask.nii.gz"), nibabel.load(volume)
    np.testing.assert_array_equal(mask.affine, image.affine)
    assert_official(np.asarray(mask.dataobj), tensors, name, count)
    described = json.loads((elsewhere / "mask.json").read_text())
    assert described["preprocessing"] == "official" and described["model_validation_dice"] is None


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_copy_that_is_stored_otherwise_gives_the_same_mask(
    order, weights, facts, tensors, shared, elsewhere, run
):
    """Sagittal, coronal, permuted, and flipped along a different axis each time."""
    image = nibabel.load(shared / "reference/sam_med3d_pipeline/axial_image.nii.gz")
    flipped = order[0]
    codes = np.array([[axis, -1 if axis == flipped else 1] for axis in np.argsort(order)])
    copy = image.as_reoriented(codes)
    assert np.asarray(copy.dataobj).shape == tuple(np.array(image.shape)[list(order)])
    nibabel.save(copy, "copy.nii.gz")
    to_copy = np.linalg.inv(copy.affine) @ image.affine
    points = []
    for x, y, z, label in facts["volumes"]["axial"]["points_3"]["given_voxel_xyz_label"]:
        moved = np.rint(nibabel.affines.apply_affine(to_copy, [x, y, z])).astype(int)
        points += ["--point", ",".join(map(str, [*moved, label]))]
    done = run("segment", "copy.nii.gz", "--weights", weights / "turbo.pth", *points, "-o", "mask.nii.gz")
    assert done.code == 0, done.err
    back = nibabel.load("mask.nii.gz").as_reoriented(
        nibabel.orientations.ornt_transform(
            nibabel.io_orientation(nibabel.load("mask.nii.gz").affine), nibabel.io_orientation(image.affine)
        )
    )
    assert_official(np.asarray(back.dataobj), tensors, "axial", 3)


def test_the_shape_of_the_network_is_read_off_its_tensors(state, facts, shared, weights):
    assert sam_med3d_config(state) == SamMed3DConfig(**facts["config"])
    keys = json.loads((shared / "reference/sam_med3d.keys.json").read_text())["state_dict"]
    official = {name: torch.empty(fact["shape"], device="meta") for name, fact in keys.items()}
    from uscl_med3d.nets.sam_med3d import PRESETS

    assert sam_med3d_config(official) == PRESETS["vit_b_ori"]
    assert read_state(weights / "turbo.pth").keys() == state.keys()


def test_code_in_a_checkpoint_is_not_run(elsewhere, state, run, shared):
    class Trap:
        def __reduce__(self):
            return (open, ("trap", "w"))

    torch.save({"model_state_dict": state, "args": Trap()}, "trap.pth")
    volume = shared / "reference/sam_med3d_pipeline/axial_image.nii.gz"
    done = run("segment", volume, "--weights", "trap.pth", "--point", "22,16,13", "-o", "m.nii.gz")
    assert done.code == 2 and "more than tensors" in done.err and not (elsewhere / "trap").exists()


def test_wrong_files_say_what_they_are(elsewhere, run, shared, weights, state):
    volume = shared / "reference/sam_med3d_pipeline/axial_image.nii.gz"
    save_file({"encoder.conv.weight": torch.zeros(3), "decoder.out.bias": torch.zeros(2)}, "unet.safetensors")
    save_file({k: v for k, v in state.items() if "iou_token" not in k}, "part.safetensors")
    (elsewhere / "text.pth").write_text("no weights")
    (elsewhere / "notes.txt").write_text("no weights")
    save_file(state, "odd.safetensors")
    (elsewhere / "odd.json").write_text('{"preprocessing": "mine"}')
    save_file(state, "other.safetensors")
    card = {
        "model": json.loads((weights / "carded.json").read_text())["model"]
        | {"depth": 2, "global_blocks": [0]}
    }
    (elsewhere / "other.json").write_text(json.dumps(card | {"preprocessing": "official"}))
    for file, complaint in (
        ("unet.safetensors", "2 tensors under decoder, encoder"),
        ("part.safetensors", "iou_token.weight: missing"),
        ("text.pth", "text.pth"),
        ("notes.txt", "suffix '.txt'"),
        ("none.pth", "no such file"),
        ("odd.safetensors", "preprocessing 'mine'"),
        ("other.safetensors", "image_encoder.blocks.2"),
    ):
        done = run("segment", volume, "--weights", file, "--point", "22,16,13", "-o", "m.nii.gz")
        assert done.code == 2 and complaint in done.err and "remedy" in done.err, (file, done.err)
        assert not (elsewhere / "m.nii.gz").exists()


@pytest.mark.parametrize(
    ("points", "complaint"),
    [
        (["40,16,13"], "x = 40 lies outside the input, which has 0 to 39"),
        (["22,16,13", "22,16,45"], "outside the window of 128 voxels"),
    ],
)
def test_clicks_that_the_network_cannot_see_are_refused(points, complaint, weights, elsewhere, run, shared):
    volume = nibabel.load(shared / "reference/sam_med3d_pipeline/axial_image.nii.gz")
    nibabel.save(nibabel.Nifti1Image(volume.get_fdata(), np.diag([1.0, 1.0, 8.0, 1.0])), "long.nii.gz")
    given = [argument for point in points for argument in ("--point", point)]
    done = run("segment", "long.nii.gz", "--weights", weights / "turbo.pth", *given, "-o", "m.nii.gz")
    assert done.code == 2 and complaint in done.err


def test_a_voxel_at_the_border_is_taken_as_the_nearest_one_and_that_is_said(weights, elsewhere, run, shared):
    volume = shared / "reference/sam_med3d_pipeline/axial_image.nii.gz"
    done = run("segment", volume, "--weights", weights / "turbo.pth", "--point", "0,0,20", "-o", "m.nii.gz")
    assert done.code == 0 and "0,0,20 lies at the border" in done.err


def test_an_empty_mask_says_so(weights, state, elsewhere, run, shared):
    """Exit status 3, the mask is written all the same; 0 where that was asked for."""
    changed = {k: v.clone() for k, v in state.items()}
    for name in changed:
        if name.startswith("mask_decoder.output_hypernetworks_mlps.0.layers.2"):
            changed[name].zero_()  # logits are 0 everywhere, and 0 is no object
    save_file(changed, "mute.safetensors")
    volume = shared / "reference/sam_med3d_pipeline/axial_image.nii.gz"
    command = ("segment", volume, "--weights", "mute.safetensors", "--point", "22,16,13", "-o", "m.nii.gz")
    assert run(*command).code == 3 and (elsewhere / "m.nii.gz").exists()
    done = run(*command, "--allow-empty")
    assert done.code == 0 and "empty: object" in done.err


def test_the_older_grid_is_an_option(weights, facts, tensors, shared, elsewhere, run):
    volume = shared / "reference/sam_med3d_pipeline/axial_image.nii.gz"
    points = points_of(facts, "axial", 1)
    done = run(
        "segment",
        volume,
        "--weights",
        weights / "turbo.pth",
        *points,
        "--grid",
        "corner_ceil",
        "-o",
        "m.nii.gz",
    )
    assert done.code == 0, done.err
    found, wanted = (
        np.asarray(nibabel.load("m.nii.gz").dataobj),
        tensors["axial/points_1/original_grid_mask"].numpy(),
    )
    assert (found != wanted).mean() > 0.01


def test_precision_and_device_are_options(weights, facts, tensors, shared, elsewhere, run):
    volume = shared / "reference/sam_med3d_pipeline/axial_image.nii.gz"
    points = points_of(facts, "axial", 1)
    for options in (["--precision", "bfloat16"], ["--device", "cpu"]):
        done = run("segment", volume, "--weights", weights / "turbo.pth", *points, *options, "-o", "m.nii.gz")
        assert done.code == 0, done.err
        wanted = tensors["axial/points_1/original_grid_mask"].numpy() > 0
        found = np.asarray(nibabel.load("m.nii.gz").dataobj) > 0
        assert 2 * (found & wanted).sum() / (found.sum() + wanted.sum()) > 0.9
    if not torch.cuda.is_available():
        done = run(
            "segment",
            volume,
            "--weights",
            weights / "turbo.pth",
            *points,
            "--device",
            "cuda",
            "-o",
            "m.nii.gz",
        )
        assert done.code == 2 and "no GPU" in done.err


def test_the_card_decides_how_weights_are_fed(weights, elsewhere, here, state):
    """Official weights never become one of our models, and ours never an official one."""
    assert isinstance(models.choose(weights / "carded.safetensors", None, None, "phantom"), OfficialChoice)
    base = here / "results/phantom/checkpoints/foundation/sam_med3d.safetensors"
    chosen = models.choose(base, None, None, "phantom")
    assert isinstance(chosen, models.Choice) and chosen.preprocessing == "ours"
    save_file(state, elsewhere / "said.safetensors")
    (elsewhere / "said.json").write_text('{"preprocessing": "ours"}')
    with pytest.raises(InputError):
        load = models.choose(elsewhere / "said.safetensors", None, None, "phantom")
        models.load_method(load)


@pytest.fixture(scope="module")
def student(state, facts, tmp_path_factory):
    """A released-style FastSAM3D encoder that fits the fixture's decoder."""
    config = SamMed3DConfig(**facts["config"])
    shape = FastSam3DConfig(
        image_size=128,
        patch_size=16,
        embed_dim=48,
        depth=4,
        num_heads=3,
        mlp_ratio=4,
        prompt_dim=48,
        blocks_without_attention=2,
        window_size=0,
        global_blocks=(2, 5, 8, 11),
        output_every=2,
        residual="normalised",
        relative_position="upstream",
        sparse_attention="none",
        segments=64,
        token_order="permuted",
    )
    torch.manual_seed(5)
    network = build_fastsam3d(shape, config)
    network.load_state_dict(
        {k: v for k, v in state.items() if not k.startswith("image_encoder")}, strict=False
    )
    folder = tmp_path_factory.mktemp("student")
    torch.save({"model_state_dict": network.image_encoder.state_dict()}, folder / "6layers6heads_student.pth")
    torch.save(network.state_dict(), folder / "whole.pth")
    return folder, shape


def test_fastsam3d_takes_its_decoder_from_a_base(student, weights, elsewhere, run, shared):
    folder, shape = student
    volume = shared / "reference/sam_med3d_pipeline/axial_image.nii.gz"
    command = ("segment", volume, "--point", "22,16,13", "--point", "20,20,13,0", "-o")
    alone = run(*command, "a.nii.gz", "--weights", folder / "6layers6heads_student.pth")
    assert alone.code == 2 and "image encoder alone" in alone.err and "--base" in alone.err
    masks = []
    for name, options in (
        ("6layers6heads_student.pth", ["--base", weights / "turbo.pth"]),
        ("whole.pth", []),
    ):
        done = run(*command, "m.nii.gz", "--weights", folder / name, *options)
        assert done.code == 0 and "fastsam3d" in done.err, done.err
        masks.append(np.asarray(nibabel.load("m.nii.gz").dataobj))
    np.testing.assert_array_equal(*masks)
    loaded = load_official(folder / "6layers6heads_student.pth", weights / "turbo.pth")
    assert loaded.network.image_encoder.config == shape


def test_an_export_is_its_folder(here, tmp_path, run, clips, monkeypatch):
    source = clips.video(tmp_path / "in.mp4", clips.draw())
    for form in ("official", "monai-bundle"):
        assert run("export", "--format", form, "--out", tmp_path / form).code == 0
    monkeypatch.chdir(tmp_path)
    for form in ("official", "monai-bundle"):
        done = run("segment", source, "--weights", tmp_path / form, "--point", "40,32,12", "-o", "m.nii.gz")
        assert done.code == 0, done.err
    (tmp_path / "nothing").mkdir()
    done = run("segment", source, "--weights", tmp_path / "nothing", "--point", "40,32,12", "-o", "m.nii.gz")
    assert done.code == 2 and "no exported model" in done.err
