"""Annotated key frames of a clip of 4 frames of 5 rows and 6 columns, written by the rules of each format."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from PIL import Image

from uscl_med3d.data.annotations import Canvas

CLASSES = {"pleural_effusion": 1, "liver": 3, "kidney": 5}
CANVAS = Canvas(frames=4, height=5, width=6, classes=CLASSES)
RECTANGLE = [1.0, 1.0, 4.0, 1.0, 4.0, 3.0, 1.0, 3.0]  # rows 1 and 2, columns 1 to 3
TRIANGLE = [0.0, 0.0, 4.0, 0.0, 0.0, 4.0]  # middles with x + y < 4
INK = {".": 0, "p": 1, "l": 3, "k": 5, "#": 255}


def draw(picture: str) -> np.ndarray:
    """A label map from rows of characters: . background, p, l, k classes, # not annotated."""
    rows = picture.split()
    return np.array([[INK[character] for character in row] for row in rows], np.uint8)


def coco(path: Path, annotations: Sequence[dict[str, Any]], **changes: Any) -> Path:
    """Images of frames 0 to 2 (ids 10 to 12) and the categories liver (7) and "Pleural effusion" (8)."""
    content = {
        "images": [
            {"id": 10 + n, "file_name": f"S01/frame_{n:06d}.PNG", "height": 5, "width": 6} for n in range(3)
        ],
        "categories": [{"id": 7, "name": "liver"}, {"id": 8, "name": "Pleural effusion"}],
        "annotations": [{"id": n, **entry} for n, entry in enumerate(annotations)],
    }
    path.write_text(json.dumps(content | changes))
    return path


def of(image: int, segmentation: Any, category: int = 7) -> dict[str, Any]:
    """One COCO annotation."""
    return {"image_id": image, "category_id": category, "iscrowd": 0, "segmentation": segmentation}


def labelme(path: Path, drawn: Sequence[dict[str, Any]], **changes: Any) -> Path:
    """One LabelMe file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "version": "5.5.0",
        "flags": {},
        "shapes": list(drawn),
        "imagePath": "x.png",
        "imageData": None,
        "imageHeight": 5,
        "imageWidth": 6,
    }
    path.write_text(json.dumps(content | changes))
    return path


def outline(label: str, numbers: Sequence[float], kind: str = "polygon") -> dict[str, Any]:
    """One LabelMe shape with an outline."""
    points = [list(numbers[at : at + 2]) for at in range(0, len(numbers), 2)]
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}}


def stamp(label: str, corner: tuple[int, int], pixels: np.ndarray) -> dict[str, Any]:
    """One LabelMe shape of the type mask, whose first pixel is at (x, y)."""
    packed = io.BytesIO()
    Image.fromarray((pixels * 255).astype(np.uint8)).save(packed, "PNG")
    x, y = corner
    far = [x + pixels.shape[1] - 1, y + pixels.shape[0] - 1]
    return {
        "label": label,
        "points": [[x, y], far],
        "shape_type": "mask",
        "mask": base64.b64encode(packed.getvalue()).decode(),
    }


def cvat_images(path: Path, images: Mapping[str, str], size: str = 'width="6" height="5"') -> Path:
    """CVAT for images 1.1; `images`: name -> elements."""
    body = "".join(
        f'<image id="{n}" name="{name}" {size}>{shapes}</image>'
        for n, (name, shapes) in enumerate(images.items())
    )
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>{body}</annotations>'
    )
    return path


def cvat_video(path: Path, tracks: Sequence[tuple[str, str]], size: tuple[int, int] = (6, 5)) -> Path:
    """CVAT for video 1.1; tracks: (label, shapes)."""
    meta = (
        "<meta><task><original_size><width>{}</width><height>{}</height></original_size></task></meta>"
    ).format(*size)
    body = "".join(
        f'<track id="{n}" label="{label}">{shapes}</track>' for n, (label, shapes) in enumerate(tracks)
    )
    path.write_text(f"<annotations><version>1.1</version>{meta}{body}</annotations>")
    return path


def points(numbers: Sequence[float]) -> str:
    """Points as CVAT writes them."""
    return ";".join(f"{numbers[at]:.2f},{numbers[at + 1]:.2f}" for at in range(0, len(numbers), 2))


def polygon(label: str, numbers: Sequence[float], z_order: int = 0) -> str:
    """A polygon of CVAT for images."""
    return f'<polygon label="{label}" source="manual" occluded="0" points="{points(numbers)}" z_order="{z_order}"/>'


def tracked(frame: int, numbers: Sequence[float], keyframe: int = 1, outside: int = 0) -> str:
    """A polygon of CVAT for video."""
    return (
        f'<polygon frame="{frame}" keyframe="{keyframe}" outside="{outside}" occluded="0" '
        f'points="{points(numbers)}" z_order="0"/>'
    )


def nifti(path: Path, array: np.ndarray) -> Path:
    """A label map (frames, rows, columns)."""
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(array.transpose(2, 1, 0)), np.eye(4)), path)
    return path


def seg_nrrd(path: Path, array: np.ndarray, facts: Mapping[str, Any], encoding: str = "gzip") -> Path:
    """A 3D Slicer segmentation; array uint8 (frames, rows, columns) or (frames, rows, columns, layers)."""
    sizes = [*array.shape[3:], array.shape[2], array.shape[1], array.shape[0]]
    listed = array.ndim == 4
    header = [
        "NRRD0004",
        "# a comment",
        "type: unsigned char",
        f"dimension: {array.ndim}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, sizes))}",
        "space directions: " + "none " * listed + "(0.5,0,0) (0,0.5,0) (0,0,1)",
        "kinds: " + "list " * listed + "domain domain domain",
        f"encoding: {encoding}",
        "space origin: (0,0,0)",
        *(f"{key}:={value}" for key, value in facts.items()),
    ]
    data = np.ascontiguousarray(array, np.uint8).tobytes()
    packed = gzip.compress(data, mtime=0) if encoding == "gzip" else data
    path.write_bytes("\n".join(header).encode() + b"\n\n" + packed)
    return path


def segment(number: int, name: str, value: int | None = 1, layer: int | None = 0) -> dict[str, Any]:
    """Header fields of one segment; None: as Slicer wrote before it had layers."""
    facts: dict[str, Any] = {f"Segment{number}_ID": f"Segment_{number}", f"Segment{number}_Name": name}
    if value is not None:
        facts |= {f"Segment{number}_LabelValue": value, f"Segment{number}_Layer": layer}
    return facts
