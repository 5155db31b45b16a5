"""Headers: DICOM attributes, free text of volumes, tags of video containers, texts in PNG files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from uscl_med3d.data.clips import video, volume
from uscl_med3d.user.phi.finding import NOT_COPIED, NOT_ITS, Found
from uscl_med3d.user.phi.tags import IDENTIFYING, NAMES_A_PERSON, TEXT_OR_TIME

_NIFTI_TEXT = ("descrip", "aux_file", "db_name", "data_type", "intent_name")
_HARMLESS_CONTAINER = {
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "handler_name",
    "vendor_id",
    "language",
    "duration",
    "variant_bitrate",
}
_LEAST_LENGTH = 3


def is_dicom(path: Path) -> bool:
    """Whether a file has DICOM's signature."""
    with open(path, "rb") as stream:
        return stream.read(132)[128:132] == b"DICM"


def find_in_header(path: Path) -> Iterator[Found]:
    """What a file's header holds beside the image; an unreadable header is a finding, too."""
    name = path.name.lower()
    try:
        if is_dicom(path):
            yield from _find_in_dicom(path)
        elif name.endswith((".nii", ".nii.gz")):
            yield from _find_in_nifti(path)
        elif name.endswith(volume.SUFFIXES):
            yield from _find_in_volume(path)
        elif name.endswith(video.SUFFIXES):
            yield from _find_in_container(path)
        elif name.endswith((".png", ".jpg", ".jpeg", ".tif", ".tiff")):
            yield from _find_in_picture(path)
    except Exception as error:
        yield "unreadable", f"not readable ({type(error).__name__}), so nobody knows what is in it", NOT_ITS


def read_identity(path: Path) -> set[str]:
    """Parts of names and numbers of the patient in a DICOM header, in lower case, to look for elsewhere."""
    import pydicom

    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
    except Exception:  # reported by find_in_header
        return set()
    parts: set[str] = set()
    for keyword in NAMES_A_PERSON:
        text = (
            str(header.get(keyword) or "")
            .replace("^", " ")
            .replace("=", " ")
            .replace(",", " ")
            .replace("\\", " ")
        )
        parts |= {part.lower() for part in text.split() if len(part) >= _LEAST_LENGTH}
    return parts


def _find_in_dicom(path: Path) -> Iterator[Found]:
    import pydicom

    header = pydicom.dcmread(path, stop_before_pixels=True)
    private = 0
    listed: Counter[str] = Counter()
    for element in header.iterall():
        if element.tag.is_private:
            private += 1
        elif not element.is_empty and (element.keyword in IDENTIFYING or element.VR in TEXT_OR_TIME):
            listed[f"{element.keyword} {element.tag}"] += 1
    for name, count in sorted(listed.items()):
        yield "DICOM attribute", name + (f", {count} times" if count > 1 else ""), NOT_COPIED
    if private:
        yield "DICOM attribute", f"{private} private attribute(s)", NOT_COPIED
    if str(header.get("BurnedInAnnotation", "")).upper() != "NO":
        yield (
            "DICOM attribute",
            "BurnedInAnnotation does not say NO",
            "ingest masks what lies outside the image region",
        )


def _find_in_nifti(path: Path) -> Iterator[Found]:
    import nibabel

    header: Any = nibabel.load(path).header
    for name in _NIFTI_TEXT:
        if name in header and bytes(header[name].item()).strip(b"\0 "):
            yield "volume header", f"text in {name}", NOT_COPIED
    if len(header.extensions):
        yield "volume header", f"{len(header.extensions)} extension(s)", NOT_COPIED


def _find_in_volume(path: Path) -> Iterator[Found]:
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    keys = [key for key in reader.GetMetaDataKeys() if not key.startswith(("ITK_", "NRRD_", "Seq_Frame"))]
    if keys:
        yield (
            "volume header",
            f"fields {', '.join(sorted(keys)[:8])}{', ...' if len(keys) > 8 else ''}",
            NOT_COPIED,
        )


def _find_in_container(path: Path) -> Iterator[Found]:
    import av

    with av.open(str(path)) as container:
        keys = {
            key.lower()
            for part in (container, *container.streams)
            for key, value in part.metadata.items()
            if value
        }
        sound = len(container.streams.audio)
    keys -= _HARMLESS_CONTAINER
    if keys:
        yield "video container", f"tags {', '.join(sorted(keys))}", NOT_COPIED
    if sound:
        yield "video container", "sound, which may hold a voice", NOT_COPIED


def _find_in_picture(path: Path) -> Iterator[Found]:
    from PIL import Image

    with Image.open(path) as picture:
        texts = sorted(str(key) for key, value in picture.info.items() if isinstance(value, str))
        if texts or len(picture.getexif()):
            yield "picture header", f"texts {', '.join(texts) or 'of the camera (EXIF)'}", NOT_COPIED
