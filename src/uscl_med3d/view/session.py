"""Work on one input: prompts with undo and redo without limit, and what each step changed in the mask."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from uscl_med3d.user.segmenter import Prompt, Segmenter
from uscl_med3d.user.upsample import Box, bounds, join, slices, unshift

Kind = Literal["click", "box", "mask"]
MOST_STEPS = 10_000
"""Of one history; far beyond any use, so that a runaway client cannot fill the memory."""


@dataclass(frozen=True)
class Step:
    """One thing a user did.

    Attributes:
        name: of the object.
        numbers: click (x, y, z, label), box (x0, y0, z0, x1, y1, z1), in voxels of the input; nothing for a mask.
    """

    kind: Kind
    name: str
    numbers: tuple[float, ...]
    prompt: Prompt


@dataclass(frozen=True)
class Change:
    """The part of the label map that may differ from before: box, and labels uint8 (frames, rows, columns) in it."""

    box: Box
    labels: np.ndarray


@dataclass
class _Shown:
    """What the other side has: label value, extent and prompts of each object."""

    extents: dict[str, tuple[int, Box | None]] = field(default_factory=dict)
    prompts: dict[str, tuple[Prompt, ...]] = field(default_factory=dict)


class Session:
    """Prompts on the input that a segmenter holds.

    Steps are taken at once, the mask is computed in `change`: several steps between two calls cost one prediction.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self.segmenter = segmenter
        self._history: list[tuple[Step, ...]] = [()]
        self._at = 0
        self._shown = _Shown()
        self._known: dict[str, tuple[Step, ...]] = {}
        self._apply()

    # ------------------------------------------------------------------------------------------ steps
    @property
    def steps(self) -> tuple[Step, ...]:
        """What counts at present, in order."""
        return self._history[self._at]

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back."""
        return self._at + 1 < len(self._history)

    def click(self, point: Sequence[float], label: int, name: str) -> None:
        """Add a click at (x, y, z) of the input; 1 object, 0 background. Raises `ValueError` outside the image region."""
        if label == 0 and name not in self.segmenter.objects:  # it waits for the object's first click
            prompt = Prompt(name, ((*self.segmenter.place(point), 0),))
        else:
            prompt = self._try(lambda: self.segmenter.click(point, label, name))
        self._add(Step("click", name, (*map(float, point), float(label)), prompt))

    def skip(self, point: Sequence[float], name: str) -> None:
        """A background click where there is nothing but background: it counts as a step and changes nothing."""
        self._add(Step("click", name, (*map(float, point), 0.0), Prompt(name, ())))

    def box(self, corners: Sequence[float], name: str) -> None:
        """Add a box (x0, y0, z0, x1, y1, z1), first and last voxel. Raises `ValueError` as `Segmenter.box`."""
        prompt = self._try(lambda: self.segmenter.box(corners, name))
        self._add(Step("box", name, tuple(map(float, corners)), prompt))

    def start_from(self, mask: np.ndarray, name: str) -> None:
        """Take a mask (frames, rows, columns) as what an object is so far. Raises `ValueError` for another shape."""
        prompt = self._try(lambda: self.segmenter.start_from(mask, name))
        self._add(Step("mask", name, (), prompt))

    def remove(self, name: str) -> None:
        """Forget all prompts of an object; `undo` brings them back."""
        self._push(tuple(step for step in self.steps if step.name != name))

    def rename(self, name: str, new: str) -> None:
        """Give an object another name. Raises `ValueError` where that is taken."""
        if any(step.name == new for step in self.steps):
            raise ValueError(f"there is an object {new!r} already")

        def renamed(step: Step) -> Step:
            if step.name != name:
                return step
            prompt = Prompt(new, step.prompt.clicks, step.prompt.mask)
            return Step(step.kind, new, step.numbers, prompt)

        self._push(tuple(renamed(step) for step in self.steps))

    def undo(self) -> bool:
        """Take back the last step; False where there is none."""
        return self._move(-1) if self.can_undo else False

    def redo(self) -> bool:
        """Take the step again that was taken back last; False where there is none."""
        return self._move(1) if self.can_redo else False

    def restart(self, steps: Sequence[Step] = ()) -> None:
        """A new history that begins with these steps."""
        self._history, self._at = [tuple(steps)], 0
        self._apply()

    # ------------------------------------------------------------------------------------------ masks
    def change(self) -> Change | None:
        """What the steps since the last call changed in the label map; None where nothing can differ."""
        now = self._look()
        touched = [name for name in {**self._shown.extents, **now.extents} if self._differs(name, now)]
        boxes = [
            known[name][1]
            for known in (self._shown.extents, now.extents)
            for name in touched
            if name in known
        ]
        self._shown = now
        box = join(boxes)
        return None if box is None else Change(box, self.labels(box))

    def labels(self, part: Box | None = None) -> np.ndarray:
        """The label map uint8 of the whole input, or of a part of it; all zero without an object."""
        if not self.segmenter.objects:
            frames, rows, columns = self.segmenter.source.frames.shape
            box = part or ((0, frames), (0, rows), (0, columns))
            return np.zeros([end - first for first, end in box], np.uint8)
        return self.segmenter.mask(part=part)

    def quality(self, name: str) -> float | None:
        """The model's own estimate of the IoU of an object's mask; None without clicks."""
        return self.segmenter.quality(name) if name in self.segmenter.objects else None

    # ------------------------------------------------------------------------------------------ own masks come back
    def remember(self) -> None:
        """Note which steps led to the present mask, for the case that it comes back (`recall`)."""
        if self.steps:
            mark = self._fingerprint(self._present_part())
            if mark is not None:
                self._known[mark] = self.steps

    def recall(self, mask: np.ndarray) -> tuple[Step, ...] | None:
        """The steps that led to a mask (frames, rows, columns) of this session; None for any other mask."""
        box = bounds(mask != 0)
        if box is None:
            return None
        return self._known.get(self._fingerprint((box, mask[slices(box)] != 0)) or "")

    def _present_part(self) -> tuple[Box, np.ndarray] | None:
        box = join([self.segmenter.extent(name) for name in self.segmenter.objects])
        if box is None:
            return None
        labels = self.labels(box) != 0
        tight = bounds(labels)
        if tight is None:
            return None
        return unshift(tight, box), labels[slices(tight)]

    @staticmethod
    def _fingerprint(part: tuple[Box, np.ndarray] | None) -> str | None:
        if part is None:
            return None
        box, mask = part
        return hashlib.sha256(repr(box).encode() + np.packbits(mask).tobytes()).hexdigest()

    # ------------------------------------------------------------------------------------------ inside
    def _try(self, prompt: Callable[[], None]) -> Prompt:
        """What the segmenter makes of a prompt, after which it is as before."""
        before = self.segmenter.prompts
        try:
            prompt()
            return self.segmenter.prompts[-1]
        finally:
            self.segmenter.prompts = before

    def _add(self, step: Step) -> None:
        self._push((*self.steps, step))

    def _push(self, steps: tuple[Step, ...]) -> None:
        if self._at + 1 >= MOST_STEPS:
            raise ValueError(f"{MOST_STEPS} steps were taken: start a new session")
        del self._history[self._at + 1 :]
        self._history.append(steps)
        self._move(1)

    def _move(self, by: int) -> bool:
        self._at += by
        self._apply()
        return True

    def _apply(self) -> None:
        self.segmenter.prompts = in_order(self.steps)

    def _look(self) -> _Shown:
        objects = self.segmenter.objects
        extents = {name: (value, self.segmenter.extent(name)) for name, value in objects.items()}
        all_prompts = self.segmenter.prompts
        prompts = {name: tuple(each for each in all_prompts if each.object == name) for name in objects}
        return _Shown(extents, prompts)

    def _differs(self, name: str, now: _Shown) -> bool:
        before = self._shown
        value = before.extents.get(name, (0, None))[0] != now.extents.get(name, (0, None))[0]
        return value or before.prompts.get(name) != now.prompts.get(name)


def in_order(steps: Sequence[Step]) -> tuple[Prompt, ...]:
    """Prompts as a segmenter takes them: background clicks before an object's first other prompt come right after it."""
    prompts: list[Prompt] = []
    begun: set[str] = set()
    waiting: dict[str, list[Prompt]] = {}
    for step in steps:
        only_background = bool(step.prompt.clicks) and all(click[3] == 0 for click in step.prompt.clicks)
        nothing = not step.prompt.clicks and step.prompt.mask is None
        if step.name not in begun and (only_background or nothing):
            waiting.setdefault(step.name, []).append(step.prompt)
            continue
        prompts.append(step.prompt)
        if step.name not in begun:
            begun.add(step.name)
            prompts += waiting.pop(step.name, [])
    return tuple(prompts)
