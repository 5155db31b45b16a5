"""Tracked sweeps: poses of the header, reconstruction in millimetres, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import tracked_files as made
from tracked_files import (
    CALIBRATION,
    REFERENCE,
    hand_poses,
    scene,
    text,
    to_world,
    write_calibration,
    write_sweep,
)

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.clips import read_clip
from uscl_med3d.data.tracked import (
    VolumeGrid,
    find_calibration,
    frame_steps_mm,
    is_tracked,
    plan_volume,
    read_calibration,
    read_track,
    reconstruct,
)

KNOWN = {("Image", "Probe"): CALIBRATION}
WHOLE = np.ones(made.SIZE, bool)
# Of the real sweep's probe. The file does not hold it; found by matching the frames to the reference reconstruction
# (3 shifts, 3 turns, 2 pixel sizes), so the comparison below tests geometry and compounding, not a calibration.
SPINE = np.array(
    [
        [-1.42856188e-03, 7.92385228e-02, -7.53080399e-03, 15.2644639],
        [-8.33729583e-02, 6.94053407e-05, 1.56179252e-02, 49.9299304],
        [1.60610371e-02, 7.40828949e-03, 8.04027117e-02, -8.80464576],
        [0, 0, 0, 1],
    ]
)


@pytest.mark.parametrize("suffix", [".igs.mha", ".igs.nrrd"])
def test_poses_of_every_frame(tmp_path: Path, suffix: str) -> None:
    poses = hand_poses()
    path = write_sweep(tmp_path / f"a{suffix}", poses)
    assert is_tracked(path)
    track = read_track(path, KNOWN, "Image")
    assert track.world == "Reference" and sorted(track.poses) == list(range(15)) and not track.lost
    for frame, pose in enumerate(poses):
        np.testing.assert_allclose(track.poses[frame], to_world(pose), atol=1e-5)
    steps = frame_steps_mm(track, (31.5, 23.5))
    assert steps.shape == (14,) and steps.mean() == pytest.approx(1.0, abs=0.15)


def test_calibration_from_header_configuration_or_text(tmp_path: Path) -> None:
    poses = hand_poses()
    path = write_sweep(tmp_path / "in_header.igs.mha", poses, calibrated=True)
    expected = read_track(path, {}, "Image").poses[3]
    path = write_sweep(tmp_path / "a.igs.mha", poses)
    assert find_calibration(path) is None
    (tmp_path / "a.calibration.txt").write_text(text(CALIBRATION))
    found = read_track(path, read_calibration(find_calibration(path)), "Image").poses[3]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    write_calibration(tmp_path / "a.calibration.xml")
    assert find_calibration(path).suffix == ".xml"
    assert set(read_calibration(find_calibration(path))) == {("Image", "Probe"), ("StylusTip", "Stylus")}
    np.testing.assert_allclose(
        read_track(path, read_calibration(find_calibration(path)), "Image").poses[3], expected, atol=1e-6
    )


def test_frames_without_a_valid_pose_are_skipped_and_named(tmp_path: Path) -> None:
    fields = {
        "Seq_Frame0002_ProbeToTrackerTransformStatus": "INVALID",
        "Seq_Frame0004_ImageStatus": "INVALID",
        "Seq_Frame0006_ProbeToTrackerTransform": text(np.zeros((4, 4))),
        "Seq_Frame0008_ProbeToTrackerTransform": text(np.full((4, 4), np.nan)),
        "Seq_Frame0010_ProbeToTrackerTransform": "",
        "Seq_Frame0012_ProbeToTrackerTransform": "1 2 three",
    }
    path = write_sweep(tmp_path / "a.igs.mha", hand_poses(), fields=fields)
    track = read_track(path, KNOWN, "Image")
    assert sorted(track.lost) == [2, 4, 6, 8, 10, 12] and len(track.poses) == 9
    assert "ProbeToTracker is not marked as OK" in track.lost[2] and "no usable matrix" in track.lost[6]
    # Their pixels are nowhere in the volume: a lost frame that is white leaves no trace.
    frames, _ = read_clip(path)
    frames[[2, 4, 6, 8, 10, 12]] = 255
    grid = plan_volume(track, WHOLE, 0.5, "sweep", path)
    assert reconstruct(frames, track, grid, WHOLE, "nearest", 0.0).image.max() < 240


@pytest.mark.parametrize("orientation", ["MFA", "UFA", "MNA", "UNA"])
def test_flipped_frames_give_the_same_volume(tmp_path: Path, orientation: str) -> None:
    poses = hand_poses()
    frames = np.stack([made.see(pose) for pose in poses])
    stored = frames[:, :: -1 if orientation[1] == "N" else 1, :: -1 if orientation[0] == "U" else 1]
    path = write_sweep(
        tmp_path / "a.igs.mha",
        poses,
        np.ascontiguousarray(stored),
        {"UltrasoundImageOrientation": orientation},
    )
    track = read_track(path, KNOWN, "Image")
    grid = plan_volume(track, WHOLE, 1.0, "world", path)
    values = scene(centres(grid))
    volume = reconstruct(read_clip(path)[0], track, grid, WHOLE, "linear", 0.0)
    difference = np.abs(volume.image - values.reshape(volume.image.shape))[volume.covered]
    assert difference.mean() < 3


def centres(grid: VolumeGrid) -> np.ndarray:
    """Millimetres (3, n) of all voxels, z slowest."""
    z, y, x = np.indices(grid.size[::-1]).reshape(3, -1)
    return grid.origin_mm[:, None] + grid.axes @ (np.stack([x, y, z]) * grid.spacing_mm)


@pytest.mark.parametrize("axes", ["sweep", "world"])
@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
def test_the_scene_comes_out_where_it_is(tmp_path: Path, axes: str, interpolation: str) -> None:
    path = write_sweep(tmp_path / "a.igs.mha", hand_poses())
    track = read_track(path, KNOWN, "Image")
    grid = plan_volume(track, WHOLE, 0.5, axes, path)
    volume = reconstruct(read_clip(path)[0], track, grid, WHOLE, interpolation, 1.0)
    difference = np.abs(volume.image - scene(centres(grid)).reshape(volume.image.shape))[volume.covered]
    assert difference.mean() < 4 and np.percentile(difference, 95) < 15
    assert (volume.image[~volume.covered] == 0).all()
    # The slab that was swept: 14 mm of way, 25.2 x 23.5 mm of image, with half a voxel around and tilted ends.
    assert 0.95 < volume.covered.sum() * 0.5**3 / (14 * 25.2 * 23.5) < 1.25
    assert volume.seen_share < 1
    if axes == "sweep":  # slices are like frames, in the order of the sweep
        assert grid.size[0] > grid.size[1] > grid.size[2] and grid.size[2] < 40


def test_gaps_are_filled_only_where_asked(tmp_path: Path) -> None:
    poses = hand_poses(step_mm=2.0)
    path = write_sweep(tmp_path / "a.igs.mha", poses)
    track = read_track(path, KNOWN, "Image")
    grid = plan_volume(track, WHOLE, 0.5, "sweep", path)
    frames, _ = read_clip(path)
    bare, filled = (reconstruct(frames, track, grid, WHOLE, "nearest", fill) for fill in (0.0, 1.5))
    assert bare.seen_share == 1 and filled.seen_share < 0.6
    np.testing.assert_array_equal(filled.image[bare.covered], bare.image[bare.covered])
    inner = filled.covered[4:-4, 4:-4, 4:-4]
    assert inner.mean() > 0.97 and bare.covered[4:-4, 4:-4, 4:-4].mean() < 0.5


def test_furniture_is_not_reconstructed(tmp_path: Path) -> None:
    poses = hand_poses()
    frames = np.stack([made.see(pose) for pose in poses])
    frames[:, :, 50:] = 255  # a bar beside the image
    path = write_sweep(tmp_path / "a.igs.mha", poses, frames)
    track = read_track(path, KNOWN, "Image")
    region = WHOLE.copy()
    region[:, 50:] = False
    grid = plan_volume(track, region, 0.5, "sweep", path)
    assert reconstruct(frames, track, grid, region, "nearest", 1.0).image.max() < 240


WRONG = {
    "no pose at all": (
        {
            "fields": dict.fromkeys(
                (
                    f"Seq_Frame{n:04d}_{name}Transform"
                    for n in range(15)
                    for name in ("ProbeToTracker", "ReferenceToTracker")
                ),
                "",
            )
        },
        "no transform of any frame",
    ),
    "not calibrated": ({}, "no way from Image"),
    "all lost": (
        {
            "calibrated": True,
            "fields": {f"Seq_Frame{n:04d}_ProbeToTrackerTransformStatus": "MISSING" for n in range(15)},
        },
        "no way from Image",
    ),
    "turned by 90 degrees": ({"calibrated": True, "fields": {"UltrasoundImageOrientation": "FMA"}}, "'FMA'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_unusable_sweeps_are_refused(tmp_path: Path, case: str) -> None:
    options, found = WRONG[case]
    path = write_sweep(tmp_path / "a.igs.mha", hand_poses(), **options)
    with pytest.raises(InputError) as caught:
        read_track(path, {}, "Image")
    assert found in caught.value.found and caught.value.file == str(path) and caught.value.remedy


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("1 2 3", "'1 2 3'"),
        (text(np.zeros((4, 4))), "ImageToProbe|the text"),
        ("nan " * 16, "nan nan"),
        ("<PlusConfiguration/>", "no transform"),
        ("<PlusConfiguration>", "not readable as XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "entity declaration"),
        ('<a><Transform From="Image" To="Probe" Matrix="1 0 0"/></a>', "ImageToProbe is '1 0 0'"),
        ("<" + "x" * 2**21, "bytes"),
    ],
)
def test_unusable_calibrations_are_refused(tmp_path: Path, content: str, found: str) -> None:
    path = tmp_path / "a.calibration.xml"
    path.write_text(content)
    with pytest.raises(InputError, match=found) as caught:
        read_calibration(path)
    assert caught.value.file == str(path)


def test_an_absurd_grid_is_refused_before_it_is_made(tmp_path: Path) -> None:
    poses = hand_poses()
    path = write_sweep(tmp_path / "a.igs.mha", poses)
    track = read_track(path, KNOWN, "Image")
    with pytest.raises(InputError, match=r"voxels of 0\.001 mm"):
        plan_volume(track, WHOLE, 0.001, "sweep", path)
    poses[3] = poses[3].copy()
    poses[3][0, 3] = 1e6  # one pose a kilometre away
    far = read_track(write_sweep(tmp_path / "b.igs.mha", poses), KNOWN, "Image")
    with pytest.raises(InputError, match=r"1e\+06|voxels") as caught:
        plan_volume(far, WHOLE, 0.5, "sweep", path)
    assert "larger spacing" in caught.value.remedy


def test_a_real_sweep_against_its_reference_reconstruction(shared: Path) -> None:
    folder = shared / "data/real/us_tracked_spine_phantom_plus"
    path = folder / "SpinePhantomFreehand.igs.mha"
    track = read_track(path, {("Image", "Probe"): SPINE}, "Image")
    assert track.world == "Reference" and len(track.poses) == 21 and not track.lost
    reference = SimpleITK.ReadImage(str(folder / "SpinePhantomFreehandReconstructed.mha"))
    expected = SimpleITK.GetArrayFromImage(reference).astype(float)
    frames, _ = read_clip(path)
    grid = VolumeGrid(np.array(reference.GetOrigin()), np.eye(3), 0.5, reference.GetSize())
    volume = reconstruct(frames, track, grid, frames.max(0) > 0, "nearest", 1.0)
    both = volume.covered & (expected > 0)
    assert both.sum() > 0.85 * (expected > 0).sum() and both.sum() > 0.95 * volume.covered.sum()
    assert np.corrcoef(volume.image[both], expected[both])[0, 1] > 0.975
    assert np.abs(volume.image[both] - expected[both]).mean() < 8
    # Turned over along any axis it does not fit: the orientation is right.
    for axis in range(3):
        turned = np.flip(volume.image, axis).astype(float)
        both = np.flip(volume.covered, axis) & (expected > 0)
        assert np.corrcoef(turned[both], expected[both])[0, 1] < 0.93
    # Our own grid in the same axes is the reference's, within 2 mm.
    own = plan_volume(track, np.ones(frames.shape[1:], bool), 0.5, "world", path)
    np.testing.assert_allclose(own.origin_mm, reference.GetOrigin(), atol=2)
    np.testing.assert_allclose(own.size, reference.GetSize(), atol=6)


def test_the_sweep_of_the_tests_is_no_special_case() -> None:
    """Its axes are turned against the reference's, so a mistaken order of axes shows."""
    world = to_world(hand_poses()[7])[:3, :3]
    assert np.abs(world - np.diag(np.diag(world))).max() > 0.3 and np.linalg.det(REFERENCE[:3, :3]) > 0
