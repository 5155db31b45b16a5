"""Frames that a person redrew after looking at the pseudo-labels: more prompts, and never a way into the scores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.inspect import Inspection
from uscl_med3d.data.resample import Grid, one_per_voxel
from uscl_med3d.data.roles import Role


def add_corrections(
    inspection: Inspection, split: str, masks: Mapping[int, np.ndarray], roles: Mapping[int, Role], grid: Grid
) -> tuple[dict[int, np.ndarray], dict[int, Role], list[tuple[int, str]]]:
    """Key frames with the corrections of a sweep among them.

    Args:
        inspection: of the sweep. split: of its patient. grid: of its volume.
        masks, roles: frame -> label map (h, w) on the clip's grid, and its role; at most one in a voxel along d.

    Returns:
        masks and roles of all key frames, sorted by frame; and the frames that are not used, with the reason. A
        correction takes the place of a prompt in the same voxel.

    Raises:
        InputError: for a test sweep, for the voxel of a held-out key frame, and for a sweep that is
            reconstructed (its slices are no frames).
    """
    corrections = inspection.corrections
    if not corrections:
        return dict(masks), dict(roles), []
    _refuse_sweep(inspection, split)
    used, unused = one_per_voxel(sorted(corrections), grid)
    _refuse_held_out(inspection, roles, used, grid)
    kept = {grid.index_of(frame): frame for frame in used}
    replaced = [frame for frame in masks if grid.index_of(frame) in kept]
    reasons = [
        (frame, f"correction {nearer} is nearer to the middle of the same voxel") for frame, nearer in unused
    ]
    reasons += [
        (frame, f"replaced by the correction of frame {kept[grid.index_of(frame)]}") for frame in replaced
    ]
    together = {frame: masks[frame] for frame in masks if frame not in replaced}
    together |= {frame: corrections[frame] for frame in used}
    new_roles: dict[int, Role] = {frame: roles.get(frame, "correction") for frame in together}
    new_roles |= dict.fromkeys(used, "correction")
    return dict(sorted(together.items())), new_roles, reasons


def _refuse_sweep(inspection: Inspection, split: str) -> None:
    row, tracking = inspection.row, inspection.tracking or {}
    if split == "test":
        raise InputError(
            file=row.corrections or row.video,
            found=f"corrections of the test sweep {row.sweep}",
            expected="corrections of sweeps of the splits train and val; a test sweep has no pseudo-labels",
            remedy="leave corrections empty in cohort.csv; key frames that score belong to key_frames",
        )
    if tracking.get("mode") == "reconstruct":
        raise InputError(
            file=row.corrections or row.video,
            found=f"corrections of {row.sweep}, which is reconstructed from its poses",
            expected="corrections of a sweep whose volume keeps the frames of the clip",
            remedy="set ingest.tracked: stack, or leave corrections empty in cohort.csv",
        )


def _refuse_held_out(inspection: Inspection, roles: Mapping[int, Role], used: list[int], grid: Grid) -> None:
    held_out = {grid.index_of(frame): frame for frame, role in roles.items() if role == "held_out"}
    leaks = [frame for frame in used if grid.index_of(frame) in held_out]
    if leaks:
        frames = ", ".join(map(str, leaks))
        scores = ", ".join(str(held_out[grid.index_of(frame)]) for frame in leaks)
        raise InputError(
            file=inspection.row.corrections or inspection.row.video,
            found=f"a correction of frame {frames}, where key frame {scores} is held out",
            expected="corrections of other frames: a held-out key frame scores the pseudo-labels and must not shape them",
            remedy="remove the correction; if the key frame itself is wrong, correct it in key_frames",
        )
