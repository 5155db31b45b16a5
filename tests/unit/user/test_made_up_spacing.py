"""Headers that say 1 mm: when they are believed, and that `segment` works either way."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK

from uscl_med3d.user.inputs import read_source

MOVED = np.eye(4)
MOVED[:3, 3] = 12, -3, 40
TURNED = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])
CASES = {
    # what the header says: (affine in RAS, whether it is believed)
    "1 mm along all axes": (np.eye(4), False),
    "1 mm along all axes, left and posterior": (np.diag([-1.0, -1, 1, 1]), False),
    "1 mm in the plane only": (np.diag([1.0, 1, 2.5, 1]), True),
    "1 mm, from elsewhere": (MOVED, True),
    "1 mm, turned": (TURNED, True),
    "0.7 mm along all axes": (np.diag([0.7, 0.7, 0.7, 1]), True),
}


@pytest.mark.parametrize("suffix", ["nii.gz", "mha", "nrrd"])
@pytest.mark.parametrize("case", CASES)
def test_one_millimetre_along_all_axes_from_the_origin_says_nothing(tmp_path, clips, case, suffix):
    affine, believed = CASES[case]
    path, clip = tmp_path / f"in.{suffix}", clips.draw()
    if suffix == "nii.gz":
        nibabel.save(nibabel.Nifti1Image(clip.T, affine), path)
    else:
        lps = np.diag([-1.0, -1, 1, 1]) @ affine
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        image = SimpleITK.GetImageFromArray(clip)
        image.SetSpacing(spacing.tolist())
        image.SetOrigin(lps[:3, 3].tolist())
        image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
        SimpleITK.WriteImage(image, str(path))
    source = read_source(path)
    assert (source.pixel_spacing_mm is not None) == believed
    assert read_source(path, (1.0, 1.0)).pixel_spacing_mm == (1.0, 1.0)  # the user knows better
    np.testing.assert_array_equal(source.frames, clip)


@pytest.mark.parametrize(("affine", "told"), [(np.eye(4), True), (MOVED, False)])
def test_segment_works_and_says_what_it_does_not_know(here, run, tmp_path, clips, affine, told):
    path = tmp_path / "in.nii.gz"
    nibabel.save(nibabel.Nifti1Image(clips.draw().T, affine), path)
    done = run("segment", path, "--point", "40,32,12", "-o", tmp_path / "mask.nii.gz")
    assert done.code == 0, done.err
    assert ("does not say its pixel size" in done.err) == told
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    assert mask.shape == (80, 64, 24)
    np.testing.assert_allclose(mask.affine, affine)
    quiet = run("segment", path, "--point", "40,32,12", "--spacing-mm", "1", "-o", tmp_path / "mask.nii.gz")
    assert quiet.code == 0 and "does not say" not in quiet.err
