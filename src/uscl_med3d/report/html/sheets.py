"""What was understood of each clip of a user's own: facts, assumptions, problems, and the contact sheet."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from uscl_med3d.core.io import read_json
from uscl_med3d.core.reporting import SHEETS
from uscl_med3d.report.html.page import HINT, fold, image, paragraph
from uscl_med3d.report.words import count

MOST_SHOWN = 24
"""Sheets inside the page; it grows by a quarter of a megabyte with each. The others are files beside it."""
INTRO = (
    "Each sheet shows frames of the clip as they were read, the image region (grey line) and the key frames with their "
    "contours. Look at every one: do the contours lie on their organs, is the picture the right way round, is the region "
    "that of the image? What is in red was assumed, or is wrong."
)


def sheets(job: Any, inputs: Any) -> str:
    """The sheets, those with problems first; then what else was understood of each sweep, in words."""
    folder = Path(inputs.sheets_dir)
    found = sorted(read_json(folder / SHEETS), key=lambda one: (not one["errors"], not one["key_frames"]))
    parts = [paragraph(INTRO), _count(found)]
    drawn = [one for one in found if one["contact_sheet"]]
    parts += [_one(one, folder, drawn.index(one) < MOST_SHOWN if one in drawn else False) for one in found]
    return "".join(parts)


def _count(found: list[dict[str, Any]]) -> str:
    bad = [one["name"] for one in found if one["errors"]]
    plain = sum(not one["key_frames"] for one in found)
    text = f"{count(len(found), 'sweep')}, {len(found) - plain} with key frames."
    if bad:
        text += f" Something is wrong with {', '.join(bad)}."
    return paragraph(text, "note bad" if bad else "muted")


def _one(one: dict[str, Any], folder: Path, shown: bool) -> str:
    name = str(one["name"])
    problems = "".join(
        paragraph(f"{error['found']} ({error['file']}): {error['remedy']}", "note bad")
        for error in one["errors"]
    )
    title = f'<h3 id="sheet-{escape(name)}">{escape(name)}</h3>{problems}'
    if one["contact_sheet"] is None:
        return title
    if not shown:
        path = f"{folder.name}/{one['contact_sheet']}"
        return f'{title}<p class="muted">Its sheet: <a href="{escape(path)}">{escape(path)}</a></p>'
    picture = image(folder / one["contact_sheet"], f"contact sheet of {name}")
    return f'{title}<figure>{HINT}<div class="scroll" tabindex="0">{picture}</div></figure>{_words(one)}'


def _words(one: dict[str, Any]) -> str:
    lines = [f"{key}: {value}" for key, value in one["facts"].items()]
    lines += [f"assumed: {text}" for text in one["assumed"]]
    for frame, classes in one["key_frames"].items():
        labels = (
            ", ".join(f"{name} {pixels} px" for name, pixels in classes.items()) or "nothing of any class"
        )
        lines.append(f"key frame {frame}: {labels}")
    return fold("in words", f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>")
