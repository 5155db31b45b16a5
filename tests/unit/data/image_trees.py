"""Small trees of published image sets, made by tests: the layout is theirs, the pixels are not."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (40, 48)


def picture(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Smooth random grey values; different seeds do not correlate."""
    rng = np.random.RandomState(seed)
    small = Image.fromarray(rng.randint(0, 255, (6, 6)).astype(np.uint8))
    return np.asarray(small.resize(size[::-1], Image.Resampling.BICUBIC))


def disc(row: int, column: int, value: int = 255, size: tuple[int, int] = SIZE) -> np.ndarray:
    rows, columns = np.ogrid[: size[0], : size[1]]
    return np.where((rows - row) ** 2 + (columns - column) ** 2 < 36, value, 0).astype(np.uint8)


def save(file: Path, values: np.ndarray) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(file, quality=95)
    return file


def make_tn3k(root: Path, train: int = 4, val: int = 2, test: int = 3) -> Path:
    for part, count in (("trainval", train + val), ("test", test)):
        for index in range(count):
            save(root / f"{part}-image" / f"{index:04d}.jpg", picture(index + 100 * (part == "test")))
            save(root / f"{part}-mask" / f"{index:04d}.jpg", disc(12 + index, 20))
    lists = {"train": list(range(train)), "val": list(range(train, train + val))}
    (root / "tn3k-trainval-fold0.json").write_text(json.dumps(lists))
    return root


def make_ddti(root: Path) -> Path:
    for index in (1, 2, 10):
        save(root / "image" / f"{index}.PNG", picture(index))
        save(root / "mask" / f"{index}.PNG", disc(20, 20))
    return root


def make_tg3k(root: Path, cut: int = 5) -> Path:
    """Ten frames of three videos, told apart by their sizes: 0-3, 4-7, 8-9."""
    for index in range(10):
        size = [(40, 48), (44, 48), (40, 52)][index // 4]
        save(root / "thyroid-image" / f"{index:04d}.jpg", picture(index // 4, size))
        save(root / "thyroid-mask" / f"{index:04d}.jpg", disc(20, 20, size=size))
    lists = {"train": list(range(cut)), "val": list(range(cut, 10))}
    (root / "tg3k-trainval.json").write_text(json.dumps(lists))
    return root


def make_busi(root: Path) -> Path:
    """Three benign images, two malignant, one normal; benign (2) has two masks, malignant (2) repeats benign (1)."""
    for kind, count in (("benign", 3), ("malignant", 2), ("normal", 1)):
        for index in range(1, count + 1):
            seed = 1 if (kind, index) == ("malignant", 2) else index + 10 * (kind == "malignant")
            save(root / kind / f"{kind} ({index}).png", np.repeat(picture(seed)[..., None], 3, -1))
            mask = disc(12, 12) if kind != "normal" else np.zeros(SIZE, np.uint8)
            save(root / kind / f"{kind} ({index})_mask.png", mask)
    save(root / "benign" / "benign (2)_mask_1.png", disc(28, 36))
    return root


def make_udiat(root: Path) -> Path:
    for index in (1, 2):
        save(root / "original" / f"{index:06d}.png", picture(index))
        save(root / "GT" / f"{index:06d}.png", disc(20, 20))
    return root


def make_camus(root: Path) -> Path:
    import nibabel

    for patient in ("patient0001", "patient0002"):
        for view, frames in (("2CH", 3), ("4CH", 2)):
            image = np.stack([picture(frame) for frame in range(frames)])
            label = np.stack([disc(10, 20, 1) + disc(20, 20, 2) // 1 for _ in range(frames)])
            for name, values in (("", image), ("_gt", np.minimum(label, 3))):
                file = root / patient / f"{patient}_{view}_half_sequence{name}.nii.gz"
                file.parent.mkdir(parents=True, exist_ok=True)
                nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0).astype(np.uint8), np.eye(4)), file)
    return root


def make_hmc_qu(root: Path, start: int = 2, end: int = 4) -> Path:
    import av
    from scipy.io import savemat

    echoes = root / "HMC-QU Echos" / "HMC-QU Echos"
    echoes.mkdir(parents=True)
    masks = root / "LV Ground-truth Segmentation Masks"
    masks.mkdir()
    name = "P001_A4C"
    with av.open(str(echoes / f"{name}.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuvj420p"
        for index in range(6):
            frame = np.full(SIZE, 30 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode(None))
    savemat(
        masks / f"Mask_{name}.mat", {"predicted": np.stack([disc(12, 12, 1, (32, 32))] * (end - start + 1))}
    )
    rows = [["ECHO", "SEG1", "Reference Frame", "End of Cycle"], [name, "0", str(start), str(end)]]
    write_sheet(root / "HMC_QU.xlsx", rows)
    return root


def write_sheet(file: Path, rows: list[list[str]]) -> Path:
    strings = sorted({text for row in rows for text in row})
    cells = "".join(
        f'<row r="{at}">'
        + "".join(
            f'<c r="{chr(65 + column)}{at}" t="s"><v>{strings.index(text)}</v></c>'
            for column, text in enumerate(row)
        )
        + "</row>"
        for at, row in enumerate(rows, 1)
    )
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            "xl/sharedStrings.xml",
            f"<sst {space}>" + "".join(f"<si><t>{s}</t></si>" for s in strings) + "</sst>",
        )
        archive.writestr(
            "xl/worksheets/sheet1.xml", f"<worksheet {space}><sheetData>{cells}</sheetData></worksheet>"
        )
    return file


def make_cohort(root: Path) -> Path:
    """Two sweeps of two patients with two annotated frames each, as `ingest` writes them; the folder of volumes."""
    from uscl_med3d.core.io import save_volume, write_json

    write_json(root / "params" / "ingest.json", {"classes": {"liver": 3, "kidney": 5}})
    for number, split in ((1, "train"), (2, "test")):
        folder = root / "volumes" / f"sweep{number}"
        folder.mkdir(parents=True)
        image = np.stack([picture(10 * number + frame) for frame in range(5)])
        labels = np.full(image.shape, 255, np.uint8)
        for frame in (1, 3):
            labels[frame] = np.maximum(disc(12, 12, 3), disc(28, 36, 5))
        save_volume(folder / "image.nii.gz", image, (1.0, 1.0, 1.0))
        save_volume(folder / "key_frames.nii.gz", labels, (1.0, 1.0, 1.0))
        entries = [{"index": frame, "role": "prompt"} for frame in (1, 3)]
        facts = {"sweep": f"sweep{number}", "patient": f"p{number}", "split": split, "key_frames": entries}
        write_json(folder / "sidecar.json", facts)
    return root / "volumes"


def make_us30k(root: Path) -> Path:
    sets = {"ThyroidNodule-TN3K": 2, "Echocardiography-CAMUS": 4}
    names = {"ThyroidNodule-TN3K": ["a", "b", "c"], "Echocardiography-CAMUS": ["0001_2CH_01", "0002_4CH_01"]}
    for subset, listed in names.items():
        for index, name in enumerate(listed):
            save(root / subset / "img" / f"{name}.png", picture(index))
            mask = disc(20, 20) if sets[subset] == 2 else disc(10, 20, 1) + disc(30, 20, 3)
            save(root / subset / "label" / f"{name}.png", mask)
    lists = root / "MainPatient"
    lists.mkdir()
    (lists / "class.json").write_text(json.dumps(sets))
    (lists / "train.txt").write_text(
        "1/ThyroidNodule-TN3K/a\n1/Echocardiography-CAMUS/0001_2CH_01\n3/Echocardiography-CAMUS/0001_2CH_01\n"
    )
    (lists / "val.txt").write_text("1/ThyroidNodule-TN3K/b\n")
    (lists / "test.txt").write_text("ThyroidNodule-TN3K/c\nEchocardiography-CAMUS/0002_4CH_01\n")
    return root


def make_usgra(root: Path) -> Path:
    """Five stills of four scenes: 0003 repeats 0001 brighter; masks are palette pictures."""
    for index, seed in enumerate((1, 2, 1, 3, 4), 1):
        values = np.clip(picture(seed).astype(int) + 10 * (index == 3), 0, 255).astype(np.uint8)
        save(root / "images" / f"{index:04d}.png", np.repeat(values[..., None], 3, -1))
        labels = np.maximum(disc(12, 12, 1), disc(28, 36, 2))
        mask = Image.fromarray(labels, mode="P")
        mask.putpalette([0, 0, 0, 255, 255, 0, 255, 0, 0])
        (root / "masks").mkdir(exist_ok=True)
        mask.save(root / "masks" / f"{index:04d}.png")
    return root


def make_scans(root: Path) -> Path:
    """Two parts of the body; two patients, of whom one lies under both scanners; values 2 and 5 are classes."""
    rows = ["still,set,patient,split"]
    for number, (place, patient, split) in enumerate(
        [
            ("chest_seen", "a", "train"),
            ("chest_seen", "b", "test"),
            ("chest_unseen", "b", "test"),
            ("abdomen_seen", "c", "train"),
        ]
    ):
        save(root / place / "images" / f"{number}.png", picture(number))
        save(root / place / "masks" / f"{number}.png", np.maximum(disc(12, 12, 2), disc(28, 36, 5)))
        rows.append(f"{number},{place},{patient},{split}")
    (root / "stills.csv").write_text("\n".join(rows) + "\n")
    (root / "classes.json").write_text(json.dumps({"liver": 5, "ascites": 2}))
    return root
