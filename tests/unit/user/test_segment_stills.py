"""`uscl-med3d segment` on a picture with SAMUS, MedSAM and MSA: which network it is, where clicks are, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from uscl_med3d.nets.recognise import recognise, samus_architecture
from uscl_med3d.nets.samus import SAMUS, build_samus

SIZE = (70, 90)


@pytest.fixture(scope="module")
def folder(shared, tmp_path_factory):
    """Weights of each network as the official trainers write them; shapes that tensors do not tell are in cards."""
    made = tmp_path_factory.mktemp("weights")
    for model in ("samus", "medsam", "msa", "samed", "litemedsam"):
        path = shared / f"reference/{model}.tiny.safetensors"
        config = json.loads(path.with_suffix(".json").read_text())["config"]
        state = {k.removeprefix("state/"): v for k, v in load_file(path).items() if k.startswith("state/")}
        save_file(state, made / f"{model}.safetensors")
        torch.save({"model": state, "epoch": 1}, made / f"{model}.pth")
        if model == "msa":
            from uscl_med3d.nets.msa import MSA

            card = {
                "architecture": MSA
                | {
                    "image_size": config["img_size"],
                    "embed_dim": config["embed_dim"],
                    "depth": config["depth"],
                    "num_heads": config["num_heads"],
                    "global_blocks": config["global_attn_indexes"],
                    "window_size": config["window_size"],
                    "prompt_dim": config["out_chans"],
                    "decoder_mlp_dim": config["mlp_dim_decoder"],
                    "iou_head_dim": config["iou_head_hidden_dim"],
                }
            }
            (made / "msa.json").write_text(json.dumps(card | {"preprocessing": "official"}))
    return made


@pytest.fixture
def still(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.RandomState(0)
    Image.fromarray(rng.randint(0, 255, (*SIZE, 3)).astype(np.uint8)).save(tmp_path / "still.png")
    return tmp_path / "still.png"


def test_the_shape_of_a_samus_is_read_from_its_tensors(folder):
    state = load_file(folder / "samus.safetensors")
    assert recognise(state) == "samus"
    found = samus_architecture(state)
    assert {
        k: found[k] for k in ("image_size", "patch_size", "window_size", "global_blocks", "cnn_widths")
    } == {
        "image_size": 256,
        "patch_size": 8,
        "window_size": 14,
        "global_blocks": (1, 3),
        "cnn_widths": (64, 128, 256),
    }
    build_samus(found).load_state_dict(state, strict=True)
    with torch.device("meta"):
        official = build_samus(SAMUS)
    assert samus_architecture(official.state_dict()) == {**SAMUS, "components": SAMUS["components"]}


@pytest.mark.parametrize("name", ["samus.safetensors", "samus.pth", "medsam.safetensors", "msa.safetensors"])
def test_a_picture_is_segmented_from_a_click(folder, still, run, name):
    done = run(
        "segment",
        still,
        "--weights",
        folder / name,
        "--model",
        name.partition(".")[0],
        "--point",
        "40,30",
        "-o",
        "mask.npy",
        "--allow-empty",
    )
    assert done.code == 0, done.err
    mask = np.load(still.parent / "mask.npy")
    assert mask.shape == (1, *SIZE) and set(np.unique(mask)) <= {0, 1}
    assert name.partition(".")[0] in done.err


def test_two_numbers_are_the_same_click_as_three(folder, still, run):
    weights = folder / "samus.safetensors"
    for point, file in (("40,30", "two.npy"), ("40,30,0", "three.npy"), ("70,5", "other.npy")):
        run("segment", still, "--weights", weights, "--point", point, "-o", file, "--allow-empty")
    two, three, other = (np.load(still.parent / f"{name}.npy") for name in ("two", "three", "other"))
    assert np.array_equal(two, three) and not np.array_equal(two, other)


def test_medsam_is_not_sam(folder, still, run):
    """The same tensors, fed otherwise: without the name of the network the mask would be another one."""
    copied = still.parent / "unnamed.safetensors"
    save_file(load_file(folder / "medsam.safetensors"), copied)
    for model in ("medsam", "sam"):
        done = run(
            "segment",
            still,
            "--weights",
            copied,
            "--model",
            model,
            "--point",
            "40,30",
            "-o",
            f"{model}.npy",
            "--allow-empty",
        )
        assert done.code == 0, done.err
        assert ("boxes" in done.err) == (model == "medsam")
    assert not np.array_equal(np.load(still.parent / "medsam.npy"), np.load(still.parent / "sam.npy"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--weights", "samed.safetensors", "--point", "4,3"), "takes no clicks"),
        (("--weights", "litemedsam.safetensors", "--point", "4,3"), "takes no clicks"),
        (("--weights", "samus.safetensors", "--model", "medsam", "--point", "4,3"), "weights of samus"),
        (("--model", "medsam", "--point", "4,3"), "no weights of medsam"),
        (("--weights", "samus.safetensors", "--point", "4,3", "--mm"), "two patient coordinates"),
    ],
)
def test_what_does_not_fit_is_refused(folder, still, run, arguments, message):
    given = [folder / word if word.endswith(".safetensors") else word for word in arguments]
    done = run("segment", still, *given, "-o", "mask.npy")
    assert done.code != 0 and message in done.err
    assert not (still.parent / "mask.npy").exists()


def test_two_numbers_in_a_clip_are_refused(folder, still, clips, run):
    frames = np.random.RandomState(1).randint(0, 255, (4, 64, 80)).astype(np.uint8)
    clip = clips.video(still.parent / "clip.avi", frames)
    done = run("segment", clip, "--weights", folder / "samus.safetensors", "--point", "4,3", "-o", "mask.npy")
    assert done.code != 0 and "4 frames" in done.err
