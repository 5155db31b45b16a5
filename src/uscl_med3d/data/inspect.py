"""First look at a sweep: read every frame and every mask, find all problems, write nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.ingest import Fan
from uscl_med3d.data.annotations import (
    IGNORE,
    Canvas,
    check_labels,
    choose_format,
    file_of,
    label_values,
    read_annotations,
    read_label_map,
)
from uscl_med3d.data.annotations.naming import ClipNames, list_mentioned
from uscl_med3d.data.clips import Clip, Note, hash_clip, open_clip
from uscl_med3d.data.clips.base import check_extent
from uscl_med3d.data.clips.cached import CachedClip
from uscl_med3d.data.clips.volume import VolumeClip
from uscl_med3d.data.cohort import CohortRow
from uscl_med3d.data.fan import find_fan
from uscl_med3d.data.spacing import check_aspect, compare
from uscl_med3d.data.timing import find_irregular

AGREE = 0.5  # of the labelled pixels: two people who outline one structure agree in more


@dataclass(frozen=True)
class Inspection:
    """What the first look learned of one sweep.

    fan: bool (h, w) on the clip's grid. labels_outside: share of the key frames' labelled pixels outside the
    fan. masks: key frame -> label map uint8 (h, w) on the clip's grid; corrections: the same of corrected frames.
    tracking: facts of a sweep with poses. irregular: repeated and dropped frames, None where there are none.
    reference: label map uint8 (frames, h, w) on the clip's grid, for scoring only. assumed: what had to be assumed.
    """

    row: CohortRow
    clip: Clip | None
    frames: int
    fan: np.ndarray | None
    source_sha256: str
    labels_outside: float
    errors: tuple[InputError, ...]
    masks: Mapping[int, np.ndarray] = field(default_factory=dict)
    tracking: Mapping[str, Any] | None = None
    corrections: Mapping[int, np.ndarray] = field(default_factory=dict)
    irregular: Mapping[str, Any] | None = None
    reference: np.ndarray | None = None
    assumed: tuple[Note, ...] = ()

    def decoded(self) -> tuple[Clip, np.ndarray]:
        """Clip and fan of a sweep without errors."""
        assert self.clip is not None and self.fan is not None, f"{self.row.sweep} could not be read"
        return self.clip, self.fan


def inspect_sweep(
    row: CohortRow, fan: Fan, classes: dict[str, int], names: ClipNames | None = None
) -> Inspection:
    """Decode the clip of a cohort row, find its fan, and check its key frames and reference mask.

    names: of the clip and the others of its cohort, by which annotations are told apart; None where nothing is known.
    """
    try:
        opened = open_clip(row.video)
        clip = CachedClip(opened)
        frames, brightest, darkest, repeated = _decode(clip)
        _check_depth(row, frames)
        if row.spacing_mm is not None:
            check_aspect(row.video, row.spacing_mm, clip.info.pixel_aspect)
        region = find_fan(brightest, darkest, **fan.model_dump(exclude={"max_labels_outside"}))
        check_extent(row.video, row.spacing_mm or clip.info.pixel_spacing_mm, region.shape)
        digest = hash_clip(row.video)
    except InputError as error:
        return Inspection(row, None, 0, None, "", 0.0, (error, *_check_existence(row)))
    height, width = region.shape
    canvas = Canvas(frames, height, width, classes, clip.affine, names, spacing_mm=_pixel_mm(row, opened))
    _say_other_names(row, canvas)
    masks, errors, outside = _inspect_key_frames(row, canvas, region, fan.max_labels_outside)
    corrections: dict[int, np.ndarray] = {}
    if row.corrections is not None:
        corrections, problems = _read_masks(row, row.corrections, canvas)
        if not problems:
            share = _labels_outside(corrections, region)
            problems = _check_outside(row, row.corrections, share, fan.max_labels_outside)
        errors += problems
    reference = None
    if row.reference is not None:
        reference, problems = _read_reference(row.reference, canvas)
        errors += problems
        _say_disagreement(masks, reference, canvas)
    irregular = find_irregular(repeated, clip.times_s)
    assumed = (*clip.notes, *_note_spacing(row, opened), *canvas.notes, *_note_frames(irregular))
    return Inspection(
        row,
        clip,
        frames,
        region,
        digest,
        outside,
        tuple(errors),
        masks,
        None,
        corrections,
        irregular,
        reference,
        assumed,
    )


def _say_other_names(row: CohortRow, canvas: Canvas) -> None:
    """The table says what belongs to a clip; a path that names another one of the cohort may be a row gone astray."""
    for column in ("key_frames", "corrections", "reference"):
        path: Path | None = getattr(row, column)
        others = list_mentioned(str(path), canvas.clip) if path is not None else ()
        if canvas.clip is not None and others and not set(others) & canvas.clip.own:
            canvas.say(
                f"{column} of {row.sweep} lies at {path}, which names {', '.join(others)}: the table is believed"
            )


def _pixel_mm(row: CohortRow, clip: Clip) -> tuple[float, float] | None:
    """Size of the clip's pixels, (h, w), by the table, the file, or the header of a stack, which alone is not believed."""
    if row.spacing_mm is not None or clip.info.pixel_spacing_mm is not None:
        return row.spacing_mm or clip.info.pixel_spacing_mm
    stated = clip.header.spacing_mm if isinstance(clip, VolumeClip) else None
    return None if stated is None else (stated[1], stated[0])


def _say_disagreement(masks: Mapping[int, np.ndarray], reference: np.ndarray | None, canvas: Canvas) -> None:
    """Say where key frames and the reference of the same frames show other things: one of them is of another clip,
    mirrored, or moved by a frame."""
    labelled, same, frames = 0, 0, 0
    for frame, mask in masks.items():
        if reference is None or frame >= len(reference) or mask.shape != reference[frame].shape:
            continue
        other = reference[frame]
        if (other == IGNORE).all():
            continue
        both = (mask != IGNORE) & (other != IGNORE) & ((mask != 0) | (other != 0))
        labelled += int(both.sum())
        same += int((both & (mask == other)).sum())
        frames += 1
    if labelled and same < AGREE * labelled:
        canvas.say(
            f"key frames and reference agree in {same / labelled:.0%} of the pixels that either labels "
            f"in {frames} frame(s): check that both are of this clip, not turned and not moved"
        )


def _inspect_key_frames(
    row: CohortRow, canvas: Canvas, region: np.ndarray, max_outside: float
) -> tuple[dict[int, np.ndarray], list[InputError], float]:
    """Key frames, what is wrong with them, and the share of their labelled pixels outside the image region."""
    if row.key_frames is None:
        return {}, [], 0.0
    masks, errors = _read_masks(row, row.key_frames, canvas)
    errors += _check_labelled(row.key_frames, masks) if masks else []
    if errors:
        return masks, errors, 0.0
    outside = _labels_outside(masks, region)
    return masks, _check_outside(row, row.key_frames, outside, max_outside), outside


def _note_spacing(row: CohortRow, clip: Clip) -> list[Note]:
    """Where the table and the file differ about the size of pixels, or the file's word is not taken."""
    notes = compare(row.spacing_mm, clip.info)
    stated = clip.header.spacing_mm if isinstance(clip, VolumeClip) else None
    if stated is not None and row.spacing_mm is None:
        column, line, _ = stated
        notes.append(
            Note(
                f"the header states pixels of {line:.4g} x {column:.4g} mm, which stacks of frames often make up: "
                "not used; state spacing_mm in the table if it is real"
            )
        )
    return notes


def _note_frames(irregular: Mapping[str, Any] | None) -> list[Note]:
    words = ("damaged_frames", "dropped_frames")
    return [
        Note(f"{irregular[word]} {word.replace('_', ' ')}")
        for word in words
        if irregular and word in irregular
    ]


def _decode(clip: Clip) -> tuple[int, np.ndarray, np.ndarray, list[int]]:
    """Number of frames, temporal maximum and minimum (h, w) of a clip, and its repeated frames; read one by one."""
    frames = clip.frames()
    before = next(frames)
    brightest, darkest = before.copy(), before.copy()
    count, repeated = 1, []
    for frame in frames:
        if np.array_equal(frame, before):
            repeated.append(count)
        before = frame
        np.maximum(brightest, frame, out=brightest)
        np.minimum(darkest, frame, out=darkest)
        count += 1
    return count, brightest, darkest, repeated


def _check_depth(row: CohortRow, frames: int) -> None:
    """A still image cannot become a volume; a raw stream cut after its first frame has no header that would tell."""
    if frames < 2:
        raise InputError(
            file=row.video,
            found="1 frame",
            expected="a sweep of 2 frames or more",
            remedy="export the whole sweep again, or leave the still image out of the cohort",
        )


def _check_existence(row: CohortRow) -> list[InputError]:
    """Of a sweep whose clip cannot be read, at least say which of its other files are missing."""
    errors = []
    for path in (row.key_frames, row.corrections):
        if path is not None:
            try:
                choose_format(path)
            except InputError as error:
                errors.append(error)
    if row.reference is not None and not row.reference.is_file():
        errors.append(_reference_error(row.reference, "no such file", "a NIfTI label map"))
    return errors


def _read_masks(row: CohortRow, path: Path, canvas: Canvas) -> tuple[dict[int, np.ndarray], list[InputError]]:
    try:
        masks = read_annotations(path, canvas)
    except InputError as error:
        return {}, [error]
    errors = []
    shape = canvas.height, canvas.width
    for frame, mask in masks.items():
        file = file_of(path, frame)
        if frame >= canvas.frames:
            errors.append(
                InputError(
                    file=file,
                    found=f"a mask of frame {frame}",
                    expected=f"frames 0 to {canvas.frames - 1} of {row.source}",
                    remedy="count frames from 0, or correct which clip the key frames belong to",
                )
            )
        if mask.shape != shape:
            errors.append(
                InputError(
                    file=file,
                    found=f"{mask.shape[1]} x {mask.shape[0]} pixels",
                    expected=f"{shape[1]} x {shape[0]} pixels, the size of {row.source}",
                    remedy="annotate the exported frame itself, without cropping or scaling",
                )
            )
        try:
            check_labels(mask, canvas.classes, file)
        except InputError as error:
            errors.append(error)
    # One file may hold the masks of many frames: what is wrong with all of them is said once.
    return masks, list({str(error): error for error in errors}.values())


def _check_labelled(path: Path, masks: Mapping[int, np.ndarray]) -> list[InputError]:
    """A correction may say "nothing here"; key frames that all say so are a mistake."""
    if any(set(label_values(mask)) - {0, IGNORE} for mask in masks.values()):
        return []
    return [
        InputError(
            file=path,
            found="key frames without a single labelled pixel",
            expected="at least one class in at least one key frame",
            remedy="annotate a frame that shows a structure, or leave key_frames empty in cohort.csv",
        )
    ]


def _labels_outside(masks: Mapping[int, np.ndarray], fan: np.ndarray) -> float:
    labelled = [(mask != 0) & (mask != IGNORE) for mask in masks.values()]
    total = sum(int(mask.sum()) for mask in labelled)
    return sum(int((mask & ~fan).sum()) for mask in labelled) / total if total else 0.0


def _check_outside(row: CohortRow, path: Path, outside: float, limit: float) -> list[InputError]:
    if outside <= limit:
        return []
    return [
        InputError(
            file=path,
            found=f"{outside:.0%} of the labelled pixels outside the image region found in {row.source}",
            expected=f"at most {limit:.0%}",
            remedy="check that the masks belong to this clip; if so, adjust ingest.fan in the parameters",
        )
    ]


def _read_reference(path: Path, canvas: Canvas) -> tuple[np.ndarray | None, list[InputError]]:
    """The label map of every frame on the clip's grid, and what is wrong with it."""
    if not path.is_file():
        return None, [_reference_error(path, "no such file", "a NIfTI label map")]
    try:
        reference = read_label_map(path, canvas)
        check_labels(reference, canvas.classes, path)
    except InputError as error:
        return None, [error]
    return reference, []


def _reference_error(path: Path, found: str, expected: str) -> InputError:
    return InputError(
        file=path,
        found=found,
        expected=expected,
        remedy="export the reference on the video's own grid, or leave reference empty in cohort.csv",
    )
