"""`uscl-med3d audit-phi`, and that `ingest` writes nothing of a header anywhere."""

from __future__ import annotations

import csv
import logging
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from tiny_cohort import PARAMS

from uscl_med3d.core.params.ingest import Fan, Ingest
from uscl_med3d.data.ingest import ingest
from uscl_med3d.user.phi import audit_phi, describe

FAN = Fan(**PARAMS["ingest"]["fan"])
SECRETS = ("Quennell", "Ottoline", "HX774411", "19610203", "Tellurion", "Vandermolen")
HEADER = {
    "PatientName": "Quennell^Ottoline",
    "PatientID": "HX774411",
    "PatientBirthDate": "19610203",
    "PatientSex": "F",
    "InstitutionName": "Tellurion Clinic",
    "ReferringPhysicianName": "Vandermolen^A",
    "StudyDate": "20240506",
}


def find(findings, kind, part=""):
    return [each for each in findings if each.kind == kind and part in each.what]


def test_dicom_attributes_are_listed_without_their_values(tmp_path, clips):
    from pydicom.dataset import Dataset

    path = clips.dicom(tmp_path / "a.dcm", clips.draw(), **HEADER, BurnedInAnnotation="NO")
    nested = Dataset()
    nested.RequestedProcedureDescription = "liver"
    clips.dicom(tmp_path / "b.dcm", clips.draw(), RequestAttributesSequence=[nested])
    findings = audit_phi(tmp_path, FAN)
    for keyword in HEADER:
        assert any(each.file == path.name for each in find(findings, "DICOM attribute", keyword)), keyword
    assert find(findings, "DICOM attribute", "RequestedProcedureDescription")
    assert [each.file for each in find(findings, "DICOM attribute", "BurnedIn")] == ["b.dcm"]
    text = describe(tmp_path, findings)
    assert not any(secret in text for secret in SECRETS) and "does not certify" in text


def test_private_attributes_are_counted(tmp_path, clips):
    import pydicom

    path = clips.dicom(tmp_path / "a.dcm", clips.draw()[:1])
    dataset = pydicom.dcmread(path)
    dataset.private_block(0x0011, "MAKER", create=True).add_new(1, "LO", "something")
    dataset.save_as(path)
    assert find(audit_phi(tmp_path, FAN), "DICOM attribute", "2 private")


def test_names_of_the_header_are_found_in_file_names_sidecars_and_logs(tmp_path, clips):
    clips.dicom(tmp_path / "raw/quennell_sweep.dcm", clips.draw(), **HEADER)
    (tmp_path / "sidecar.json").write_text('{"source": "HX774411.mp4"}')
    (tmp_path / "run.log").write_text("reading OTTOLINE\n")
    (tmp_path / "clean.log").write_text("reading abdomen_001\n")
    findings = audit_phi(tmp_path, FAN)
    assert [each.file for each in find(findings, "file name")] == ["raw/quennell_sweep.dcm"]
    assert [each.file for each in find(findings, "text")] == ["run.log", "sidecar.json"]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("2024-05-06_liver.mp4", "date"),
        ("scan_19610203.nii", "date"),
        ("12345678.txt", "long number"),
        ("Doe^Jane.txt", "person"),
    ],
)
def test_file_names_that_speak(name, what, tmp_path):
    (tmp_path / name).write_bytes(b"x")
    assert find(audit_phi(tmp_path, FAN), "file name", what)


def test_texts_of_other_formats(tmp_path, clips):
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4))
    nibabel.save(image, tmp_path / "clean.nii.gz")
    image.header["descrip"] = b"Quennell"
    nibabel.save(image, tmp_path / "text.nii.gz")
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Author", "someone")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "frame.png", pnginfo=notes)
    (tmp_path / "notes.txt").write_text("ask a.person@clinic.example or Doe^Jane\n")
    (tmp_path / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 30)
    findings = {(each.file, each.kind) for each in audit_phi(tmp_path, FAN)}
    assert ("text.nii.gz", "volume header") in findings and ("frame.png", "picture header") in findings
    assert ("notes.txt", "text") in findings and ("broken.dcm", "unreadable") in findings
    assert not any(file == "clean.nii.gz" for file, _ in findings)


def write_letters(clip, top, left):
    for n in range(6):
        clip[:, top : top + 7, left + 6 * n : left + 6 * n + 3] = 255


def test_burned_in_marks_outside_and_inside_the_image(tmp_path, clips):
    for name, place in (("none", None), ("outside", (4, 4)), ("inside", (60, 70))):
        clip = np.zeros((12, 140, 160), np.uint8)
        clip[:, 30:130, 20:140] = np.random.default_rng(1).integers(20, 150, (12, 100, 120))
        if place:
            write_letters(clip, *place)
        clips.video(tmp_path / f"{name}.mp4", clip)
    marks = {(each.file, each.ingest) for each in find(audit_phi(tmp_path, FAN), "burned-in marks")}
    assert marks == {("outside.mp4", "ingest sets them to zero"), ("inside.mp4", "ingest keeps it")}


def test_ingest_writes_nothing_of_a_header(tmp_path, clips, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    raw, out = tmp_path / "raw", tmp_path / "out"
    rows = ["patient,sweep,group,view,video,key_frames,probe,spacing_mm,frame_spacing_mm,reference,split"]
    for n, split in enumerate(("train", "val", "test")):
        clips.dicom(raw / f"c{n}.dcm", clips.draw(seed=n), **HEADER)
        rows.append(f"P{n},S{n},abdomen,abdomen_right,c{n}.dcm,,convex,,,,{split}")
    (raw / "cohort.csv").write_text("\n".join(rows) + "\n")
    settings = Ingest(**(PARAMS["ingest"] | {"workers": 1}))
    ingest(
        SimpleNamespace(seed=1, classes={"liver": 3}, ingest=settings),
        raw / "cohort.csv",
        out / "volumes",
        out / "s.csv",
    )
    written = [path for path in out.rglob("*") if path.is_file()]
    assert len(written) == 3 * 3 + 1
    said = "".join([*capfd.readouterr(), caplog.text]).encode()
    for path in written:
        content = path.read_bytes()
        if path.suffix == ".gz":
            import gzip

            content = gzip.decompress(content)
        for secret in SECRETS:
            assert secret.lower() not in str(path.relative_to(out)).lower()
            assert secret.lower().encode() not in content.lower(), (path, secret)
    assert not any(secret.lower().encode() in said.lower() for secret in SECRETS)


def test_the_command_writes_a_list_to_sign(tmp_path, clips, run, monkeypatch):
    from tiny_cohort import ROOT

    monkeypatch.chdir(ROOT)
    clips.dicom(tmp_path / "raw/a.dcm", clips.draw(), **HEADER)
    done = run("audit-phi", tmp_path / "raw", "--out", tmp_path / "list.csv")
    assert done.code == 0 and "does not certify" in done.out and "PatientName" in done.out
    rows = list(csv.DictReader((tmp_path / "list.csv").read_text().splitlines()))
    assert rows and all(row["signed_off_by"] == "" for row in rows)
    assert run("audit-phi", tmp_path / "nowhere").code == 2
