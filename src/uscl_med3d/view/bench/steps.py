"""Opening, clicks and undo, as the page asks for them: over HTTP, up to the changed part of the mask."""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.user.segmenter import Segmenter
from uscl_med3d.view.bench.cine import Cine
from uscl_med3d.view.bench.rows import Row, measure
from uscl_med3d.view.desk import Desk
from uscl_med3d.view.items import one_file
from uscl_med3d.view.server import bind, make_page_app, running


@dataclass(frozen=True)
class Asked:
    """Wall seconds that are asked of a model's steps; None where nothing is."""

    first: float | None
    further: float | None


@dataclass(frozen=True)
class Answer:
    """What the page gets: the state, and labels uint8 (frames, rows, columns) of the changed box, or nothing."""

    state: dict[str, Any]
    labels: np.ndarray


class Browser:
    """Sends what the page sends, and insists on answers that show work."""

    def __init__(self, http: Any) -> None:
        self._http = http

    def send(self, path: str, content: Any = None) -> Answer:
        """One request. Raises `httpx.HTTPStatusError` for a refusal."""
        answer = self._http.post(path, json=content or {})
        answer.raise_for_status()
        return read_answer(answer.content)

    def click(self, name: str, x: float, y: float, z: float, label: int) -> None:
        """A click; the answer must show the object. Raises `RuntimeError`: a fast nothing is no result."""
        answer = self.send("click", {"name": name, "numbers": [x, y, z, label]})
        values = {each["name"]: each["value"] for each in answer.state["objects"]}
        if not (answer.labels == values[name]).any():
            raise RuntimeError(f"the click on {name} changed nothing")

    def mask(self) -> bytes:
        """The whole mask as it stands."""
        answer = self._http.get("mask")
        answer.raise_for_status()
        return read_answer(answer.content).labels.tobytes()


def read_answer(content: bytes) -> Answer:
    """Of the page's requests: length of a JSON, the JSON, labels of the box."""
    (length,) = struct.unpack_from("<I", content)
    head = json.loads(content[4 : 4 + length])
    labels = np.frombuffer(content, np.uint8, offset=4 + length)
    box = head["box"]
    return Answer(head["state"], labels.reshape([end - first for first, end in box] if box else [0]))


def make_desk(segmenter: Segmenter, file: Path) -> Desk:
    """A desk with one input and no session of before."""
    folder = Path(tempfile.mkdtemp(dir=file.parent))
    items = one_file(file, folder / "mask.nii.gz", None, None, None)
    return Desk(items, segmenter, [], lambda _: segmenter, False)


@contextmanager
def serving(desk: Desk) -> Iterator[tuple[str, str]]:
    """Serve a desk: address and key."""
    listener = bind("127.0.0.1", 0)
    app, key = make_page_app(desk, listener, "127.0.0.1", None)
    with running(app, listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", key


def time_opening(model: str, segmenter: Segmenter, file: Path, repeats: int, asked: float | None) -> Row:
    """Until the page can ask for the picture, the model loaded."""
    step = f"open a cine of {file.stat().st_size / 1e6:.0f} MB"

    def open_file() -> None:
        make_desk(segmenter, file)

    return measure(model, step, [open_file] * repeats, asked)


def time_clicks(
    model: str, segmenter: Segmenter, file: Path, cine: Cine, repeats: int, asked: Asked
) -> list[Row]:
    """Clicks in `repeats` objects, undo and redo, and first clicks where an object was removed.

    Raises:
        RuntimeError: where a click shows nothing, or undo and redo do not bring back the mask of before.
    """
    import httpx

    places, count = cine.places(repeats), segmenter.method.count
    aside = cine.columns * 0.022
    with serving(make_desk(segmenter, file)) as (address, key):
        headers = {"authorization": f"Bearer {key}"}
        with httpx.Client(base_url=f"{address}/api/", headers=headers, timeout=600) as http:
            browser = Browser(http)

            def clicks(word: str, by: float, label: int) -> list[Callable[[], None]]:
                def one(n: int, x: float, y: float, z: float) -> Callable[[], None]:
                    return lambda: browser.click(f"{word} {n}", x + by, y + by, z, label)

                return [one(n, *place) for n, place in enumerate(places)]

            def press(button: str) -> list[Callable[[], None]]:
                return [lambda: void(browser.send(button))] * repeats

            clicks("warm-up", -2 * aside, 1)[0]()  # the libraries' own first use
            browser.send("undo")
            first = measure(model, "first click of an object", clicks("object", 0, 1), asked.first, count)
            halves = [clicks("object", aside, 1), clicks("object", -aside, 0)]
            further = measure(model, "further click", [*halves[0], *halves[1]], asked.further, count)
            before = browser.mask()
            undo = measure(model, "undo", press("undo"), None, count)
            changed = browser.mask()
            redo = measure(model, "redo", press("redo"), None, count)
            if changed == before or browser.mask() != before:
                raise RuntimeError("undo and redo did not bring back the mask of before")
            for n in range(repeats):
                browser.send("remove", {"name": f"object {n}"})
            step = "first click where an object was removed"
            again = measure(model, step, clicks("other", 0, 1), None, count)
    return [first, further, undo, redo, again]


def void(_: Any) -> None:
    """Nothing."""
