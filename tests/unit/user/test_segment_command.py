"""`uscl-med3d segment` and `Segmenter`: masks of a user's own files, on their own grids."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
import SimpleITK

from uscl_med3d.core.errors import InputError
from uscl_med3d.methods.base import ClickMethod
from uscl_med3d.predict.interactive import Predictor
from uscl_med3d.user import models, shipped
from uscl_med3d.user.segmenter import Segmenter

AFFINE = np.array([[0, 0, 1.5, -20.0], [-0.5, 0, 0, 30.0], [0, 0.5, 0, -10.0], [0, 0, 0, 1.0]])


def write_nifti(path, clip):
    image = nibabel.Nifti1Image(np.ascontiguousarray(clip.transpose(2, 1, 0)), AFFINE)
    image.header["descrip"] = b"DOE^JANE"
    nibabel.save(image, path)
    return path


def write_itk(path, clip):
    image = SimpleITK.GetImageFromArray(clip)
    image.SetSpacing((0.5, 0.6, 1.5))
    image.SetOrigin((5.0, -7.0, 11.0))
    image.SetDirection((0, 1, 0, 1, 0, 0, 0, 0, -1))
    SimpleITK.WriteImage(image, str(path))
    return path


def write_series(folder, clip, clips):
    for n, frame in enumerate(clip):
        name = f"im_{(n * 7) % len(clip):03d}.dcm"  # files are not in the order of their frames
        clips.dicom(
            folder / name,
            frame[None],
            SeriesInstanceUID="1.2.3",
            InstanceNumber=n + 1,
            PixelSpacing=[0.5, 0.5],
            ImagePositionPatient=[0, 0, 1.5 * n],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        )
    return folder


@pytest.fixture(params=["video", "dicom", "series", "nii.gz", "nrrd", "mha"])
def source(request, tmp_path, clips):
    clip = clips.draw()
    if request.param == "video":
        return clips.video(tmp_path / "in.mp4", clip)
    if request.param == "dicom":
        return clips.dicom(tmp_path / "in.dcm", clip)
    if request.param == "series":
        return write_series(tmp_path / "series", clip, clips)
    if request.param == "nii.gz":
        return write_nifti(tmp_path / "in.nii.gz", clip)
    return write_itk(tmp_path / f"in.{request.param}", clip)


def test_every_input_gives_a_mask_on_its_own_grid(source, here, run, tmp_path):
    done = run("segment", source, "--point", "40,32,12", "-o", tmp_path / "mask.nii.gz")
    assert done.code == 0, done.err
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    assert mask.shape == (80, 64, 24) and set(np.unique(mask.dataobj)) <= {0, 1}
    assert mask.get_data_dtype() == np.uint8
    facts = json.loads((tmp_path / "mask.json").read_text())
    assert facts["labels"] == {"object": 1} and facts["voxels"]["object"] == int(np.sum(mask.dataobj))
    assert facts["axes"] == "(x, y, z) = (column, row, frame)"


def test_a_nifti_keeps_its_affine_but_not_its_free_text(here, run, tmp_path, clips):
    source = write_nifti(tmp_path / "in.nii.gz", clips.draw())
    assert run("segment", source, "--point", "40,32,12", "-o", tmp_path / "mask.nii.gz").code == 0
    mask, image = nibabel.load(tmp_path / "mask.nii.gz"), nibabel.load(source)
    np.testing.assert_array_equal(mask.affine, image.affine)
    assert mask.header["sform_code"] == image.header["sform_code"]
    assert (
        b"DOE" not in (tmp_path / "mask.nii.gz").read_bytes() and bytes(mask.header["descrip"].item()) == b""
    )


@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
def test_nrrd_and_mha_keep_their_place_in_the_patient(suffix, here, run, tmp_path, clips):
    source = write_itk(tmp_path / f"in.{suffix}", clips.draw())
    for name in (f"mask.{suffix}", "mask.nii.gz"):
        assert run("segment", source, "--point", "40,32,12", "-o", tmp_path / name).code == 0
        mask, image = SimpleITK.ReadImage(str(tmp_path / name)), SimpleITK.ReadImage(str(source))
        assert mask.GetSize() == image.GetSize()
        for index in [(0, 0, 0), (79, 63, 23), (5, 50, 7)]:
            np.testing.assert_allclose(
                mask.TransformIndexToPhysicalPoint(index),
                image.TransformIndexToPhysicalPoint(index),
                atol=1e-4,
            )


def test_millimetres_and_voxels_of_one_place_give_one_mask(here, tmp_path, clips):
    segmenter = Segmenter.load()
    for path, world in (
        (write_nifti(tmp_path / "a.nii", clips.draw()), "ras"),
        (write_itk(tmp_path / "a.nrrd", clips.draw()), "lps"),
    ):
        segmenter.encode(path)
        segmenter.click((40, 32, 12))
        by_voxel = segmenter.mask()
        place = SimpleITK.ReadImage(str(path)).TransformIndexToPhysicalPoint((40, 32, 12))
        lps = np.array(place)
        ras = lps * [-1, -1, 1]
        for point, given in ((lps, "lps"), (ras, "ras"), (ras if world == "ras" else lps, True)):
            segmenter.undo()
            segmenter.click(point, mm=given)
            np.testing.assert_array_equal(segmenter.mask(), by_voxel)


def test_several_objects_and_their_labels(here, run, tmp_path, clips):
    source = clips.video(tmp_path / "in.mp4", clips.draw())
    done = run(
        "segment",
        source,
        "--object",
        "liver",
        "--point",
        "40,32,12",
        "--object",
        "cyst",
        "--point",
        "30,20,5",
        "--point",
        "60,50,5,0",
        "--object",
        "kidney",
        "--box",
        "30,22,4,50,42,20",
        "-o",
        tmp_path / "m.npy",
    )
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "m.json").read_text())["labels"] == {"liver": 3, "cyst": 6, "kidney": 5}
    mask = np.load(tmp_path / "m.npy")
    assert mask.shape == (24, 64, 80) and set(np.unique(mask)) <= {0, 3, 5, 6}
    assert "3 liver" in done.out and "uscl_med3d_r32_both_vcl" in done.err


@pytest.mark.parametrize(
    ("prompts", "complaint"),
    [
        ([], "no prompt"),
        (["--point", "40,32"], "two numbers"),
        (["--point", "40,32,x"], "no number"),
        (["--point", "40,32,12,7"], "label 7"),
        (["--point", "200,32,12"], "x (column) = 200 lies outside the input, which has 0 to 79"),
        (["--point", "40,32,24"], "z (frame) = 24 lies outside the input, which has 0 to 23"),
        (["--point", "2,32,12"], "outside the image region"),
        (["--point", "40,32,12,0"], "first prompt of 'object' is a background click"),
        (["--object", "liver"], "no --point or --box"),
        (["--object", "liver", "--object", "kidney", "--point", "40,32,12"], "no --point or --box"),
        (["--box", "1,2,3"], "3 numbers"),
        (["--box", "50,20,5,40,30,10"], "behind its end"),
        (["--box", "11,5,0,69,63,23"], "more than the"),
        (["--point", "40,32,12", "--mm"], "no patient coordinates"),
    ],
)
def test_bad_prompts_say_what_is_wrong(prompts, complaint, here, run, tmp_path, clips):
    source = clips.video(tmp_path / "in.mp4", clips.draw())
    done = run("segment", source, *prompts, "-o", tmp_path / "m.nii.gz")
    assert done.code == 2 and complaint in done.err and "remedy" in done.err
    assert not (tmp_path / "m.nii.gz").exists()


def test_bad_outputs_and_inputs_are_one_message(here, run, tmp_path, clips):
    source = clips.video(tmp_path / "in.mp4", clips.draw())
    assert "suffix '.stl'" in run("segment", source, "--point", "40,32,12", "-o", tmp_path / "m.stl").err
    assert (
        "no such file"
        in run("segment", tmp_path / "no.mp4", "--point", "1,1,1", "-o", tmp_path / "m.nii").err
    )
    (tmp_path / "empty").mkdir()
    assert (
        "without DICOM"
        in run("segment", tmp_path / "empty", "--point", "1,1,1", "-o", tmp_path / "m.nii").err
    )


def test_a_mask_without_a_name_gets_one_and_takes_the_place_of_nothing(here, run, clips):
    clip = clips.video(here / "clip.mp4", clips.draw())
    command = ("segment", clip, "--point", "40,32,12", "--allow-empty")
    done = run(*command)
    assert done.code == 0 and "mask: clip_mask.nii.gz" in done.err, done.err
    first = (here / "clip_mask.nii.gz").read_bytes()
    (here / "clip_mask.nii.gz").write_bytes(b"drawn by hand")
    again = run(*command)
    assert again.code == 2 and "clip_mask.nii.gz" in again.err and "-o" in again.err
    assert (here / "clip_mask.nii.gz").read_bytes() == b"drawn by hand"
    assert run(*command, "-o", "clip_mask.nii.gz").code == 0
    assert (here / "clip_mask.nii.gz").read_bytes() == first


def test_two_series_in_one_folder_are_refused(here, run, tmp_path, clips):
    folder = tmp_path / "two"
    for n in range(2):
        clips.dicom(folder / f"{n}.dcm", clips.draw()[:1], SeriesInstanceUID=f"1.2.{n}")
    done = run("segment", folder, "--point", "40,32,0", "-o", tmp_path / "m.nii")
    assert done.code == 2 and "2 series" in done.err


def test_without_results_and_shipped_models_the_message_says_how_to_get_some(
    tmp_path, monkeypatch, run, clips
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    source = clips.video(tmp_path / "in.mp4", clips.draw())
    done = run("segment", source, "--point", "40,32,12", "-o", "m.nii.gz")
    assert done.code == 2 and "make reproduce" in done.err and "--weights" in done.err


def test_the_best_validation_dice_chooses_the_model(here):
    choice = models.choose(None, None, None, "phantom")
    assert choice.name == "uscl_med3d_r32_both_vcl" and choice.validation_dice == pytest.approx(64.0)


@pytest.mark.parametrize("run_id", ["sam_med3d", "full_tuning", "uscl_med3d_r32_decoder_vcl"])
def test_any_run_with_weights_may_be_named(run_id, here, clips):
    segmenter = Segmenter.load(run_id)
    segmenter.encode(clips.draw())
    segmenter.click((40, 32, 12))
    assert segmenter.mask().shape == (24, 64, 80)


@pytest.mark.parametrize(
    ("weights", "complaint"),
    [
        ("nearest_key_frame", "takes key_frames"),
        ("adaptformer", "no run 'adaptformer'"),
        ("no.safetensors", "no such file"),
    ],
)
def test_wrong_weights_say_what_is_wrong(weights, complaint, here):
    with pytest.raises(InputError, match=complaint):
        Segmenter.load(weights)


def test_a_checkpoint_file_with_its_base_is_the_run(here, clips):
    folder = here / "results/phantom/checkpoints"
    base, vcl = folder / "foundation/sam_med3d.safetensors", folder / "pretrain/vcl_r32.safetensors"
    for name in ("uscl_med3d_r32_both_vcl", "uscl_med3d_r32_decoder_vcl", "full_tuning"):
        masks = []
        file = folder / f"finetune/{name}.safetensors"
        for segmenter in (
            Segmenter.load(name),
            Segmenter.load(file, base, vcl if "decoder" in name else None),
        ):
            segmenter.encode(clips.draw())
            segmenter.click((40, 32, 12))
            masks.append(segmenter._predict("object"))
        np.testing.assert_array_equal(*masks)
    with pytest.raises(InputError, match="--base"):
        Segmenter.load(folder / "finetune/full_tuning.safetensors")
    with pytest.raises(InputError, match="--start"):
        Segmenter.load(folder / "finetune/uscl_med3d_r32_decoder_vcl.safetensors", base)


def test_undo_takes_back_exactly_the_last_prompt(here, clips):
    segmenter = Segmenter.load()
    segmenter.encode(clips.draw(), spacing_mm=(0.7, 0.7))
    segmenter.click((40, 32, 12))
    first = segmenter.mask()
    segmenter.box((30, 22, 6, 50, 42, 18), "liver")
    assert segmenter.objects == {"object": 6, "liver": 3}
    segmenter.undo()
    np.testing.assert_array_equal(segmenter.mask(), first)
    segmenter.undo()
    for call in (segmenter.undo, segmenter.mask):
        with pytest.raises(ValueError, match="no click"):
            call()
    with pytest.raises(ValueError, match="encode first"):
        Segmenter.load().click((1, 2, 3))


def test_bad_arrays_are_refused(here):
    segmenter = Segmenter.load()
    for array, complaint in ((np.zeros((4, 4)), "3 axes"), (np.full((4, 9, 9), np.nan), "NaN")):
        with pytest.raises(ValueError, match=complaint):
            segmenter.encode(array)


class Threshold:
    """Stands in for a method: everything bright in a crop; counts what it encodes."""

    place_crop = ClickMethod.place_crop

    def __init__(self):
        self.encoded = 0

    def embed(self, crops):
        self.encoded += 1
        return crops

    def start(self, embedding):
        return embedding

    def click(self, state, points, labels):
        return state - 128


def test_clicks_far_apart_use_sliding_crops():
    volume = np.full((8, 40, 8), 100, np.uint8)
    volume[:, 4:36] = 200
    method = Threshold()
    predictor = Predictor(method, volume, size=16, overlap=0.5)
    near = predictor.predict([(4, 6, 4, 1), (4, 10, 4, 1)]) > 0
    assert method.encoded == 1 and near[:, 4:16].all() and not near[:, 16:].any()
    far = predictor.predict([(4, 6, 4, 1), (4, 20, 4, 1), (4, 34, 4, 1), (4, 1, 4, 0)]) > 0
    np.testing.assert_array_equal(far, volume > 128)
    again = method.encoded
    predictor.predict([(4, 6, 4, 1), (4, 20, 4, 1), (4, 34, 4, 1)])
    assert method.encoded == again


def test_masks_return_to_the_input_where_they_were_clicked(here, clips):
    """A method that marks bright voxels gives back the bright ball of the clip, at its own place."""
    clip = clips.draw(frames=30)
    segmenter = Segmenter.load()
    for spacing, whole in ((None, False), ((0.9, 0.6), False), (None, True)):
        segmenter.encode(clip, spacing, whole)
        segmenter._session.predictor.method = Threshold()
        segmenter.click((40, 32, 12))
        mask, ball = segmenter.mask() > 0, clip == 220
        dice = 2 * (mask & ball).sum() / (mask.sum() + ball.sum())
        centre = np.array([axis.mean() for axis in np.nonzero(mask)])
        assert dice > 0.75, dice
        np.testing.assert_allclose(centre, [12, 32, 40], atol=0.5)


REAL = {
    "us_dicom_multiframe_pydicom/examples_ybr_color.dcm": "150,120,10",
    "us_tracked_spine_phantom_plus/SpinePhantomFreehand.igs.mha": "300,250,10",
    "us_tracked_spine_phantom_plus/SpinePhantomFreehandReconstructed.mha": "40,40,40",
    "us_video_lung_pocus/Vir_prospective_file1.mp4": "150,150,40",
    "us3d_trus_mr_deepreg_dummy/case000000_trus_image.nii.gz": "30,30,20",
    "mr_pyradiomics_tumour/brain1_image.nrrd": "100,100,10",
    "mr_spinalcord_sct/t2.nii.gz": "30,30,30",
}


@pytest.mark.parametrize("name", REAL)
def test_real_files_give_a_mask_on_their_own_grid(name, shared, here, run, tmp_path):
    source = shared / "data/real" / name
    done = run("segment", source, "--point", REAL[name], "-o", tmp_path / "mask.mha")
    assert done.code == 0, done.err
    mask = SimpleITK.ReadImage(str(tmp_path / "mask.mha"))
    if source.suffix in (".mha", ".nrrd", ".gz"):
        image = SimpleITK.ReadImage(str(source))
        assert mask.GetSize() == image.GetSize()
        far = tuple(length - 1 for length in image.GetSize())
        np.testing.assert_allclose(
            mask.TransformIndexToPhysicalPoint(far), image.TransformIndexToPhysicalPoint(far), atol=1e-2
        )
