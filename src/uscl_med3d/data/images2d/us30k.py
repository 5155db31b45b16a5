"""US30K's layout: one folder per set, lists of names, and the number of classes of each.

MainPatient/{train,val,test}.txt and MainPatient/class.json; <set>/img/<name>.png and <set>/label/<name>.png. Lines of
train and val are `class/set/name`, lines of test `set/name`.

Source: xianlin7/SAMUS@030ed07cebe4:utils/data_us.py and example_of_required_dataset_format/ (behaviour only).
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from uscl_med3d.core.errors import InputError, InputErrors
from uscl_med3d.data.images2d.base import BINARY_FILE, ImageSet, Item, Split
from uscl_med3d.data.published import need

EXPECTED = (
    "MainPatient/{train,val,test}.txt, MainPatient/class.json, <set>/img/<name>.png, <set>/label/<name>.png"
)
_CAMUS_NAME = re.compile(r"(\d{4})_[24]CH_\d+")


def list_images(folder: Path) -> ImageSet:
    """All listed images. A mask of two classes has any value above 0 as object, others have labels.

    Raises:
        InputError: for lists that name missing files, a set that class.json does not know, a class that its set does
            not have, the same image or patient in two splits. All of them are named.
    """
    lists = need(folder / "MainPatient", EXPECTED)
    counts = _read_classes(need(lists / "class.json", EXPECTED))
    items: dict[tuple[Split, str], Item] = {}
    errors: list[InputError] = []
    found = 0
    for split in ("train", "val", "test"):
        file = lists / f"{split}.txt"
        if not file.is_file():
            continue
        found += 1
        for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
            if not line.strip():
                continue
            try:
                item = _read_line(folder, file, number, line.strip(), split, counts)
                items[split, item.name] = item  # a line per class: one item
            except InputError as error:
                errors.append(error)
    if not found:
        need(lists / "train.txt", EXPECTED)
    errors += _divided(lists, list(items.values()))
    if errors:
        raise InputErrors(errors, file=lists, remedy="correct the lists and files")
    most = max(counts[item.name.split("/")[0]] for item in items.values()) if items else 1
    return ImageSet(
        "us30k",
        tuple(items.values()),
        {f"class_{label}": label for label in range(1, most)},
        "patient where the name says it, else image",
    )


def _read_line(
    folder: Path, file: Path, number: int, line: str, split: Split, counts: dict[str, int]
) -> Item:
    parts = line.split("/")
    wanted = 2 if split == "test" else 3
    if len(parts) != wanted or any(part in ("", ".", "..") for part in parts):
        raise InputError(
            file=file,
            found=f"line {number}: {line!r}",
            expected="set/name" if split == "test" else "class/set/name",
            remedy="correct the line",
        )
    subset, name = parts[-2:]
    if subset not in counts:
        raise InputError(
            file=file,
            found=f"line {number}: the set {subset}, which class.json does not have",
            expected=f"one of {', '.join(sorted(counts))}",
            remedy="correct the line, or add the set to class.json",
        )
    label = int(parts[0]) if split != "test" and parts[0].isdigit() else 1
    if split != "test" and (not parts[0].isdigit() or not 1 <= label < counts[subset]):
        raise InputError(
            file=file,
            found=f"line {number}: class {parts[0]} of {subset}",
            expected=f"a class from 1 to {counts[subset] - 1} (class.json)",
            remedy="correct the line",
        )
    image = need(folder / subset / "img" / f"{name}.png", f"the image of {file.name}, line {number}")
    mask = need(folder / subset / "label" / f"{name}.png", f"the mask of {file.name}, line {number}")
    match = _CAMUS_NAME.fullmatch(name)
    values = {BINARY_FILE: 1} if counts[subset] == 2 else {value: value for value in range(1, counts[subset])}
    group = f"{subset}/{match.group(1) if match else name}"
    return Item(f"{subset}/{name}", group, split, image, (mask,), values)


def _read_classes(file: Path) -> dict[str, int]:
    try:
        return {str(name): int(count) for name, count in json.loads(file.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(
            file=file,
            found=f"not readable ({type(error).__name__})",
            expected='{"set": number of classes with background}',
            remedy="correct the file",
        ) from error


def _divided(lists: Path, items: list[Item]) -> list[InputError]:
    """One error for groups on both sides of a split."""
    splits: dict[str, set[str]] = {}
    for item in items:
        splits.setdefault(item.group, set()).add(item.split)
    divided = sorted(group for group, found in splits.items() if len(found) > 1)
    if not divided:
        return []
    return [
        InputError(
            file=lists,
            found=f"{len(divided)} in more than one list ({', '.join(divided[:3])})",
            expected="every image and every patient in one of train, val and test",
            remedy="move all lines of a patient to one list",
        )
    ]
