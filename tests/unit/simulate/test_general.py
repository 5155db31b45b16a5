"""The general-domain sets."""

from __future__ import annotations

import json
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest

from uscl_med3d.core.io import load_volume, sha256
from uscl_med3d.core.seeds import rng
from uscl_med3d.simulate.general import LABELS, draw_case, lay_body, simulate_general

SMALLEST = {"amos": 8, "totalsegmentator": 12, "brats": 3}


@pytest.mark.parametrize("name", sorted(SMALLEST))
def test_layout_and_labels(sets, name, tiny):
    content = json.loads((sets / name / "dataset.json").read_text())
    names = {value: label for label, value in content["labels"].items() if value}
    assert len(names) >= SMALLEST[name]
    seen = set()
    for part, count in (("Tr", tiny.general.sets[name].train), ("Ts", tiny.general.sets[name].test)):
        files = sorted((sets / name / f"labels{part}").iterdir())
        assert len(files) == count
        for file in files:
            label, spacing = load_volume(file)
            image, same = load_volume(sets / name / f"images{part}" / file.name.replace(".nii", "_0000.nii"))
            assert image.shape == label.shape and spacing == same and image.dtype == np.int16
            assert set(np.unique(label)) <= {0, *names}
            seen |= set(np.unique(label)) - {0}
    assert seen == set(names)


def test_most_structures_are_large_enough_to_click(phantom):
    for name, labels in LABELS.items():
        sizes = []
        for number in range(1, 4):
            _, label, _ = draw_case(rng(5, name, number), name, number, phantom.general)
            sizes += list(np.bincount(label.ravel(), minlength=len(labels) + 1)[1:])
        assert np.mean(np.array(sizes) >= 60) > 0.9, name


def test_ct_and_mr_differ_in_range(phantom):
    ct, _, _ = draw_case(rng(1), "amos", 1, phantom.general)
    mr, _, _ = draw_case(rng(1), "amos", 2, phantom.general)
    assert ct.min() < -900 and mr.min() >= 0


def test_axes_agree_with_the_affine(sets):
    file = sorted((sets / "amos" / "labelsTr").iterdir())[0]
    image = nibabel.load(file)
    assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
    centre = {
        name: np.argwhere(np.asarray(image.dataobj) == LABELS["amos"].index(name) + 1).mean(axis=0)
        for name in ("liver", "spleen", "aorta", "right_kidney")
    }
    assert centre["liver"][0] > centre["spleen"][0], "the liver is on the right"
    assert centre["liver"][1] > centre["aorta"][1], "the aorta is behind"
    assert centre["liver"][2] > centre["right_kidney"][2], "the kidney is below"


def test_workers_do_not_change_a_byte(sets, tiny, tmp_path):
    general = tiny.general.model_copy(update={"workers": 2})
    simulate_general(SimpleNamespace(seed=tiny.seed, general=general), tmp_path)
    first = {file.relative_to(sets): sha256(file) for file in sets.rglob("*") if file.is_file()}
    second = {file.relative_to(tmp_path): sha256(file) for file in tmp_path.rglob("*") if file.is_file()}
    assert first == second


def test_bodies_lie_differently_in_every_scan(phantom):
    """So that an organ's usual place says little; without pose it says more."""
    still = phantom.general.pose.model_copy(
        update={"shift": (0.0, 0.0, 0.0), "turn_deg": 0.0, "size": (1.0, 1.0)}
    )
    spread = {}
    for kind, general in (
        ("varied", phantom.general),
        ("still", phantom.general.model_copy(update={"pose": still})),
    ):
        places = []
        for number in range(8):
            _, label, _ = draw_case(rng(0, "test", number), "totalsegmentator", number, general)
            heart = np.argwhere(label == 1 + LABELS["totalsegmentator"].index("heart"))
            if len(heart):
                places.append(heart.mean(0) / label.shape)
        spread[kind] = np.std(places, axis=0).mean()
    assert spread["varied"] > 1.5 * spread["still"]


def test_a_body_is_laid_by_shift_turn_and_size(phantom):
    points = np.array([[0.5, -0.2, 0.1], [0.0, 0.3, -0.4]]).T
    pose = phantom.general.pose
    still = pose.model_copy(update={"shift": (0.0, 0.0, 0.0), "turn_deg": 0.0, "size": (1.0, 1.0)})
    assert np.array_equal(lay_body(rng(0), points, still), points)
    doubled = still.model_copy(update={"size": (2.0, 2.0)})
    assert np.allclose(lay_body(rng(0), points, doubled), points / 2)
    turned = lay_body(rng(0), points, still.model_copy(update={"turn_deg": 25.0}))
    assert np.allclose(np.linalg.norm(turned, axis=0), np.linalg.norm(points, axis=0))
    assert not np.allclose(turned, points) and np.allclose(turned[2], points[2])
