"""What a DICOM header says of its grey values beside their number of bits (PS3.3, C.7.6.3 and C.11)."""

from __future__ import annotations

from typing import Any

import numpy as np

from uscl_med3d.data.clips.base import Note

Limits = tuple[float, float]
NEAR_MIDDLE = 4  # grey levels around 128 in which chroma without colour lies
GREY_SHARE = 0.9  # of the pixels of a frame; marks of the scanner may be coloured


def describe_inversion(header: Any) -> str:
    """What makes viewers show the grey values of MONOCHROME2 inverted; nothing where they do not."""
    if str(_get(header, "PhotometricInterpretation")) != "MONOCHROME2":
        return ""
    if str(_get(header, "PresentationLUTShape")) == "INVERSE":
        return "PresentationLUTShape INVERSE"
    slope = _number(_get(header, "RescaleSlope"))
    return "a negative RescaleSlope" if slope is not None and slope < 0 else ""


def note_range(bits: int, signed: bool, limits: Limits) -> Note:
    """What is said where grey values are brought to 0..255 by their range."""
    sign = " with a sign" if signed else ""
    return Note(f"grey values of {bits} bits{sign}: {limits[0]:g} to {limits[1]:g} become 0 to 255", False)


def read_padding(header: Any) -> int | None:
    """The value that stands for "no pixel"."""
    value = _number(_get(header, "PixelPaddingValue"))
    return None if value is None else int(value)


def leave_out(padding: int | None, frame: np.ndarray) -> np.ndarray:
    """Values of a frame but for the padding, one of which would squeeze all others together."""
    return frame.ravel() if padding is None else frame[frame != padding]


def describe_bits(header: Any) -> str:
    """Where the pixels of a header do not lie in the lowest bits of their words, which pydicom takes for granted."""
    allocated, stored, high = (
        _number(_get(header, name)) for name in ("BitsAllocated", "BitsStored", "HighBit")
    )
    if allocated is None or stored is None or high is None or allocated == stored or high == stored - 1:
        return ""
    return f"{stored:g} bits that end at bit {high:g} of words of {allocated:g} bits"


def _get(header: Any, name: str) -> Any:
    """An element, or None where it is missing or damaged: who cannot do without it refuses the file."""
    try:
        return header.get(name)
    except Exception:  # pydicom decodes an element when it is asked for, and has many words for damage
        return None


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def looks_like_ybr(rgb: np.ndarray) -> bool:
    """Whether the second and third of three components, uint8 (h, w, 3), are the chroma of a grey picture.

    A grey picture in red, green and blue has three equal components; of two that stay at their middle while the first
    one changes, somebody has written the wrong photometric interpretation.
    """
    middle = np.abs(rgb[..., 1:].astype(np.int16) - 128).max(axis=-1) <= NEAR_MIDDLE
    return bool(middle.mean() >= GREY_SHARE and np.ptp(rgb[..., 0]) > 4 * NEAR_MIDDLE)
