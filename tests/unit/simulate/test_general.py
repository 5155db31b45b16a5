"""The general-domain sets."""

from __future__ import annotations

import json
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest

from uscl_med3d.core.io import load_volume, sha256
from uscl_med3d.core.seeds import rng
from uscl_med3d.simulate.general import LABELS, draw_case, simulate_general

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
