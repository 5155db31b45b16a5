"""The simulated image sets: what is written, what is read, what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_samus import make_scans, tiny_samus

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.images2d import open_set, read_item
from uscl_med3d.data.images2d.scans import set_of
from uscl_med3d.simulate.scans import list_scans


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_scans(tmp_path_factory.mktemp("scans") / "sets")


@pytest.fixture
def copy(folder, tmp_path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "sets"))


def test_every_patient_has_one_split_and_only_test_patients_both_scanners():
    rows = list_scans(tiny_samus("samus_scans").scans)
    scanners = {}
    for row in rows:
        scanners.setdefault((row["patient"], row["split"]), []).append(row["scanner"])
    assert len({patient for patient, _ in scanners}) == len(scanners) == 8
    for (_, split), found in scanners.items():
        assert found == (["seen"] if split == "train" else ["seen", "unseen"])


def test_images_show_what_their_masks_say(folder):
    images = open_set("scans", folder)
    assert 12 <= len(images.items) <= 2 * (2 + 2 * 2) * 2 and min(images.classes.values()) == 1
    shown = {item.name: read_item(item) for item in images.items}
    for item in images.items:
        grey, labels = shown[item.name]
        assert (
            grey.std() > 10 and labels.max() > 0 and set(np.unique(labels)) <= {0, *images.classes.values()}
        )
        assert item.split == "test" or set_of(item).endswith("_seen")


def test_the_scanners_differ_and_the_bodies_do_not(folder):
    images = open_set("scans", folder)
    for part in ("chest", "abdomen"):
        groups = {
            one: [i for i in images.items if set_of(i) == f"{part}_{one}" and i.split == "test"]
            for one in ("seen", "unseen")
        }
        first = [read_item(found[0]) for found in groups.values()]
        assert not np.array_equal(first[0][0], first[1][0])
        assert {i.group for i in groups["seen"]} & {i.group for i in groups["unseen"]}
        shown = [
            {int(value) for i in found for value in np.unique(read_item(i)[1])} for found in groups.values()
        ]
        assert len(shown[0] & shown[1]) > 1


def test_simulation_repeats(folder, tmp_path):
    again = make_scans(tmp_path / "again")
    for file in sorted(folder.rglob("*.png"))[:6]:
        assert file.read_bytes() == (again / file.relative_to(folder)).read_bytes()


def test_a_patient_in_two_splits_a_missing_file_and_another_folder_are_refused(copy, tmp_path):
    table = copy / "stills.csv"
    text = table.read_text()
    table.write_text(text.replace(",train", ",test", 1))
    with pytest.raises(InputError, match="in two splits"):
        open_set("scans", copy)
    table.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="other columns"):
        open_set("scans", copy)
    table.write_text(text)
    next((copy / "chest_seen" / "masks").iterdir()).unlink()
    with pytest.raises(InputError, match="no such file"):
        open_set("scans", copy)
    with pytest.raises(InputError, match="no such file"):
        open_set("scans", tmp_path)
