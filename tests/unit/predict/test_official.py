"""The pipeline round SAM-Med3D against every recorded intermediate of the official one."""

from __future__ import annotations

import hashlib
import json
from itertools import permutations, product

import nibabel
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from uscl_med3d.data import official_grid
from uscl_med3d.data.official_grid import RELEASED, Settings, Volume, read_volume
from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d
from uscl_med3d.predict import official

NAMES = ("axial", "oblique")
RUNS = [(name, run) for name in NAMES for run in ("entry_1click", "entry_3clicks", "points_1", "points_3")]


@pytest.fixture(scope="module")
def facts(shared):
    return json.loads((shared / "reference/sam_med3d_pipeline.tiny.json").read_text())


@pytest.fixture(scope="module")
def tensors(shared):
    return load_file(shared / "reference/sam_med3d_pipeline.tiny.safetensors")


@pytest.fixture(scope="module")
def network(facts, tensors):
    model = build_sam_med3d(SamMed3DConfig(**facts["config"]))
    state = {k.removeprefix("state/"): v.float() for k, v in tensors.items() if k.startswith("state/")}
    model.load_state_dict(state, strict=True)
    return model.eval()


@pytest.fixture(scope="module")
def volumes(shared):
    folder = shared / "reference/sam_med3d_pipeline"
    return {
        (name, kind): read_volume(folder / f"{name}_{kind}.nii.gz")
        for name in NAMES
        for kind in ("image", "label")
    }


@pytest.fixture(scope="module")
def canonical(volumes):
    return {
        name: official_grid.to_canonical(official_grid.resample(volumes[name, "image"], RELEASED, "linear"))
        for name in NAMES
    }


def digest(array, dtype=None):
    array = np.ascontiguousarray(array if dtype is None else array.astype(dtype))
    return hashlib.sha256(array.tobytes()).hexdigest()


def categories(facts, name, run):
    """(key prefix, recorded facts) of every mask of a run; a run of points has one."""
    recorded = facts["volumes"][name][run]
    if run.startswith("points"):
        return [(f"{name}/{run}", recorded)]
    return [(f"{name}/{run}/{value}", part) for value, part in recorded["categories"].items()]


@pytest.mark.parametrize("name", NAMES)
def test_loading(name, volumes, facts):
    loaded, image = facts["volumes"][name]["geometry"]["loaded"], volumes[name, "image"]
    assert image.array.dtype == loaded["dtype"] and list(image.shape) == loaded["shape_xyz"]
    np.testing.assert_allclose(image.affine, loaded["affine_ras"], atol=1e-9, rtol=0)
    assert digest(image.array) == loaded["sha256"]


@pytest.mark.parametrize("name", NAMES)
def test_resampling(name, volumes, facts):
    wanted = facts["volumes"][name]["geometry"]["resampled"]
    found = official_grid.resample(volumes[name, "image"], RELEASED, "linear")
    assert list(found.shape) == wanted["shape"] and found.array.dtype == wanted["dtype"]
    np.testing.assert_allclose(found.affine, wanted["affine_ras"], atol=1e-9, rtol=0)
    assert digest(found.array) == wanted["image_sha256"]


@pytest.mark.parametrize("name", NAMES)
def test_the_older_grid(name, volumes, facts):
    wanted = facts["other_torchio_versions"]["0.20.9"][name]
    found = official_grid.resample(volumes[name, "image"], Settings(1.5, "corner_ceil"), "linear")
    assert list(found.shape) == wanted["resampled_shape"]
    np.testing.assert_allclose(found.affine, wanted["resampled_affine_ras"], atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_masks_on_the_older_grid(name, volumes, network, facts, tensors):
    """The whole entry run of one click with the older rule, draws included: recorded voxel counts and Dice."""
    settings, random = Settings(1.5, "corner_ceil"), np.random.RandomState(233)
    image, label = volumes[name, "image"], volumes[name, "label"]
    canonical = official_grid.to_canonical(official_grid.resample(image, settings, "linear"))
    saved, side = np.zeros(image.shape, np.uint8), network.config.image_size
    for value in np.unique(label.array)[1:]:
        alone = Volume((label.array == value).astype(np.uint8), label.affine)
        truth = official_grid.to_canonical(official_grid.resample(alone, settings, "nearest"))
        inside = np.argwhere(truth.array > 0)
        if not len(inside):
            continue
        start = official_grid.window_start(inside.min(0), inside.max(0), side)
        window = official_grid.cut_window(canonical, start, side)
        candidates = np.argwhere(official_grid.cut_window(truth, start, side).array > 0)
        click = candidates[random.randint(len(candidates))]
        with torch.inference_mode():
            embedding = network.image_encoder(official.normalise(window))
            (low,) = official.predict_passes(network, embedding, [click], [1], "all")
            mask = Volume(official.threshold(network, low), window.affine)
        saved[official_grid.to_file_grid(mask, image) > 0] = value
    recorded = facts["other_torchio_versions"]["0.20.9"][name]
    other = tensors[f"{name}/entry_1click/saved_label_map"].numpy()
    for value, count in recorded["saved_voxels"].items():
        assert abs(int((saved == int(value)).sum()) - count) <= 1e-3 * count
    for value, wanted in recorded["dice_with_this_fixture"].items():
        assert dice(saved == int(value), other == int(value)) == pytest.approx(wanted, abs=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_canonical_image_and_labels(name, volumes, canonical, facts, tensors):
    wanted = facts["volumes"][name]["geometry"]["canonical"]
    np.testing.assert_allclose(canonical[name].affine, wanted["affine_ras"], atol=1e-9, rtol=0)
    np.testing.assert_array_equal(canonical[name].array, tensors[f"{name}/canonical.image"].numpy())
    label, values = volumes[name, "label"], tensors[f"{name}/canonical.label"].numpy()
    for value in np.unique(label.array)[1:]:
        alone = Volume((label.array == value).astype(np.uint8), label.affine)
        found = official_grid.to_canonical(official_grid.resample(alone, RELEASED, "nearest"))
        np.testing.assert_array_equal(found.array > 0, values == value)


@pytest.mark.parametrize(("name", "run"), RUNS)
def test_window_and_normalisation(name, run, canonical, network, facts, tensors):
    side = network.config.image_size
    for key, part in categories(facts, name, run):
        if "label_bbox_first" in part:
            start = official_grid.window_start(part["label_bbox_first"], part["label_bbox_last"], side)
        else:
            start = official_grid.window_start_of_all(canonical[name].shape, side)
        assert list(start) == part["roi_first_canonical_index"]
        window = official_grid.cut_window(canonical[name], start, side)
        np.testing.assert_allclose(window.affine, part["roi_affine_ras"], atol=1e-9, rtol=0)
        assert window.array.dtype == part["roi_dtype"] and digest(window.array) == part["roi_image_sha256"]
        found = official.normalise(window)[0, 0]
        if "sum_of_result" in part["znorm"]:
            assert float(found.double().sum()) == pytest.approx(part["znorm"]["sum_of_result"], rel=1e-6)
        if (recorded := tensors.get(f"{key}/roi.normalised.every8")) is not None:
            torch.testing.assert_close(found[::8, ::8, ::8], recorded, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "run"), RUNS)
def test_passes_and_masks(name, run, volumes, canonical, network, facts, tensors):
    """Embedding, logits after every recorded click, the window's mask, and equal voxels on the file's grid."""
    side = network.config.image_size
    for key, part in categories(facts, name, run):
        if "clicks" not in part:
            continue
        window = official_grid.cut_window(canonical[name], part["roi_first_canonical_index"], side)
        with torch.inference_mode():
            embedding = network.image_encoder(official.normalise(window))
            if (recorded := tensors.get(f"{key}/embedding")) is not None:
                largest = float(recorded.abs().max())
                torch.testing.assert_close(embedding, recorded, atol=1e-5 * largest, rtol=0)
            places, labels = zip(
                *((click["roi_xyz"], click["label"]) for click in part["clicks"]), strict=True
            )
            lows = list(official.predict_passes(network, embedding, places, labels, "all"))
            mask = official.threshold(network, lows[-1])
        box = tuple(slice(*ends) for ends in part["low_res_box"])
        for number, low in enumerate(lows):
            recorded = tensors[f"{key}/low_res_box.{number}"]
            limit = (1e-4 if number == 0 else 1e-3) * float(recorded.abs().max())
            torch.testing.assert_close(low[0, 0][box], recorded, atol=limit, rtol=0)
        content = tuple(slice(*ends) for ends in part["roi_content_box"])
        assert_few_differ(mask[content], tensors[f"{key}/roi.mask_box"].numpy())
        found = official_grid.to_file_grid(Volume(mask, window.affine), volumes[name, "image"])
        wanted = tensors.get(f"{key}/original_grid_mask")
        if wanted is None:
            saved = tensors[f"{name}/{run}/saved_label_map"].numpy()
            wanted = torch.from_numpy((saved == int(key.rpartition("/")[2])).astype(np.uint8))
            later = [int(k.rpartition("/")[2]) for k, p in categories(facts, name, run) if "clicks" in p]
            found = found * ~np.isin(saved, [v for v in later if v > int(key.rpartition("/")[2])])
        assert_few_differ(found, wanted.numpy())


def assert_few_differ(found, wanted):
    """At most 0.1 % of the union, and a mask that is neither empty nor everything."""
    assert found.dtype == np.uint8 and found.shape == wanted.shape and 0 < wanted.mean() < 1
    union = (found > 0) | (wanted > 0)
    assert (found != wanted).sum() <= 1e-3 * union.sum(), (found != wanted).sum()


@pytest.mark.parametrize("name", NAMES)
def test_the_second_and_third_click_are_drawn_as_recorded(name, volumes, canonical, network, facts, tensors):
    """With the recorded logits as basis, as the draw hangs on every voxel."""
    side, random = network.config.image_size, np.random.RandomState(233)
    labels = tensors[f"{name}/canonical.label"].numpy()
    for key, part in categories(facts, name, "entry_3clicks"):
        value = int(key.rpartition("/")[2])
        if "clicks" not in part:
            continue
        whole = Volume((labels == value).astype(np.uint8), canonical[name].affine)
        truth = official_grid.cut_window(whole, part["roi_first_canonical_index"], side).array > 0
        prediction = np.zeros_like(truth)
        for number, click in enumerate(part["clicks"]):
            if f"{key}/low_res.{number - 1}" in tensors:
                prediction = (
                    official.threshold(network, tensors[f"{key}/low_res.{number - 1}"][None, None]) > 0
                )
            elif number:  # logits are recorded for the first category only; the stream runs on all the same
                random.randint(click["candidates"])
                continue
            wrong = np.argwhere(truth != prediction)
            drawn = random.randint(len(wrong))
            assert (len(wrong), drawn) == (click["candidates"], click["drawn_index"])
            assert (
                wrong[drawn].tolist() == click["roi_xyz"]
                and int(truth[tuple(wrong[drawn])]) == click["label"]
            )


@pytest.mark.parametrize(("name", "run"), [(n, r) for n in NAMES for r in ("points_1", "points_3")])
def test_clicks_of_a_user_land_where_recorded(name, run, volumes, canonical, facts):
    part = facts["volumes"][name][run]
    for (x, y, z, label), click in zip(part["given_voxel_xyz_label"], part["clicks"], strict=True):
        index = official_grid.locate((x, y, z), volumes[name, "image"].affine, canonical[name])
        np.testing.assert_allclose(index, click["canonical_xyz_continuous"], atol=1e-9)
        assert list(official_grid.nearest_voxel(index)) == click["canonical_xyz"] and label == click["label"]


def stored_otherwise(volume, order, flips):
    """The same volume in space with permuted and flipped axes, and where voxels went."""
    affine, array = volume.affine.copy(), volume.array
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
        affine[:3, axis] *= -1
        array = np.flip(array, axis)
    turned = affine[:, [*order, 3]]
    return Volume(np.ascontiguousarray(array.transpose(order)), turned)


@pytest.mark.parametrize("name", NAMES)
def test_how_a_volume_is_stored_does_not_matter(name, volumes, canonical):
    """All 48 ways to store it give the same canonical voxels at the same place."""
    for order in permutations(range(3)):
        for flips in ([axis for axis in range(3) if on[axis]] for on in product((0, 1), repeat=3)):
            copy = stored_otherwise(volumes[name, "image"], order, flips)
            found = official_grid.to_canonical(official_grid.resample(copy, RELEASED, "linear"))
            np.testing.assert_allclose(found.affine, canonical[name].affine, atol=1e-9)
            difference = np.abs(found.array.astype(float) - canonical[name].array)
            # Sums in another order may round across a whole number, which whole-number types cut.
            assert difference.max() <= (1 if name == "axial" else 1e-2)
            assert (difference > 1e-2).mean() < 1e-3


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.zeros((4, 4, 4)), "0 voxel"),
        (-np.ones((4, 4, 4)), "0 voxel"),
        (np.full((4, 4, 4), 7), "equal values"),
    ],
)
def test_what_cannot_be_normalised_is_refused(array, complaint):
    with pytest.raises(ValueError, match=complaint):
        official.normalise(Volume(array, np.eye(4)))


def test_too_thin_a_volume_is_refused():
    with pytest.raises(ValueError, match="less than one voxel"):
        official_grid.resample(
            Volume(np.zeros((2, 40, 40), np.int16), np.diag([0.5, 1, 1, 1])), RELEASED, "linear"
        )


def test_unsigned_types_become_signed_and_slopes_float(tmp_path):
    array = np.arange(24, dtype=np.uint16).reshape(2, 3, 4) + 40_000
    image = nibabel.Nifti1Image(array, np.eye(4))
    nibabel.save(image, tmp_path / "u.nii")
    assert read_volume(tmp_path / "u.nii").array.dtype == np.int32
    image.header.set_slope_inter(2.0, -1.0)
    nibabel.save(image, tmp_path / "s.nii")
    sloped = read_volume(tmp_path / "s.nii").array
    np.testing.assert_allclose(sloped, nibabel.load(tmp_path / "s.nii").get_fdata(), rtol=1e-6)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("name", NAMES)
def test_a_slip_would_be_noticed(name, volumes, canonical, network, facts, tensors):
    """Single steps done otherwise give the recorded, much lower Dice with the official mask."""
    part, recorded = facts["volumes"][name]["points_1"], facts["volumes"][name]["controls_points_1"]
    wanted = tensors[f"{name}/points_1/original_grid_mask"].numpy() > 0
    window = official_grid.cut_window(
        canonical[name], part["roi_first_canonical_index"], network.config.image_size
    )
    place = part["clicks"][0]["roi_xyz"]

    def predict(values, masks):
        with torch.inference_mode():
            embedding = network.image_encoder(values)
            points = (torch.tensor([[place]]).float(), torch.tensor([[1]]))
            low, _ = network.decode(embedding, points, masks=masks)
            mask = official.threshold(network, low)
        return official_grid.to_file_grid(Volume(mask, window.affine), volumes[name, "image"]) > 0

    zeros = torch.zeros(1, 1, *[network.config.mask_size] * 3)
    raw = torch.from_numpy(window.array).float()
    everything = ((raw - raw.mean()) / raw.std())[None, None]
    for key, found in (
        ("no_mask_vector_instead_of_zero_mask", predict(official.normalise(window), None)),
        ("zscore_all_voxels", predict(everything, zeros)),
    ):
        assert dice(found, wanted) == pytest.approx(recorded[key], abs=2e-3) and recorded[key] < 0.9
