"""DICOM of other makers: the files that pydicom brings, compared with what pydicom itself makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_color_lut, pixel_array
from raw_files import Cohort
from test_clips import ramp, write_dicom

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.clips import hash_clip, read_clip
from uscl_med3d.data.ingest import ingest
from uscl_med3d.data.sweeps import load_sweep

FILES = {
    # name of pydicom's file: (photometric interpretation, transfer syntax, largest mean difference to pydicom)
    "image_dfl.dcm": ("MONOCHROME2", "Deflated Explicit VR Little Endian", None),
    "MR_small.dcm": ("MONOCHROME2", "Explicit VR Little Endian", 0.5),
    "MR_small_implicit.dcm": ("MONOCHROME2", "Implicit VR Little Endian", 0.5),
    "MR_small_bigendian.dcm": ("MONOCHROME2", "Explicit VR Big Endian", 0.5),
    "MR_small_RLE.dcm": ("MONOCHROME2", "RLE Lossless", 0.5),
    "MR_small_jp2klossless.dcm": ("MONOCHROME2", "JPEG 2000 Image Compression (Lossless Only)", 0.5),
    "CT_small.dcm": ("MONOCHROME2", "Explicit VR Little Endian", 0.5),
    "693_J2KI.dcm": ("MONOCHROME2", "JPEG 2000 Image Compression", 0.5),
    "rtdose.dcm": ("MONOCHROME2", "Implicit VR Little Endian", 0.5),
    "rtdose_rle.dcm": ("MONOCHROME2", "RLE Lossless", 0.5),
    "liver_1frame.dcm": ("MONOCHROME2", "Explicit VR Little Endian", 0.5),
    "examples_rgb_color.dcm": ("RGB", "Explicit VR Little Endian", 0.5),
    "ExplVR_BigEnd.dcm": ("RGB", "Explicit VR Big Endian", 0.5),
    "SC_rgb_small_odd.dcm": ("RGB", "Explicit VR Little Endian", 0.5),
    "SC_rgb_rle_2frame.dcm": ("RGB", "RLE Lossless", 0.5),
    "SC_rgb_rle_16bit_2frame.dcm": ("RGB", "RLE Lossless", 0.7),
    "SC_rgb_dcmtk_+eb+cr.dcm": ("RGB", "JPEG Baseline (Process 1)", 0.5),
    "SC_rgb_jpeg_dcmtk.dcm": ("YBR_FULL", "JPEG Baseline (Process 1)", 0.5),
    "SC_ybr_full_422_uncompressed.dcm": ("YBR_FULL_422", "Explicit VR Little Endian", 0.5),
    "SC_rgb_dcmtk_+eb+cy+np.dcm": ("YBR_FULL_422", "JPEG Baseline (Process 1)", 0.5),
    "examples_ybr_color.dcm": ("YBR_FULL_422", "JPEG Baseline (Process 1)", 0.5),
    "examples_jpeg2k.dcm": ("YBR_RCT", "JPEG 2000 Image Compression (Lossless Only)", 0.5),
    "SC_rgb_gdcm_KY.dcm": ("RGB", "JPEG 2000 Image Compression", 0.5),
    "examples_palette.dcm": ("PALETTE COLOR", "Explicit VR Little Endian", 0.5),
}
ITK = {  # no decoder of pydicom's own
    "SC_rgb_jpeg_gdcm.dcm": "JPEG Lossless",
    "MR_small_jpeg_ls_lossless.dcm": "JPEG-LS Lossless",
    "SC_rgb_jls_lossy_line.dcm": "JPEG-LS Lossy (Near-Lossless)",
    "JPGExtended.dcm": "JPEG Extended (Process 2 and 4)",
}


def find(name: str) -> Path:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"this pydicom brings no {name}")
    return Path(path)


def expected_grey(path: Path) -> np.ndarray:
    """What pydicom shows, as luma 0..255 by hand, (frames, rows, columns)."""
    dataset = pydicom.dcmread(path)
    values = pixel_array(dataset).astype(float)
    bits, colour = dataset.BitsStored, dataset.SamplesPerPixel == 3
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        values, bits, colour = apply_color_lut(pixel_array(dataset), dataset).astype(float), 16, True
        values = values if values.max() > 255 else values * 256
    if colour:
        grey = values / 2.0 ** (bits - 8) @ np.array([0.299, 0.587, 0.114])
    elif bits == 8 and not dataset.PixelRepresentation:
        grey = values
    else:
        grey = (values - values.min()) / np.ptp(values) * 255
    return grey if grey.ndim == 3 else grey[None]


@pytest.mark.parametrize("name", FILES)
def test_colours_and_compressions_of_other_makers(name: str) -> None:
    kind, syntax, limit = FILES[name]
    path = find(name)
    header = pydicom.dcmread(path, stop_before_pixels=True)
    assert (header.PhotometricInterpretation, header.file_meta.TransferSyntaxUID.name) == (kind, syntax)
    frames, info = read_clip(path)
    assert frames.dtype == np.uint8 and info.codec == syntax
    if limit is None:  # pydicom's quick function does not read deflated files
        assert frames.shape == (1, 512, 512) and frames.std() > 10
        return
    expected = expected_grey(path)
    assert frames.shape == expected.shape
    assert np.abs(frames - expected).mean() < limit
    assert frames.min() < frames.max()


@pytest.mark.parametrize("name", ITK)
def test_what_pydicom_alone_does_not_decode(name: str) -> None:
    frames, info = read_clip(find(name))
    assert info.codec.startswith(ITK[name])
    assert frames.dtype == np.uint8 and frames.ndim == 3 and (frames.min(), frames.max()) == (0, 255)
    if name == "MR_small_jpeg_ls_lossless.dcm":  # lossless: the same picture as the uncompressed file
        np.testing.assert_array_equal(frames, read_clip(find("MR_small.dcm"))[0])
    if name == "SC_rgb_jpeg_gdcm.dcm":
        np.testing.assert_array_equal(frames, read_clip(find("SC_rgb_rle.dcm"))[0])


def test_spacing_of_ultrasound_regions(shared: Path) -> None:
    frames, info = read_clip(find("examples_ybr_color.dcm"))
    region = pydicom.dcmread(find("examples_ybr_color.dcm")).SequenceOfUltrasoundRegions[0]
    expected = abs(region.PhysicalDeltaY) * 10, abs(region.PhysicalDeltaX) * 10
    assert frames.shape == (30, 240, 320) and info.pixel_spacing_mm == pytest.approx(expected)
    assert info.frames_per_second == pytest.approx(30, abs=1) and info.frame_spacing_mm is None
    frames, info = read_clip(shared / "data/real/us_dicom_multiframe_pydicom/US1_UNCR.dcm")
    assert frames.shape[0] == 1 and frames.std() > 10 and info.codec == "Explicit VR Little Endian"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, (0.5, 0.3)),
        ({"PhysicalDeltaX": 0.0}, None),
        ({"PhysicalDeltaY": -0.05}, (0.5, 0.3)),
        ({"PhysicalUnitsXDirection": 4}, None),  # seconds: an M-mode strip
        ({"RegionDataType": 2}, None),  # colour flow
    ],
)
def test_regions_that_say_nothing_about_pixels(tmp_path: Path, change: dict, expected: tuple | None) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp(), "MONOCHROME2")
    dataset = pydicom.dcmread(path)
    for keyword, value in change.items():
        setattr(dataset.SequenceOfUltrasoundRegions[0], keyword, value)
    dataset.save_as(path)
    spacing = read_clip(path)[1].pixel_spacing_mm
    assert spacing == (None if expected is None else pytest.approx(expected))


def write_series(folder: Path, clip: np.ndarray, **attributes: object) -> Path:
    """One file per frame, named so that the order of names is wrong; values that are lists differ by frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(clip):
        path = write_dicom(folder / f"IM{(7 * number) % len(clip):04d}", frame[None], "MONOCHROME2")
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number + 1}"
        dataset.SeriesInstanceUID, dataset.InstanceNumber = "1.2.9", number + 1
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value[number] if isinstance(value, list) else value)
        dataset.save_as(path)
    return folder


def test_a_folder_of_frames_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", ramp())
    (folder / "notes.txt").write_text("not a frame")
    frames, info = read_clip(folder)
    np.testing.assert_array_equal(frames, ramp())
    assert info.format == "dicom folder" and info.pixel_spacing_mm == pytest.approx((0.5, 0.3))
    assert info.frame_spacing_mm is None


@pytest.mark.parametrize(("steps", "spacing"), [([0, 2, 4, 6, 8, 10], 2.0), ([0, 1, 5, 6, 9, 20], None)])
def test_positions_come_before_numbers(tmp_path: Path, steps: list[int], spacing: float | None) -> None:
    places = [[0.0, 0.0, float(step)] for step in steps]
    folder = write_series(
        tmp_path / "series",
        ramp(),
        ImagePositionPatient=places,
        PixelSpacing=[[0.4, 0.4]] * 6,
        ImageOrientationPatient=[[1, 0, 0, 0, 1, 0]] * 6,
        InstanceNumber=[6, 5, 4, 3, 2, 1],
    )
    frames, info = read_clip(folder)
    np.testing.assert_array_equal(frames, ramp())
    assert info.frame_spacing_mm == spacing


def test_frames_of_more_than_8_bits_share_one_scale(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", ramp())
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        values = np.frombuffer(dataset.PixelData, np.uint8).astype(np.int16) * 16 - 1600
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = (
            16,
            16,
            15,
            1,
        )
        dataset.PixelData = values.tobytes()
        dataset.save_as(path)
    np.testing.assert_array_equal(read_clip(folder)[0][:, 0, 0], [0, 51, 102, 153, 204, 255])


WRONG = {
    "two series": ({"SeriesInstanceUID": ["1.1", "1.2"] * 3}, "2 series"),
    "two sizes": ({"Rows": [48, 24] * 3}, "frames of 2 sizes"),
    "two pixel sizes": ({"PixelSpacing": [[0.1, 0.1], [0.2, 0.2]] * 3}, "2 pixel sizes"),
    "an image twice": (
        {"SOPInstanceUID": ["1.5", "1.5", "1.6", "1.7", "1.8", "1.9"]},
        "1 image(s) more than once",
    ),
    "multi-frame files": ({"NumberOfFrames": ["2"] * 6}, "6 multi-frame file(s)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_mixed_folders_are_refused(tmp_path: Path, case: str) -> None:
    attributes, found = WRONG[case]
    folder = write_series(tmp_path / "series", ramp(), **attributes)
    with pytest.raises(InputError) as caught:
        read_clip(folder)
    assert found in caught.value.found and caught.value.file == str(folder) and caught.value.remedy


def test_a_series_as_a_sweep_of_a_cohort(cohort: Cohort, make_job) -> None:
    cohort.add("a", split="train", spacing_mm="")
    clip, _ = read_clip(cohort.folder / "videos/a.mp4")
    write_series(cohort.folder / "series", clip)
    cohort.rows[0]["video"] = "series"
    out = cohort.folder.parent / "out"
    ingest(make_job(), cohort.save(), out / "volumes", out / "splits.csv")
    sweep = load_sweep(out / "volumes", "a")
    assert sweep.sidecar["source_format"] == "dicom folder" and sweep.sidecar["source_shape"] == [10, 64, 80]
    assert sweep.sidecar["source_spacing_mm"] == {"d": None, "h": 0.5, "w": 0.3}
    assert [entry["frame"] for entry in sweep.sidecar["key_frames"]] == [1, 4, 6, 8]
    digest = sweep.sidecar["source_sha256"]
    assert digest == hash_clip(cohort.folder / "series") and len(digest) == 64
    next(iter((cohort.folder / "series").iterdir())).unlink()
    assert hash_clip(cohort.folder / "series") != digest


def test_itk_and_pydicom_agree_where_both_read(tmp_path: Path) -> None:
    """The two ways into a file give the same picture."""
    path = find("SC_rgb_rle.dcm")
    array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path), imageIO="GDCMImageIO"))
    grey = array[0].astype(float) @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read_clip(path)[0][0] - grey).mean() < 0.5
