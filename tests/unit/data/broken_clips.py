"""Clips that a hospital may hand over by mistake, or that someone made to do harm."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import nibabel
import numpy as np
import pydicom
import SimpleITK
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from raw_files import draw_clip, write_video
from test_clips import write_dicom

Make = Callable[[Path], Path]
CLIP = draw_clip(10)


def raw(name: str, content: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def renamed(make: Make, name: str) -> Make:
    return lambda folder: make(folder).rename(folder / name)


def cut(make: Make, share: float) -> Make:
    def shorten(folder: Path) -> Path:
        path = make(folder)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        return path

    return shorten


def video(folder: Path) -> Path:
    return write_video(folder / "clip.mp4", CLIP)


def streamed_video(folder: Path) -> Path:
    """A video whose header comes first, so that a cut leaves it readable."""
    return write_video(folder / "clip.mp4", CLIP, "mpeg4", container={"movflags": "faststart"})


def sound(folder: Path) -> Path:
    path = folder / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    return path


def dicom(edit: Callable[[Dataset], object] = lambda _: None, kind: str = "MONOCHROME2") -> Make:
    def make(folder: Path) -> Path:
        path = write_dicom(folder / "clip.dcm", CLIP, kind)
        dataset = pydicom.dcmread(path)
        edit(dataset)
        dataset.save_as(path)
        return path

    return make


def put(**values: object) -> Callable[[Dataset], None]:
    def edit(dataset: Dataset) -> None:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return edit


def drop(*keywords: str) -> Callable[[Dataset], None]:
    def edit(dataset: Dataset) -> None:
        for keyword in keywords:
            delattr(dataset, keyword)

    return edit


def packed(syntax: str, content: bytes, **values: object) -> Callable[[Dataset], None]:
    """Compressed pixel data that is no such thing."""

    def edit(dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([content] * 10)
        dataset["PixelData"].is_undefined_length = True
        put(**values)(dataset)

    return edit


def series(*names: str, **values: list) -> Make:
    """A folder of single frames; `values` differ by frame."""

    def make(folder: Path) -> Path:
        place = folder / "series"
        place.mkdir()
        for number, name in enumerate(names):
            path = write_dicom(place / name, CLIP[number : number + 1], "MONOCHROME2")
            dataset = pydicom.dcmread(path)
            dataset.SOPInstanceUID, dataset.SeriesInstanceUID = f"1.2.{number}", "1.9"
            for keyword, value in values.items():
                setattr(dataset, keyword, value[number])
            dataset.save_as(path)
        return place

    return make


def nifti(
    array: np.ndarray = CLIP, edit: Callable[[bytearray], object] = lambda _: None, name: str = "clip.nii"
) -> Make:
    """A NIfTI file whose header is edited byte by byte."""

    def make(folder: Path) -> Path:
        image = nibabel.Nifti1Image(array.T, np.eye(4))
        content = bytearray(image.to_bytes())
        edit(content)
        data = gzip.compress(bytes(content)) if name.endswith(".gz") else bytes(content)
        (folder / name).write_bytes(data)
        return folder / name

    return make


def dims(*sizes: int) -> Callable[[bytearray], None]:
    return lambda content: struct.pack_into("<8h", content, 40, *sizes, *[1] * (8 - len(sizes)))


def singular(content: bytearray) -> None:
    """Rows of the affine that lie in one plane, and a code that says: use them."""
    struct.pack_into("<2h", content, 252, 0, 1)
    struct.pack_into("<12f", content, 280, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)


def swapped(content: bytearray) -> None:
    """Sizes in the other byte order than the rest."""
    content[40:56] = b"".join(content[at : at + 2][::-1] for at in range(40, 56, 2))


def itk(name: str, image: SimpleITK.Image) -> Make:
    def make(folder: Path) -> Path:
        SimpleITK.WriteImage(image, str(folder / name))
        return folder / name

    return make


def mha(
    size: str, kind: str = "MET_UCHAR", data: str = "LOCAL", packing: str = "True", name: str = "clip.mha"
) -> Make:
    head = (
        f"ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = {packing}\nCompressedDataSize = 20\n"
        f"DimSize = {size}\nElementType = {kind}\nElementSpacing = 1 1 1\nElementDataFile = {data}\n"
    )
    return raw(name, head.encode() + zlib.compress(b"\0" * 64))


def nrrd(
    sizes: str, data: str = "", encoding: str = "gzip", name: str = "clip.nrrd", dimension: int = 3
) -> Make:
    file = f"data file: {data}\n" if data else ""
    head = f"NRRD0004\ntype: unsigned char\ndimension: {dimension}\nsizes: {sizes}\nencoding: {encoding}\n{file}\n"
    return raw(name, head.encode() + gzip.compress(b"\0" * 64))


def outside(make: Make) -> Make:
    """A header beside which, one folder up, lies the file it names."""

    def place(folder: Path) -> Path:
        (folder / "secret.raw").write_bytes(bytes(24))
        inner = folder / "inner"
        inner.mkdir()
        return make(inner)

    return place


NAN = np.where(CLIP.max() == CLIP, np.nan, CLIP.astype(np.float32)).astype(np.float32)
INF = np.where(CLIP.max() == CLIP, np.inf, CLIP.astype(np.float32)).astype(np.float32)
JPEG, RLE, J2K, LOSSLESS = (f"1.2.840.10008.1.2.{end}" for end in ("4.50", "5", "4.90", "4.70"))

CLIPS: dict[str, tuple[Make, str]] = {
    # what is broken: (file, found)
    "video cut early": (cut(video, 0.2), "not readable as a video"),
    "video cut in its middle": (cut(streamed_video, 0.6), "frames, then the file ends|decoding fails"),
    "video of zero bytes": (raw("clip.mp4", b""), "0 bytes"),
    "video of zeros": (raw("clip.mp4", bytes(5000)), "not readable as a video"),
    "video of words": (raw("clip.avi", b"hello " * 500), "not readable as a video|without a single frame"),
    "audio only": (sound, "no video stream"),
    "audio only, called mp4": (renamed(sound, "clip.mp4"), "no video stream"),
    "suffix nobody knows": (raw("clip.xyz", b"words " * 500), "suffix '.xyz'"),
    "a text": (raw("clip.txt", b"words " * 500), "suffix '.txt'"),
    "no suffix": (raw("clip", bytes(5000)), "suffix ''"),
    "a black clip": (lambda folder: write_video(folder / "clip.mp4", 0 * CLIP), "a clip that is black"),
    "a saturated clip": (nifti(0 * CLIP + 255), "a clip that is saturated"),
    "a clip of one grey": (nifti(0 * CLIP + 90), "every pixel has the grey value 90"),
    "video called DICOM": (renamed(video, "clip.dcm"), "not readable as DICOM"),
    "video called NIfTI": (renamed(video, "clip.nii.gz"), "not readable as an image volume"),
    "video called NRRD": (renamed(video, "clip.nrrd"), "not readable as an image volume"),
    "NIfTI called mp4": (renamed(nifti(), "clip.mp4"), "not readable as a video"),
    "DICOM of zero bytes": (raw("clip.dcm", b""), "0 bytes"),
    "DICOM of words": (raw("clip.dcm", b"hello " * 500), "not readable as DICOM"),
    "DICOM cut in its header": (
        cut(dicom(), 0.006),
        "not readable as DICOM|pixel data not decodable|declares",
    ),
    "DICOM cut in its pixels": (cut(dicom(), 0.5), "pixel data not decodable"),
    "DICOM without pixels": (dicom(drop("PixelData")), "pixel data not decodable"),
    "DICOM without a size": (dicom(drop("Rows", "Columns")), "pixel data not decodable"),
    "DICOM without a colour kind": (dicom(drop("PhotometricInterpretation")), "decodable|photometric"),
    "DICOM of an unknown colour kind": (dicom(put(PhotometricInterpretation="HSV")), "decodable|'HSV'"),
    "DICOM of an unknown syntax": (dicom(packed("1.2.3.4.5", b"x" * 20)), "pixel data not decodable"),
    "DICOM with more frames than pixels": (dicom(put(NumberOfFrames=20)), "pixel data not decodable"),
    "DICOM with larger frames than pixels": (dicom(put(Rows=640)), "pixel data not decodable"),
    "DICOM with a frame count of words": (
        dicom(lambda d: d.__setitem__(0x00280008, pydicom.DataElement(0x00280008, "LO", "many"))),
        "not readable as DICOM",
    ),
    "DICOM with JPEG that is none": (dicom(packed(JPEG, b"no jpeg at all !")), "pixel data not decodable"),
    "DICOM with RLE that is none": (dicom(packed(RLE, b"no rle at all !!")), "pixel data not decodable"),
    "DICOM with JPEG 2000 that is none": (
        dicom(packed(J2K, b"no jpeg 2000 ...")),
        "pixel data not decodable",
    ),
    "DICOM with lossless JPEG that is none": (
        dicom(packed(LOSSLESS, b"no jpeg at all !")),
        "pixel data not decodable",
    ),
    "DICOM with fewer compressed frames": (
        dicom(packed(JPEG, b"no jpeg at all !", NumberOfFrames=500)),
        "pixel data not decodable",
    ),
    "DICOM bomb, rows and columns": (
        dicom(packed(RLE, b"x" * 100, Rows=65535, Columns=65535, NumberOfFrames=1)),
        "65535 x 65535",
    ),
    "DICOM bomb, frames": (dicom(put(NumberOfFrames=2_000_000_000)), "2000000000 frames"),
    "DICOM bomb, all three": (
        dicom(packed(JPEG, b"x" * 100, Rows=8000, Columns=8000, NumberOfFrames=30000)),
        "30000 frames of 8000",
    ),
    "DICOM with a negative frame count": (dicom(put(NumberOfFrames=-3)), "-3 frames"),
    "folder without DICOM": (
        lambda folder: (folder / "series").mkdir() or folder / "series",
        "without DICOM",
    ),
    "folder of two series": (series("a", "b", SeriesInstanceUID=["1.1", "1.2"]), "2 series"),
    "folder of two sizes": (series("a", "b", Rows=[64, 32]), "2 sizes"),
    "folder with a multi-frame file": (series("a", "b", NumberOfFrames=[1, 2]), "multi-frame"),
    "folder with a broken frame": (
        lambda folder: cut(lambda _: series("a", "b")(folder) / "b", 0.5)(folder).parent,
        "pixel data not decodable",
    ),
    "NIfTI of zero bytes": (raw("clip.nii.gz", b""), "0 bytes"),
    "NIfTI cut": (cut(nifti(), 0.5), "pixel data not|in a file of"),
    "NIfTI cut, packed": (cut(nifti(name="clip.nii.gz"), 0.5), "pixel data not|not readable"),
    "NIfTI with a singular affine": (nifti(edit=singular), "singular|not readable"),
    "NIfTI of 4 axes": (nifti(np.stack([CLIP, CLIP])), "4 axes"),
    "NIfTI of 2 axes": (nifti(CLIP[0]), "2 axes|not readable"),
    "NIfTI with NaN": (nifti(NAN), "NaN"),
    "NIfTI with infinite values": (nifti(INF), "infinite"),
    "NIfTI whose scale overflows": (
        nifti(CLIP.astype(np.int16), lambda b: struct.pack_into("<2f", b, 112, 3e38, 0)),
        "infinite",
    ),
    "NIfTI of complex numbers": (nifti(CLIP.astype(np.complex64)), "components|not readable"),
    "NIfTI with sizes in another byte order": (nifti(edit=swapped), "declares|not readable|axes"),
    "NIfTI with a negative size": (nifti(edit=dims(3, -80, 64, 10)), "declares|not readable|pixel data not"),
    "NIfTI with a size of zero": (
        nifti(edit=dims(3, 80, 0, 10)),
        "declares|not readable|pixel data not|axes",
    ),
    "NIfTI bomb": (nifti(edit=dims(3, 32000, 32000, 32000)), "32000 frames of 32000|declares"),
    "NIfTI bomb, packed": (nifti(edit=dims(3, 8000, 8000, 100), name="clip.nii.gz"), "in a file of"),
    "NRRD bomb": (nrrd("90000 90000 90000"), "90000 frames of 90000"),
    "NRRD bomb, small enough to try": (nrrd("2000 2000 1500"), "in a file of"),
    "NRRD of 4 axes": (nrrd("4 4 4 4", dimension=4), "4 axes"),
    "NRRD with pixels missing": (nrrd("8 8 8"), "pixel data not"),
    "NRRD with pixels of colours": (
        itk("clip.nrrd", SimpleITK.GetImageFromArray(np.stack([CLIP] * 3, -1), isVector=True)),
        "3 components",
    ),
    "NRRD whose pixels lie elsewhere": (
        outside(nrrd("2 3 4", "../secret.raw", "raw", "clip.nhdr")),
        "names '../secret.raw'",
    ),
    "NRRD whose pixels lie at an absolute path": (
        nrrd("2 3 4", "/etc/hostname", "raw", "clip.nhdr"),
        "names '/etc/hostname'",
    ),
    "NRRD whose pixels are gone": (
        nrrd("2 3 4", "gone.raw", "raw", "clip.nhdr"),
        "not readable|pixel data not",
    ),
    "MHA bomb": (mha("90000 90000 90000"), "90000 frames of 90000"),
    "MHA bomb, small enough to try": (mha("2000 2000 1500"), "in a file of"),
    "MHA with pixels missing": (mha("8 8 8"), "pixel data not"),
    "MHA whose pixels lie elsewhere": (
        outside(mha("2 3 4", data="../secret.raw", packing="False", name="clip.mhd")),
        "names '../secret.raw'",
    ),
    "MHA of words": (raw("clip.mha", b"hello " * 100), "not readable"),
}
