"""A volume and its mask in a notebook, through ipyniivue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.annotations.palette import COLOURS
from uscl_med3d.user.inputs import Source, read_source, wrap_array
from uscl_med3d.view.picture import Picture, make_picture

if TYPE_CHECKING:
    from ipyniivue import NiiVue

_LAYOUTS = {"frame": "AXIAL", "planes": "MULTIPLANAR", "3d": "RENDER"}


def show(
    volume: str | Path | np.ndarray,
    mask: str | Path | np.ndarray | None = None,
    layout: str = "planes",
    opacity: float = 0.5,
    height: int = 420,
) -> NiiVue:
    """A widget with a volume and, over it, a label map; in a notebook the last line of a cell shows it.

    >>> uscl_med3d.show("sweep.mp4", segmenter.mask())

    Args:
        volume: whatever `Segmenter.encode` takes: a path, or an array (frames, rows, columns).
        mask: integers of the volume's shape; or the path of a NIfTI, NRRD or MHA mask that `segment` wrote.
        layout: frame, planes or 3d.
        opacity: of the mask, 0 to 1.
        height: in pixels.

    Raises:
        InputError: for an unreadable file, or where ipyniivue is not installed.
        ValueError: for a mask of another shape, or an unknown layout.
    """
    try:
        from ipyniivue import NiiVue, SliceType, Volume
    except ModuleNotFoundError:
        raise InputError(
            file="ipyniivue",
            found="not installed",
            expected="the packages of the extra `notebook`",
            remedy='pip install "uscl-med3d[notebook]"',
        ) from None
    if layout not in _LAYOUTS:
        raise ValueError(f"layout {layout!r}: one of {', '.join(_LAYOUTS)}")
    source = wrap_array(volume, None) if isinstance(volume, np.ndarray) else read_source(volume)
    picture = make_picture(source)
    widget = NiiVue(height=height)
    volumes = [Volume(name="volume.nii", data=picture.to_bytes(), colormap="gray")]
    if mask is not None:
        labels = _read_labels(mask, source)
        shown = np.ascontiguousarray(labels[:, :: picture.step, :: picture.step])
        overlay = Volume(
            name="mask.nii", data=Picture(shown, 1, picture.spacing_mm).to_bytes(), opacity=opacity
        )
        overlay.set_colormap_label(label_colours(labels))
        volumes.append(overlay)
    widget.load_volumes(volumes)
    widget.set_slice_type(SliceType[_LAYOUTS[layout]])
    return widget


def label_colours(labels: np.ndarray) -> dict[str, Any]:
    """Colours of the values of a label map, as NiiVue takes them; 0 is not drawn."""
    values = [int(value) for value in np.unique(labels) if value]
    colours = [(0, 0, 0), *(COLOURS[(value - 1) % len(COLOURS)] for value in values)]
    red, green, blue = (list(part) for part in zip(*colours, strict=True))
    return {
        "R": red,
        "G": green,
        "B": blue,
        "A": [0, *[255] * len(values)],
        "I": [0, *values],
        "labels": ["", *map(str, values)],
    }


def _read_labels(mask: str | Path | np.ndarray, source: Source) -> np.ndarray:
    """A label map uint8 (frames, rows, columns) of the input's shape."""
    if isinstance(mask, np.ndarray):
        labels = mask
    elif str(mask).endswith(".npy"):
        labels = np.load(mask, allow_pickle=False)
    else:
        import SimpleITK

        try:
            labels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(mask)))
        except RuntimeError as error:
            raise InputError(
                file=mask,
                found=str(error).strip().splitlines()[-1],
                expected="a mask that segment wrote",
                remedy="correct the path",
            ) from None
    if labels.shape != source.frames.shape:
        raise ValueError(
            f"the mask is {labels.shape}, the volume {source.frames.shape} (frames, rows, columns)"
        )
    if labels.dtype.kind not in "biu" or labels.min() < 0 or labels.max() > 255:
        raise ValueError(f"a label map has integers of 0 to 255, got {labels.dtype}")
    return labels.astype(np.uint8)
