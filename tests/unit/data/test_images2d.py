"""Readers of image sets: what they list, what they say, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import image_trees as trees
import numpy as np
import pytest
from PIL import Image

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.images2d import LAYOUTS, describe, folds, open_set, read_item, split_groups
from uscl_med3d.data.images2d.tables import read_sheet

MAKERS = {
    "busi": trees.make_busi,
    "camus": trees.make_camus,
    "ddti": trees.make_ddti,
    "hmc_qu": trees.make_hmc_qu,
    "tg3k": trees.make_tg3k,
    "tn3k": trees.make_tn3k,
    "udiat": trees.make_udiat,
    "us30k": trees.make_us30k,
    "usgra": trees.make_usgra,
    "cohort": trees.make_cohort,
    "scans": trees.make_scans,
}
COUNTS = {
    "busi": 5,
    "camus": 10,
    "ddti": 3,
    "hmc_qu": 3,
    "tg3k": 10,
    "tn3k": 9,
    "udiat": 2,
    "us30k": 5,
    "usgra": 5,
    "cohort": 4,
    "scans": 4,
}


def test_every_layout_has_a_tree():
    assert MAKERS.keys() == LAYOUTS.keys() == COUNTS.keys()


@pytest.mark.parametrize("layout", sorted(MAKERS))
def test_every_image_is_read_with_its_labels(layout, tmp_path):
    images = open_set(layout, MAKERS[layout](tmp_path / "set"))
    assert len(images.items) == COUNTS[layout] == len({item.name for item in images.items})
    labels = set(images.classes.values())
    for item in images.items:
        image, mask = read_item(item)
        assert image.dtype == mask.dtype == np.uint8 and image.shape == mask.shape
        assert {int(value) for value in np.unique(mask)} - {0} <= labels and mask.any()
    assert describe(images, duplicate=0.99)


@pytest.mark.parametrize("layout", sorted(MAKERS))
def test_a_folder_of_something_else_is_refused(layout, tmp_path):
    (tmp_path / "readme.txt").write_text("nothing here")
    with pytest.raises(InputError):
        open_set(layout, tmp_path)


@pytest.mark.parametrize("layout", sorted(MAKERS))
def test_groups_are_never_divided(layout, tmp_path):
    images = open_set(layout, MAKERS[layout](tmp_path / "set"))
    for parts in (split_groups(images.items, {"train": 0.6, "test": 0.4}, 3), folds(images.items, 2, 3)):
        of_group: dict[str, set] = {}
        for item in images.items:
            of_group.setdefault(item.group, set()).add(parts[item.name])
        assert all(len(found) == 1 for found in of_group.values())


def test_splits_are_repeatable_and_follow_the_shares(tmp_path):
    items = open_set("tn3k", trees.make_tn3k(tmp_path, 30, 10, 10)).items
    first = split_groups(items, {"train": 0.8, "test": 0.2}, 1)
    assert first == split_groups(items, {"train": 0.8, "test": 0.2}, 1)
    assert first != split_groups(items, {"train": 0.8, "test": 0.2}, 2)
    assert sum(part == "train" for part in first.values()) == 40


def test_the_published_cut_through_a_video_of_tg3k_is_said(tmp_path):
    leaking = describe(open_set("tg3k", trees.make_tg3k(tmp_path / "a", cut=5)), None)
    assert any("divides video_01: 1 in train, 3 in val" in line for line in leaking)
    clean = describe(open_set("tg3k", trees.make_tg3k(tmp_path / "b", cut=8)), None)
    assert not any("divides" in line for line in clean)


def test_masks_of_one_image_of_busi_are_merged_and_its_duplicate_is_grouped(tmp_path):
    images = open_set("busi", trees.make_busi(tmp_path))
    items = {item.name: item for item in images.items}
    _, mask = read_item(items["benign (2)"])
    assert mask[12, 12] == mask[28, 36] == 1 and mask[20, 24] == 0
    assert items["benign (1)"].group == items["malignant (2)"].group != items["benign (3)"].group
    assert any("1 images have several masks" in note for note in images.notes)
    assert any("1 images without a lesion" in note for note in images.notes)


def test_stills_that_repeat_each_other_share_a_cluster(tmp_path):
    images = open_set("usgra", trees.make_usgra(tmp_path))
    groups = [item.group for item in images.items]
    assert groups[0] == groups[2] and len(set(groups)) == 4
    assert any("cannot be told apart" in note for note in images.notes)


def test_the_real_stills_of_usgra_are_read(shared):
    folder = shared / "data" / "real" / "us2d_usgra_nerve_vessel"
    if not folder.is_dir():
        pytest.skip("the set is not there")
    images = open_set("usgra", folder)
    assert len(images.items) == 122 and len({item.group for item in images.items}) == 90
    image, mask = read_item(images.items[0])
    assert set(np.unique(mask)) == {0, 1, 2} and image.shape == mask.shape


def test_frames_of_hmc_qu_belong_to_the_heart_cycle(tmp_path):
    images = open_set("hmc_qu", trees.make_hmc_qu(tmp_path, start=2, end=4))
    greys = [float(read_item(item)[0].mean()) for item in images.items]
    assert np.allclose(greys, [30, 60, 90], atol=4)
    assert {item.group for item in images.items} == {"P001"}


def test_a_mask_count_that_does_not_fit_the_cycle_is_refused(tmp_path):
    root = trees.make_hmc_qu(tmp_path, start=2, end=4)
    rows = [["ECHO", "Reference Frame", "End of Cycle"], ["P001_A4C", "2", "5"]]
    trees.write_sheet(root / "HMC_QU.xlsx", rows)
    with pytest.raises(InputError, match="3 masks"):
        open_set("hmc_qu", root)
    trees.write_sheet(root / "HMC_QU.xlsx", [rows[0]])
    with pytest.raises(InputError, match="no row for P001_A4C"):
        open_set("hmc_qu", root)


def test_frames_of_camus_follow_the_file_and_its_axes(tmp_path):
    images = open_set("camus", trees.make_camus(tmp_path))
    item = next(item for item in images.items if item.name == "patient0002_2CH_002")
    image, mask = read_item(item)
    assert np.array_equal(image, trees.picture(2)) and mask[10, 20] == 1 and item.group == "patient0002"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: (root / "ThyroidNodule-TN3K/img/b.png").unlink(), "b.png"),
        (
            lambda root: (root / "MainPatient/class.json").write_text('{"ThyroidNodule-TN3K": 2}'),
            "class.json does not",
        ),
        (lambda root: (root / "MainPatient/val.txt").write_text("7/ThyroidNodule-TN3K/b\n"), "class 7"),
        (lambda root: (root / "MainPatient/val.txt").write_text("b\n"), "line 1"),
        (
            lambda root: (root / "MainPatient/val.txt").write_text("1/ThyroidNodule-TN3K/a\n"),
            "more than one list",
        ),
        (
            lambda root: (root / "MainPatient/val.txt").write_text("1/Echocardiography-CAMUS/0002_4CH_01\n"),
            "Echocardiography-CAMUS/0002",
        ),
        (lambda root: (root / "MainPatient/class.json").write_text("[]"), "not readable"),
    ],
)
def test_lists_of_us30k_that_do_not_fit_are_refused(tmp_path, change, message):
    root = trees.make_us30k(tmp_path)
    change(root)
    with pytest.raises(InputError, match=message):
        open_set("us30k", root)


def test_lines_per_class_are_one_image_of_us30k_with_all_its_labels(tmp_path):
    images = open_set("us30k", trees.make_us30k(tmp_path))
    item = next(item for item in images.items if item.name.endswith("0001_2CH_01"))
    assert set(np.unique(read_item(item)[1])) == {0, 1, 3} and images.classes["class_3"] == 3


def test_key_frames_of_a_cohort_are_images_of_their_patients(tmp_path):
    images = open_set("cohort", trees.make_cohort(tmp_path))
    item = images.items[1]
    image, mask = read_item(item)
    assert (item.name, item.group, item.split) == ("sweep1_0003", "p1", "train")
    assert np.array_equal(image, trees.picture(13)) and mask[12, 12] == 1 and mask[28, 36] == 2
    assert images.classes == {"liver": 1, "kidney": 2}


def _item(folder: Path, mask: np.ndarray):
    trees.make_udiat(folder)
    trees.save(folder / "GT" / "000001.png", mask)
    return open_set("udiat", folder).items[0]


def test_a_mask_of_another_size_is_refused(tmp_path):
    with pytest.raises(InputError, match="50 x 30 pixels"):
        read_item(_item(tmp_path, trees.disc(10, 10, size=(30, 50))))


def test_a_picture_in_place_of_a_mask_is_refused(tmp_path):
    with pytest.raises(InputError, match="grey levels"):
        read_item(_item(tmp_path, trees.picture(5)))


@pytest.mark.parametrize("value", [1, 100, 255])
def test_a_mask_of_one_value_is_an_object_whatever_the_value(tmp_path, value):
    assert read_item(_item(tmp_path, trees.disc(20, 20, value)))[1].max() == 1


def test_grey_levels_in_place_of_labels_are_refused(tmp_path):
    root = trees.make_usgra(tmp_path)
    trees.save(root / "masks" / "0002.png", trees.picture(9))
    item = open_set("usgra", root).items[1]
    with pytest.raises(InputError, match="pixel values"):
        read_item(item)


def test_images_without_masks_and_masks_without_images_are_named(tmp_path):
    root = trees.make_ddti(tmp_path)
    (root / "mask" / "10.PNG").rename(root / "mask" / "11.PNG")
    with pytest.raises(InputError, match=r"1 images without a mask \(10\); 1 masks without an image \(11\)"):
        open_set("ddti", root)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"train": [0, 1, 2, 3], "val": [3, 4, 5]}, "in both lists"),
        ({"train": [0, 1, 2, 3], "val": [4, 5, 9]}, "listed without a file"),
        ({"train": [0, 1], "val": [4, 5]}, "in neither list"),
        ({"train": [0, 1]}, "not readable"),
    ],
)
def test_a_published_split_that_does_not_fit_the_files_is_refused(tmp_path, lists, message):
    root = trees.make_tn3k(tmp_path)
    (root / "tn3k-trainval-fold0.json").write_text(json.dumps(lists))
    with pytest.raises(InputError, match=message):
        open_set("tn3k", root)


def test_a_damaged_picture_is_refused(tmp_path):
    root = trees.make_udiat(tmp_path)
    (root / "original" / "000001.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="not readable"):
        read_item(open_set("udiat", root).items[0])


def test_a_picture_of_16_bits_is_refused(tmp_path):
    root = trees.make_udiat(tmp_path)
    Image.fromarray(np.zeros(trees.SIZE, np.uint16)).save(root / "original" / "000001.png")
    with pytest.raises(InputError, match="8 bits"):
        read_item(open_set("udiat", root).items[0])


def test_a_damaged_workbook_is_refused(tmp_path):
    file = tmp_path / "table.xlsx"
    file.write_bytes(b"PK no")
    with pytest.raises(InputError, match="not readable as a workbook"):
        read_sheet(file)


def test_an_unknown_layout_is_refused(tmp_path):
    with pytest.raises(InputError, match="one of busi"):
        open_set("other", tmp_path)
