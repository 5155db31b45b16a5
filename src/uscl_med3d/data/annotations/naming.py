"""Which clip an annotation belongs to, by the names that it gives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from uscl_med3d.core.errors import InputError

# Folders of exports that name no clip.
PLAIN = frozenset(
    {
        "frame",
        "frames",
        "image",
        "images",
        "img",
        "imgs",
        "picture",
        "pictures",
        "png",
        "jpg",
        "jpeg",
        "default",
        "data",
        "dataset",
        "train",
        "val",
        "valid",
        "validation",
        "test",
        "subset",
        "obj_train_data",
        "jpegimages",
        "annotation",
        "annotations",
        "label",
        "labels",
        "mask",
        "masks",
        "key_frames",
        "keyframes",
        "export",
        "exports",
        "video",
        "videos",
        "clip",
        "clips",
        "sweep",
        "sweeps",
        "out",
        "output",
    }
)
VIDEO_SUFFIX = re.compile(
    r"\.(mp4|mov|m4v|avi|mpe?g|mkv|webm|wmv|ts|m2ts|vob|gif|dcm|dicom|ima|nii|nii\.gz|nrrd|mha|mhd)$",
    re.IGNORECASE,
)
TRAILING_NUMBER = re.compile(r"[\s_\-]*(frame)?[\s_\-]*\d+$", re.IGNORECASE)
NUMBER = "#"  # begins an id that keeps groups apart and names no clip
MOST_NAMED = 10  # clips in a message

Names = frozenset[str]


@dataclass(frozen=True)
class ClipNames:
    """Names of a clip, and of the other clips of its cohort, all plain (`plain_name`).

    label: for messages. shared: names of the clip that others have, too, its patient's for example.
    """

    own: Names
    others: Names
    label: str
    shared: Names = frozenset()


def plain_name(text: str) -> str:
    """A name without the suffix of a clip, case, kind of separators, and words that name no clip (`P01 frames`)."""
    name = re.sub(r"[\s_\-]+", "_", VIDEO_SUFFIX.sub("", text.strip())).strip("_").casefold()
    words = [word for word in name.split("_") if word not in PLAIN]
    # What is left must be more than a number: `sweep_1` and `video_1` are two names.
    return "_".join(words) if any(letter.isalpha() for word in words for letter in word) else name


def name_clip(sweep: str, patient: str, source: str, others: Iterable[tuple[str, str, str]]) -> ClipNames:
    """Names that tell one clip of a cohort from the others.

    Args:
        sweep, patient, source: ids of the clip, and its path as the table has it. others: the same of the other clips.
    """
    others = list(others)
    elsewhere = frozenset().union(*(_names(*other) for other in others)) if others else frozenset()
    own = _names(sweep, patient, source)
    # A name that several clips share (the patient's, a folder's) tells none of them; a sweep's own id does, unless another
    # differs from it by case or separators alone.
    unique = {plain_name(sweep)} - {plain_name(other) for other, _, _ in others}
    return ClipNames((own - elsewhere) | unique, elsewhere - unique, source, own & elsewhere)


def list_mentioned(text: str, clip: ClipNames | None) -> tuple[str, ...]:
    """Clips of the cohort that a path mentions somewhere: its folders, or the file as a whole or up to a number.

    For paths of somebody's disk, whose other folders name no clip. The clip's own name counts before those of others.
    """
    if clip is None:
        return ()
    parts = text.replace("\\", "/").split("/")
    stem = parts[-1].split(".")[0]
    names = {plain_name(part) for part in (*parts, stem, TRAILING_NUMBER.sub("", stem))}
    own = names & clip.own
    return tuple(sorted(own or (names & clip.others) - clip.shared))


def split_name(text: str) -> tuple[str, ...]:
    """Parts of a path or a prefix that may name a clip, plain and without those that name none."""
    parts = (plain_name(part) for part in text.replace("\\", "/").split("/"))
    return tuple(part for part in parts if part and part not in PLAIN and part not in (".", ".."))


def choose_group(
    groups: Mapping[tuple[str, ...], str], clip: ClipNames | None, file: Path
) -> tuple[str, ...]:
    """The group of annotated images that belongs to the clip.

    Args:
        groups: names of each group, with how to show it. clip: None where nothing is known of it.

    Raises:
        InputError: where the annotation names another clip, or several and none or more than one of them is this.
    """
    matching = [] if clip is None else [names for names in groups if _belongs(names, clip)]
    if len(groups) == 1:
        (only,) = groups
        if clip is None or matching or all(name.startswith(NUMBER) for name in only):
            return only
        raise _refuse(file, f"annotations of {groups[only]}", groups, clip)
    # Images that name no clip beside some that do may be of any of them.
    if len(matching) == 1 and () not in groups:
        return matching[0]
    raise _refuse(file, f"annotations of {len(groups)} clips: {_list(groups.values())}", groups, clip)


def _belongs(names: tuple[str, ...], clip: ClipNames) -> bool:
    return any(name in clip.own for name in names) and not any(name in clip.others for name in names)


def _names(sweep: str, patient: str, source: str) -> Names:
    return frozenset({plain_name(sweep), plain_name(patient), *split_name(source)}) - {""}


def _list(names: Iterable[str]) -> str:
    shown = sorted(repr(name) for name in names)
    more = f" and {len(shown) - MOST_NAMED} more" if len(shown) > MOST_NAMED else ""
    return ", ".join(shown[:MOST_NAMED]) + more


def _refuse(
    file: Path, found: str, groups: Mapping[tuple[str, ...], str], clip: ClipNames | None
) -> InputError:
    if clip is None:
        expected, remedy = (
            "annotations of one clip",
            "export each clip's annotations into a file or folder of its own",
        )
    else:
        known = ", ".join(sorted(clip.own))
        expected = f"annotations that name {clip.label} (as folder, prefix, task or video: {known}), or no clip at all"
        remedy = (
            "name the right file in cohort.csv, or rename the folder, prefix, task or video in the annotation after "
            "the clip; `uscl-med3d inspect` shows what a file holds"
        )
    return InputError(file=file, found=found[:400], expected=expected, remedy=remedy)
