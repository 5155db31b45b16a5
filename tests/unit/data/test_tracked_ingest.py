"""Stage `ingest` and the command `reconstruct` on tracked sweeps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import tracked_files as made
from raw_files import Cohort, write_mask
from tracked_files import hand_poses, scene, write_calibration, write_sweep

from uscl_med3d import cli
from uscl_med3d.core.errors import InputError
from uscl_med3d.data.ingest import ingest
from uscl_med3d.data.sweeps import load_sweep

FRAMES = (2, 5, 9, 12)
ROOT = Path(__file__).resolve().parents[3]


def block(value: int = 3) -> np.ndarray:
    mask = np.zeros(made.SIZE, np.uint8)
    mask[16:32, 20:44] = value
    return mask


@pytest.fixture
def tracked(cohort: Cohort) -> Cohort:
    """One tracked sweep with its calibration and four key frames, in place of the video."""
    cohort.add("a", split="train", key_frames="")
    write_sweep(cohort.folder / "sweeps/a.igs.mha", hand_poses())
    write_calibration(cohort.folder / "sweeps/a.calibration.xml")
    for frame in FRAMES:
        write_mask(cohort.folder / "masks/a", frame, block())
    cohort.rows[0] |= {"video": "sweeps/a.igs.mha", "key_frames": "masks/a", "spacing_mm": ""}
    return cohort


def run(cohort: Cohort, job, name: str = "out") -> Path:
    out = cohort.folder.parent / name
    ingest(job, cohort.save(), out / "volumes", out / "splits.csv")
    return out / "volumes"


def test_a_stack_stays_a_stack_and_says_how_far_its_frames_are(tracked: Cohort, make_job) -> None:
    sweep = load_sweep(run(tracked, make_job()), "a")
    assert sweep.spacing_mm == (None, None, None) and sweep.sidecar["axis_without_millimetres"] == "d"
    tracking = sweep.sidecar["tracking"]
    assert tracking["mode"] == "stack" and tracking["mean_frame_spacing_mm"] == pytest.approx(1.0, abs=0.15)
    image = (tracked.folder.parent / "out/volumes/a/image.nii.gz").read_bytes()
    # The same frames without a pose give the same volume: poses are information only.
    stack = SimpleITK.GetImageFromArray(np.stack([made.see(pose) for pose in hand_poses()]))
    SimpleITK.WriteImage(stack, str(tracked.folder / "sweeps/a.mha"))
    tracked.rows[0]["video"] = "sweeps/a.mha"
    plain = run(tracked, make_job(), "plain")
    assert (plain / "a/image.nii.gz").read_bytes() == image
    assert "tracking" not in load_sweep(plain, "a").sidecar


def test_poses_without_a_calibration_are_noted_at_the_probe(tracked: Cohort, make_job) -> None:
    (tracked.folder / "sweeps/a.calibration.xml").unlink()
    tracking = load_sweep(run(tracked, make_job()), "a").sidecar["tracking"]
    assert tracking["measured_at"] == "probe"
    assert tracking["mean_frame_spacing_mm"] == pytest.approx(1.0, abs=0.15)


def test_reconstructed_sweeps_have_millimetres_along_all_axes(tracked: Cohort, make_job) -> None:
    sweep = load_sweep(run(tracked, make_job(tracked="reconstruct", spacing_mm=1.0)), "a")
    assert sweep.spacing_mm == (1.0, 1.0, 1.0) and sweep.sidecar["axis_without_millimetres"] is None
    tracking = sweep.sidecar["tracking"]
    grid = sweep.sidecar["grid"]
    # Voxels of the ingested volume, taken back to the scene by the sidecar alone.
    d, h, w = np.indices(sweep.image.shape).reshape(3, -1) + 0.5
    x, y, z = (
        grid["w_start_px"] + w * grid["w_step_px"],
        grid["h_start_px"] + h * grid["h_step_px"],
        d * grid["frame_step"],
    )
    place = np.stack([x, y, z]) - 0.5
    points = np.array(tracking["volume_origin_mm"])[:, None] + np.array(tracking["volume_axes"]) @ place
    difference = np.abs(sweep.image.ravel() - scene(points))[sweep.image.ravel() > 1]
    assert difference.mean() < 5
    # Every key frame has a slice of its own, in order, and its label where the block was.
    slices = list(tracking["slice_of_key_frame"].values())
    assert slices == sorted(slices) and len(slices) == 4 and not tracking["key_frames_not_mapped"]
    assert [entry["index"] for entry in sweep.sidecar["key_frames"]] == slices
    for index in slices:
        area = (sweep.key_frames[index] == 3).sum()
        assert area == pytest.approx(16 * 0.5 * 24 * 0.4, rel=0.3)


def test_labels_far_from_their_slice_count_as_not_annotated(tracked: Cohort, make_job) -> None:
    wide, narrow = (
        load_sweep(
            run(
                tracked,
                make_job(
                    tracked="reconstruct",
                    spacing_mm=1.0,
                    reconstruction={
                        "spacing_mm": 1.0,
                        "interpolation": "nearest",
                        "fill_mm": 2.0,
                        "max_off_plane_mm": limit,
                    },
                ),
                str(limit),
            ),
            "a",
        ).key_frames
        for limit in (3.0, 0.4)
    )
    used = wide[(wide != 255).any(axis=(1, 2))]
    strict = narrow[(narrow != 255).any(axis=(1, 2))]
    assert (strict == 255).sum() > (used == 255).sum() and (strict == 3).any()


def test_untracked_sweeps_do_not_change_with_the_mode(cohort: Cohort, make_job) -> None:
    cohort.add("b")
    stack, turned = (run(cohort, make_job(tracked=mode), mode) for mode in ("stack", "reconstruct"))
    for name in ("image.nii.gz", "key_frames.nii.gz", "sidecar.json"):
        assert (stack / "b" / name).read_bytes() == (turned / "b" / name).read_bytes()


@pytest.mark.parametrize("problem", ["not calibrated", "reference", "no key frame with a pose"])
def test_what_cannot_be_reconstructed_is_one_error(tracked: Cohort, make_job, problem: str) -> None:
    found = {
        "not calibrated": "no way from Image",
        "reference": "a reference label map on the frames",
        "no key frame with a pose": "no labelled pixel of a key frame",
    }[problem]
    if problem == "not calibrated":
        (tracked.folder / "sweeps/a.calibration.xml").unlink()
    elif problem == "reference":
        labels = SimpleITK.GetImageFromArray(np.repeat(block()[None], 15, axis=0))
        SimpleITK.WriteImage(labels, str(tracked.folder / "truth.nii.gz"))
        tracked.rows[0]["reference"] = "truth.nii.gz"
    else:
        lost = {f"Seq_Frame{frame:04d}_ProbeToTrackerTransformStatus": "INVALID" for frame in FRAMES}
        write_sweep(tracked.folder / "sweeps/a.igs.mha", hand_poses(), fields=lost)
    with pytest.raises(InputError) as caught:
        run(tracked, make_job(tracked="reconstruct"))
    assert found in str(caught.value) and "remedy" in str(caught.value)
    assert not (tracked.folder.parent / "out/volumes").exists()


def test_the_command_writes_a_volume_in_millimetres(
    tracked: Cohort, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep, out = tracked.folder / "sweeps/a.igs.mha", tracked.folder.parent / "v.nii.gz"
    write_sweep(sweep, hand_poses(), fields={"Seq_Frame0003_ProbeToTrackerTransformStatus": "INVALID"})
    command = [
        "reconstruct",
        str(sweep),
        "-o",
        str(out),
        "--spacing-mm",
        "0.5",
        "--params-file",
        str(ROOT / "params.yaml"),
    ]
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    assert "14 of 15 frames used" in said and "frame(s) 3: ProbeToTracker is not marked as OK" in said
    assert "coordinates of Reference" in said
    volume = SimpleITK.ReadImage(str(out))
    np.testing.assert_allclose(volume.GetSpacing(), 0.5, rtol=1e-6)
    array = SimpleITK.GetArrayFromImage(volume)
    index = np.argwhere(array > 0)[::50]
    points = np.array(
        [volume.TransformContinuousIndexToPhysicalPoint([float(i) for i in at[::-1]]) for at in index]
    ).T
    assert np.abs(array[tuple(index.T)] - scene(points)).mean() < 5
    before = out.read_bytes()
    assert cli.main(command) == 0 and out.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["-o", "v.png"], "suffix '.png'"),
        (["--spacing-mm", "0"], "a spacing above zero"),
        (["--spacing-mm", "0.0001"], "voxels of 0.0001 mm"),
        (["--calibration", "none.xml"], "none.xml"),
        (["--params-file", "none.yaml"], "none.yaml"),
    ],
)
def test_the_command_refuses_with_one_message(
    tracked: Cohort,
    capsys: pytest.CaptureFixture[str],
    change: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tracked.folder)
    command = [
        "reconstruct",
        "sweeps/a.igs.mha",
        "-o",
        "v.mha",
        "--spacing-mm",
        "0.5",
        "--params-file",
        str(ROOT / "params.yaml"),
        *change,
    ]
    assert cli.main(command) == 2
    message = capsys.readouterr().err
    assert said in message and message.count("remedy:") == 1
    assert not list(tracked.folder.glob("v.*"))


def test_sidecars_do_not_repeat_the_header(tracked: Cohort, make_job) -> None:
    fields = {
        "PatientName": "Mustermann",
        "Seq_Frame0001_MustermannToTrackerTransform": "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1",
        "Seq_Frame0001_ProbeToTrackerTransformStatus": "Mustermann",
    }
    write_sweep(tracked.folder / "sweeps/a.igs.mha", hand_poses(), fields=fields)
    for mode in ("stack", "reconstruct"):
        sidecar = load_sweep(run(tracked, make_job(tracked=mode), mode), "a").sidecar
        assert sidecar["tracking"]["frames_without_pose"] == [1] and "Mustermann" not in json.dumps(sidecar)
