"""Nothing of a header but the stated fields gets into what `ingest` writes or says."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from types import SimpleNamespace

import av
import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from PIL import Image, PngImagePlugin
from pydicom.datadict import dictionary_VR, tag_for_keyword
from tiny_cohort import PARAMS

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.data.ingest import ingest
from uscl_med3d.user.phi.tags import IDENTIFYING, READ_BY_INGEST, WRITTEN_BY_INGEST

SECRET = "MUSTERMANN"
VALUES = {
    "PN": f"{SECRET}^ERIKA",
    "DA": "19640812",
    "TM": "112233",
    "DT": "19640812112233",
    "AS": "061Y",
    "UI": "1.2.840.77441.99",
    "DS": "77.441",
    "IS": "77441",
    "US": 2,
    "UL": 2,
    "CS": SECRET,
    "SQ": None,
}
SECRETS = (SECRET, "19640812", "112233", "77441", "ERIKA", "77.441")


def fill(dataset: pydicom.Dataset, again: bool = False) -> None:
    """Every attribute of the stated list, a private one and one within a region; other values where `again`."""
    for keyword in sorted(IDENTIFYING - set(READ_BY_INGEST)):
        if tag_for_keyword(keyword) is None:
            continue  # retired from the dictionary of this pydicom
        value = VALUES.get(dictionary_VR(keyword), f"{SECRET} {keyword}"[:16])
        if value is not None:
            setattr(
                dataset,
                keyword,
                f"{value}"[::-1] if again and isinstance(value, str) and value[0] == "M" else value,
            )
    block = dataset.private_block(0x0099, f"{SECRET} GMBH", create=True)
    block.add_new(1, "LO", SECRET)


def run_ingest(raw: Path, out: Path, cells: dict[str, str]) -> None:
    cells = {
        "patient": "P1",
        "sweep": "S1",
        "group": "abdomen",
        "view": "abdomen_right",
        "split": "train",
    } | cells
    (raw / "cohort.csv").write_text(",".join(cells) + "\n" + ",".join(cells.values()) + "\n")
    settings = Ingest(**(PARAMS["ingest"] | {"workers": 1, "bad_sweeps": "stop"}))
    job = SimpleNamespace(seed=1, classes={"liver": 3}, ingest=settings)
    ingest(job, raw / "cohort.csv", out / "volumes", out / "splits.csv", out / "failures.csv")


def read_all(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): gzip.decompress(path.read_bytes())
        if path.suffix == ".gz"
        else path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def check_nothing(out: Path, said: str) -> None:
    written = read_all(out)
    assert len(written) >= 4
    for secret in SECRETS:
        assert secret.lower() not in said.lower()
        for name, content in written.items():
            assert secret.lower() not in name.lower()
            if secret[0].isalpha() or name.endswith((".json", ".csv")):
                assert secret.lower().encode() not in content.lower(), (name, secret)


def write_dicom(raw: Path, clips) -> dict[str, str]:
    path = clips.dicom(raw / "a.dcm", clips.draw())
    dataset = pydicom.dcmread(path)
    fill(dataset)
    dataset.save_as(path)
    return {"video": "a.dcm"}


def write_series(raw: Path, clips) -> dict[str, str]:
    for number, frame in enumerate(clips.draw()):
        path = clips.dicom(
            raw / f"a/{number}.dcm", frame[None], SeriesInstanceUID="1.2.840.77441.3", InstanceNumber=number
        )
        dataset = pydicom.dcmread(path)
        fill(dataset)
        dataset.save_as(path)
    return {"video": "a"}


def write_video(raw: Path, clips) -> dict[str, str]:
    with av.open(str(raw / "a.mp4"), "w") as container:
        container.metadata.update({"title": SECRET, "artist": SECRET, "comment": f"born 19640812 {SECRET}"})
        stream = container.add_stream("libx264", rate=20)
        stream.height, stream.width, stream.pix_fmt = 64, 80, "yuv420p"
        stream.metadata["title"] = SECRET
        for grey in clips.draw():
            for packet in stream.encode(av.VideoFrame.from_ndarray(grey, format="gray")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return {"video": "a.mp4"}


def write_nifti(raw: Path, clips) -> dict[str, str]:
    image = nibabel.Nifti1Image(clips.draw().T, np.eye(4))
    image.header["descrip"] = f"{SECRET} 19640812".encode()
    image.header["db_name"], image.header["intent_name"] = SECRET.encode(), SECRET.encode()
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", SECRET.encode()))
    nibabel.save(image, raw / "a.nii.gz")
    return {"video": "a.nii.gz"}


def write_mha(raw: Path, clips) -> dict[str, str]:
    image = SimpleITK.GetImageFromArray(clips.draw())
    image.SetMetaData("PatientName", SECRET)
    image.SetMetaData("Seq_Frame0000_MustermannToTrackerTransform", "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1")
    SimpleITK.WriteImage(image, str(raw / "a.mha"))
    return {"video": "a.mha"}


def write_png(raw: Path, clips) -> dict[str, str]:
    cells = write_video(raw, clips)
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", SECRET)
    (raw / "keys").mkdir()
    mask = np.zeros((64, 80), np.uint8)
    mask[20:40, 20:60] = 3
    for frame in (2, 9, 15):
        Image.fromarray(mask).save(raw / f"keys/frame_{frame:04d}.png", pnginfo=texts)
    return cells | {"key_frames": "keys"}


def write_labelme(raw: Path, clips) -> dict[str, str]:
    cells = write_video(raw, clips)
    content = {
        "version": SECRET,
        "imagePath": f"{SECRET}.png",
        "imageHeight": 64,
        "imageWidth": 80,
        "imageData": None,
        "shapes": [
            {
                "label": "liver",
                "shape_type": "polygon",
                "points": [[20, 20], [60, 20], [60, 40]],
                "description": SECRET,
            }
        ],
    }
    (raw / "keys").mkdir()
    for frame in (2, 9, 15):
        (raw / f"keys/frame_{frame:04d}.json").write_text(json.dumps(content))
    return cells | {"key_frames": "keys"}


@pytest.mark.parametrize(
    "write", [write_dicom, write_series, write_video, write_nifti, write_mha, write_png, write_labelme]
)
def test_headers_stay_behind(tmp_path: Path, clips, capfd: pytest.CaptureFixture[str], write) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    run_ingest(raw, out, write(raw, clips))
    check_nothing(out, "".join(capfd.readouterr()))


def test_only_the_stated_attributes_have_a_say(tmp_path: Path, clips) -> None:
    """Two files that differ in every other attribute give the same bytes, apart from the source's own hash."""
    results = []
    for name in ("one", "two"):
        raw, out = tmp_path / name / "raw", tmp_path / name / "out"
        raw.mkdir(parents=True)
        path = clips.dicom(raw / "a.dcm", clips.draw(), PixelSpacing=[0.5, 0.4], FrameTime="50")
        dataset = pydicom.dcmread(path)
        if name == "two":
            fill(dataset, again=True)
            dataset.Manufacturer, dataset.Modality = SECRET, "OT"
        dataset.save_as(path)
        run_ingest(raw, out, {"video": "a.dcm"})
        written = read_all(out)
        sidecar = json.loads(written.pop("volumes/S1/sidecar.json"))
        sidecar.pop("source_sha256")
        results.append((written, sidecar))
    assert results[0] == results[1]
    # What a header has a say in are the stated fields.
    plain = {key for key, value in results[0][1].items() if key.startswith("source_")} - {"source_format"}
    assert plain <= {*WRITTEN_BY_INGEST, "source_sha256"}


@pytest.mark.parametrize("damage", ["PixelData", "Rows", "NumberOfFrames", "PhotometricInterpretation"])
def test_messages_about_broken_files_name_no_patient(tmp_path: Path, clips, damage: str) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    write_dicom(raw, clips)
    dataset = pydicom.dcmread(raw / "a.dcm")
    if damage == "NumberOfFrames":
        dataset.NumberOfFrames = 500
    else:
        delattr(dataset, damage)
    dataset.save_as(raw / "a.dcm")
    with pytest.raises(InputError) as caught:
        run_ingest(raw, tmp_path / "out", {"video": "a.dcm"})
    assert not [secret for secret in SECRETS if secret.lower() in str(caught.value).lower()]
