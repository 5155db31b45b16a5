"""What lies in front of the user of the page: one input of a list, a model, and where results go."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.data.clips import hash_clip
from uscl_med3d.user.segmenter import Segmenter
from uscl_med3d.view.key_frames import Target, write_key_frame
from uscl_med3d.view.picture import Picture, make_picture
from uscl_med3d.view.session import Change, Session
from uscl_med3d.view.session_file import Look, SavedStep, Store, take, take_steps


@dataclass(frozen=True)
class Item:
    """One input.

    Attributes:
        title: for the user. spacing_mm: (row, column), where the file does not say it.
        output: of the mask. session: of the work.
        flagged: frames that a person should look at.
        proposals: masks (frames, rows, columns) by object, that a new session starts from.
    """

    path: Path
    title: str
    spacing_mm: tuple[float, float] | None
    output: Path
    session: Path
    target: Target
    flagged: tuple[int, ...] = ()
    proposals: Callable[[], dict[str, np.ndarray]] | None = None


class Desk:
    """The present input and its session.

    Args:
        items: inputs to step through.
        segmenter: of the first model. models: names of all; `load` makes one.
        whole_frame: do not look for the image region.
    """

    def __init__(
        self,
        items: Sequence[Item],
        segmenter: Segmenter,
        models: Sequence[str],
        load: Callable[[str], Segmenter],
        whole_frame: bool,
    ) -> None:
        self.items, self.segmenter, self._load, self._whole_frame = list(items), segmenter, load, whole_frame
        self.model = segmenter.choice.name
        self.models = [self.model, *(name for name in models if name != self.model)]
        self.open(0)

    def open(self, index: int) -> None:
        """Open an input, with its session where there is one. Raises `InputError`, or `ValueError` for the index."""
        if not 0 <= index < len(self.items):
            raise ValueError(f"there is no input {index}")
        item = self.items[index]
        store = Store(item.session, hash_clip(item.path))
        saved = store.load()
        # The same network in another segmenter: where this fails, what is open stays as it is.
        segmenter = copy.copy(self.segmenter)
        segmenter.encode(item.path, item.spacing_mm, self._whole_frame)
        session = Session(segmenter)
        refused = take_steps(session, saved.steps) if saved else []
        if saved is not None and saved.steps and saved.model != self.model:
            refused.append(
                f"this work was done with the model {saved.model}; {self.model} may draw other masks"
            )
        if saved is None and item.proposals is not None:
            for name, mask in item.proposals().items():
                session.start_from(mask, name)
            session.restart(session.steps)
        self.looks: list[Look] = list(saved.looks) if saved else []
        self.index, self.segmenter, self.session, self._store = index, segmenter, session, store
        self.notes = [*self.segmenter.notes, *refused]
        self.picture: Picture = make_picture(self.segmenter.source)
        self.is_saved = not session.steps

    @property
    def item(self) -> Item:
        """The present input."""
        return self.items[self.index]

    def take(self, step: SavedStep) -> Change | None:
        """Take a step; what it changed. Raises `ValueError`, and all is as before."""
        take(self.session, step)
        try:
            return self.changed()
        except ValueError:
            self.session.undo()
            raise

    def changed(self) -> Change | None:
        """What changed in the mask since the last call; the session file is written."""
        change = self.session.change()
        self.is_saved = False
        self.keep()
        return change

    def keep(self) -> None:
        """Write the session file."""
        self._store.save(self.session.steps, self.looks, self.model)

    def use_model(self, name: str) -> Change | None:
        """Another model for the same prompts. Raises `ValueError` for an unknown one, `InputError` for missing files."""
        if name not in self.models:
            raise ValueError(f"there is no model {name!r}")
        segmenter, steps = self._load(name), self.session.steps
        segmenter.encode(self.item.path, self.item.spacing_mm, self._whole_frame)
        session = Session(segmenter)
        refused = []
        for step in steps:
            try:
                if step.prompt.mask is not None:
                    session.start_from(step.prompt.mask.array, step.name)
                else:
                    take(session, SavedStep(kind=step.kind, name=step.name, numbers=list(step.numbers)))
            except ValueError as error:
                refused.append(f"{step.kind} of {step.name!r}: {error}")
        self.segmenter, self.session, self.model = segmenter, session, name
        self.notes = [*segmenter.notes, *refused]
        return self.changed()

    def save(self) -> dict[str, Any]:
        """Write the mask as `segment` does; what it shows. Raises `ValueError` without an object."""
        if not self.segmenter.objects:
            raise ValueError("nothing to save yet: click on an object first")
        written = self.segmenter.save(self.item.output)
        self.is_saved = True
        self.keep()
        return {"file": str(self.item.output), "labels": written["labels"], "voxels": written["voxels"]}

    def save_key_frame(self, frame: int, overwrite: bool) -> dict[str, Any]:
        """Write one frame as a key frame. Raises `ValueError`, `Exists`."""
        frames, rows, columns = self.segmenter.source.frames.shape
        if not 0 <= frame < frames:
            raise ValueError(f"there is no frame {frame}")
        objects = self.segmenter.objects
        if not objects:
            raise ValueError("nothing to save yet: click on an object first")
        labels = self.session.labels(((frame, frame + 1), (0, rows), (0, columns)))[0]
        path = write_key_frame(self.item.target, frame, labels, objects, self.segmenter.classes, overwrite)
        return {"file": str(path), "hint": self.item.target.hint}

    def describe(self) -> dict[str, Any]:
        """Everything the page shows beside picture and mask."""
        frames, rows, columns = self.segmenter.source.frames.shape
        steps, objects = self.session.steps, self.segmenter.objects
        names = list(dict.fromkeys([*(look.name for look in self.looks), *(step.name for step in steps)]))
        return {
            "title": self.item.title,
            "index": self.index,
            "items": [item.title for item in self.items],
            "shape": {"frames": frames, "rows": rows, "columns": columns},
            "step": self.picture.step,
            "spacing_mm": list(self.picture.spacing_mm),
            "model": self.model,
            "models": self.models,
            "classes": list(self.segmenter.classes),
            "objects": [
                {"name": name, "value": objects.get(name, 0), "quality": self.session.quality(name)}
                for name in names
            ],
            "looks": [look.model_dump() for look in self.looks],
            "steps": [
                {"kind": step.kind, "name": step.name, "numbers": list(step.numbers)} for step in steps
            ],
            "undo": self.session.can_undo,
            "redo": self.session.can_redo,
            "output": str(self.item.output),
            "saved": self.is_saved,
            "key_frames": self.item.target.refused or str(self.item.target.folder),
            "flagged": list(self.item.flagged),
            "notes": self.notes,
        }
