"""Which files of a folder are clips, and whose they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.user.pretraining.clips import describe_patients, find_clips, name_patients

NAMES = ["P01/left.nii.gz", "P01/right.nii.gz", "lonely.nii.gz", "pat2_a.nii.gz", "sub-03.nii.gz"]


def test_clips_and_what_is_none(clips):
    found = find_clips(clips)
    assert list(found.clips) == NAMES and list(found.others) == ["README.txt"]


def test_an_empty_clip_is_a_clip_that_cannot_be_read(clips):
    (clips / "cut.mp4").write_bytes(b"")
    (clips / "notes.txt").write_bytes(b"")
    found = find_clips(clips)
    assert "cut.mp4" in found.clips and "notes.txt" in found.others


def test_what_may_not_be_read_is_a_clip_by_its_name(clips, monkeypatch):
    from uscl_med3d.user.pretraining import clips as module

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(module, "choose_format", refuse)
    monkeypatch.setattr(module, "is_dicom", refuse)
    (clips / "nowhere.mp4").symlink_to(clips / "gone.mp4")
    found = find_clips(clips)
    assert list(found.clips) == NAMES and list(found.others) == ["README.txt", "nowhere.mp4"]


def test_single_dicom_frames_of_a_folder_are_one_clip(tmp_path):
    from pydicom.data import get_testdata_file

    single, several = get_testdata_file("CT_small.dcm"), get_testdata_file("examples_ybr_color.dcm")
    if single is None or several is None:
        pytest.skip("pydicom has no test files here")
    for name in ("series/1.dcm", "series/2.dcm", "alone/1.dcm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(single, tmp_path / name)
    for name in ("sweeps/1.dcm", "sweeps/2.dcm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(several, tmp_path / name)
    found = find_clips(tmp_path)
    assert list(found.clips) == ["alone/1.dcm", "series", "sweeps/1.dcm", "sweeps/2.dcm"]
    assert list(find_clips(tmp_path / "series").clips) == ["."]


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda folder: None, "no such folder"),
        (lambda folder: folder.write_text("x"), "a file"),
        (lambda folder: folder.mkdir(), "an empty folder"),
        (lambda folder: (folder.mkdir(), (folder / "a.txt").write_text("x")), "no clip among 1 files"),
    ],
)
def test_a_folder_without_clips_is_refused(tmp_path, make, found):
    make(tmp_path / "folder")
    with pytest.raises(InputError, match=found):
        find_clips(tmp_path / "folder")


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("P01/left.mp4", "p01"),
        ("Reg_pat1Image_132943.mpeg", "pat1"),
        ("sub-03/us/sub-03_run-1.nii.gz", "sub03"),
        ("case000001_trus.nii.gz", "case000001"),
        ("Patient 7.avi", "patient7"),
        ("clip_1080p.mp4", None),
        ("Vir_prospective_file1.mp4", None),
        ("step3.mp4", None),
        ("Cov_convex_volpecelli_sonographic_v1.mov", None),
    ],
)
def test_names_say_whose_a_clip_is_or_nothing(name, patient):
    assert name_patients([name], None) == {name: patient or f"clip {name}"}


def test_what_was_assumed_is_said():
    patients = name_patients(NAMES, None)
    said = describe_patients(patients, None)
    assert said.startswith("5 clips of 4 patients") and "p01 (2 clips), pat2, sub03" in said
    assert "assumed: each of the other 1 is its own patient" in said and "--patients" in said
    assert describe_patients(patients, Path("who.csv")) == "5 clips of 4 patients, by who.csv"


def test_a_table_wins_over_names(tmp_path):
    table = tmp_path / "who.csv"
    table.write_text("patient;file;note\n" + "".join(f"A;{name};x\n" for name in NAMES))
    assert set(name_patients(NAMES, table).values()) == {"A"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("file,who\n", "no column patient"),
        ("file,patient\nP01/left.nii.gz,A\n", "no row for P01/right.nii.gz"),
        ("file,patient\n" + "".join(f"{name},A\n" for name in [*NAMES, "x.mp4"]), "no such clip: x.mp4"),
        ("file,patient\n" + "".join(f"{name},\n" for name in NAMES), "no patient, or several, of P01"),
        ("file,patient\n" + "".join(f"{n},A\n{n},B\n" for n in NAMES), "no patient, or several, of P01"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, text, found):
    table = tmp_path / "who.csv"
    table.write_text(text)
    with pytest.raises(InputError, match=found) as refused:
        name_patients(NAMES, table)
    assert refused.value.file == str(table) and refused.value.remedy
    with pytest.raises(InputError, match="No such file"):
        name_patients(NAMES, tmp_path / "nowhere.csv")


def test_the_real_lung_clips(shared):
    folder = shared / "data/real/us_video_lung_pocus"
    if not folder.is_dir():
        pytest.skip("needs data/real/us_video_lung_pocus")
    found = find_clips(folder)
    assert len(found.clips) == 7 and list(found.others) == ["LICENCES.tsv", "SOURCE.txt"]
    assert len(set(name_patients(list(found.clips), None).values())) == 5
