"""The sidecar of a volume: where it comes from, and which of its axes have millimetres."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from uscl_med3d.data.fan import bounding_box
from uscl_med3d.data.inspect import Inspection
from uscl_med3d.data.resample import Grid


def source_spacing_mm(inspection: Inspection) -> dict[str, float | None]:
    """Spacing of the clip along d, h, w: the cohort's statement, else the file's own, else None (unknown)."""
    row, info = inspection.row, inspection.decoded()[0].info
    h, w = info.pixel_spacing_mm or (None, None)
    if row.spacing_mm is not None:
        h, w = row.spacing_mm
    return {"d": row.frame_spacing_mm or info.frame_spacing_mm, "h": h, "w": w}


def describe_sweep(
    inspection: Inspection,
    split: str,
    grid: Grid,
    source_mm: dict[str, float | None],
    spacing_mm: dict[str, float | None],
) -> dict[str, Any]:
    """The sidecar's content without key frames; `axis_without_millimetres` is "d" for an untracked sweep."""
    row, (clip, fan) = inspection.row, inspection.decoded()
    info = clip.info
    top, bottom, left, right = bounding_box(fan)
    return {
        "patient": row.patient,
        "sweep": row.sweep,
        "group": row.group,
        "view": row.view,
        "split": split,
        "probe": row.probe or None,
        "source": row.source,
        "source_sha256": inspection.source_sha256,
        "source_format": info.format,
        "source_codec": info.codec,
        "source_frames_per_second": info.frames_per_second,
        "source_shape": [inspection.frames, *fan.shape],
        "source_spacing_mm": source_mm,
        # Only where the file is believed; what the table states is the table's.
        **(
            {"source_spacing_from": info.spacing_from} if row.spacing_mm is None and info.spacing_from else {}
        ),
        "shape_dhw": [grid.frame_size, grid.h_size, grid.w_size],
        "spacing_mm": spacing_mm,
        "axis_without_millimetres": None if spacing_mm["d"] else "d",
        "axes_without_millimetres": [axis for axis in "dhw" if spacing_mm[axis] is None],
        "grid": grid.as_dict(),
        "fan": {
            "share_of_frame": round(float(fan.mean()), 6),
            "bounding_box_px": {"top": top, "bottom": bottom, "left": left, "right": right},
            "labels_outside": round(inspection.labels_outside, 6),
        },
        "has_reference": row.reference is not None,
        **({} if inspection.irregular is None else {"irregular_frames": inspection.irregular}),
        **({} if not inspection.assumed else {"assumed": [asdict(note) for note in inspection.assumed]}),
        **({} if inspection.tracking is None else {"tracking": inspection.tracking}),
    }
