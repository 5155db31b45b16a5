"""Interactive segmentation of a user's own file: encode once, click, undo, mask."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from uscl_med3d.data.official_grid import GridRule
from uscl_med3d.predict.interactive import MASK_LOGIT, GivenMask, Predictor
from uscl_med3d.user import models
from uscl_med3d.user.grid import WorkingVolume
from uscl_med3d.user.inputs import Source, World, read_source, wrap_array
from uscl_med3d.user.official import OfficialChoice
from uscl_med3d.user.upsample import Box, bounds, find_box, join, overlap, shift, slices

Point = Sequence[float]
Precision = Literal["float32", "bfloat16"]
SweepAxes = Literal["column_row_frame", "frame_row_column"]
DEFAULT_OBJECT = "object"
DEFAULT_SCALE = "phantom"


@dataclass(frozen=True, eq=False)
class StartMask:
    """A mask that an object starts from: bool (frames, rows, columns) of the input, and the same on the working grid."""

    array: np.ndarray
    working: GivenMask


@dataclass(frozen=True)
class Prompt:
    """What one `click`, `box` or `start_from` gave: the object's name, clicks (d, h, w, label) on the working grid."""

    object: str
    clicks: tuple[tuple[int, int, int, int], ...]
    mask: StartMask | None = None


@dataclass
class _Session:
    source: Source
    volume: WorkingVolume
    predictor: Predictor
    prompts: list[Prompt] = field(default_factory=list)
    logits: dict[str, tuple[tuple[Prompt, ...], np.ndarray]] = field(default_factory=dict)


class Segmenter:
    """A trained model for a user's own volumes; no reference mask is needed anywhere.

    >>> segmenter = Segmenter.load()
    >>> segmenter.encode("sweep.mp4")
    >>> segmenter.click((310, 220, 40), name="liver")
    >>> mask = segmenter.mask()

    Coordinates are voxels of the input, (x, y, z) = (column, row, frame), counted from 0; or millimetres in the patient.
    """

    def __init__(
        self, choice: models.Choice, method: Any, device: str = "cpu", precision: Precision = "float32"
    ) -> None:
        self.choice, self.method, self.device, self.precision = choice, method, device, precision
        self._session: _Session | None = None

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        base: str | Path | None = None,
        start: str | Path | None = None,
        scale: str = DEFAULT_SCALE,
        device: str | None = None,
        precision: Precision = "float32",
        model: str | None = None,
    ) -> Segmenter:
        """Load a model.

        Args:
            weights: run id, file or folder of an export; None: the run of `scale` with the best validation Dice
                (`models.choose_best`). Official checkpoints need nothing else: no results, no parameters.
            base: base weights of a checkpoint file that holds only what training changed.
            start: pretrained encoder adapter, where such a file needs it.
            scale: whose results; relative to the current folder.
            device: cpu or cuda; None: that of the run's parameters, or the CPU for official checkpoints.
            precision: of the network; bfloat16 for mixed precision.
            model: which network official weights hold (samus, medsam, ...); alone: one for single pictures.

        Raises:
            InputError: where there is no such model, or a file does not fit.
        """
        base_file, start_file = (Path(each) if each else None for each in (base, start))
        choice = models.choose(weights, base_file, start_file, scale, model)
        if isinstance(choice, OfficialChoice):
            from uscl_med3d.user.official_segmenter import OfficialSegmenter

            return OfficialSegmenter(choice, device or "cpu", precision)
        if device is not None:
            choice = replace(choice, job=choice.job.model_copy(update={"device": device}))
        return cls(choice, models.load_method(choice), choice.job.device, precision)

    def describe(self) -> str:
        """The model in words, with a validation score only where the score is that of these very weights."""
        where = f" of results/{self.choice.scale}" if self.choice.scale else ""
        owned = models.owns_score(self.choice)
        score = f", validation Dice {self.choice.validation_dice:.1f}" if owned else ""
        return f"{self.choice.name}{where}{score}"

    @property
    def classes(self) -> dict[str, int]:
        """Names and label values that the model's run knows; any other name may be segmented, too."""
        return dict(self.choice.job.classes)

    def encode(
        self,
        volume: str | Path | np.ndarray,
        spacing_mm: tuple[float, float] | None = None,
        whole_frame: bool = False,
        sweep_axes: SweepAxes = "column_row_frame",
        grid: GridRule = "centre_floor",
    ) -> None:
        """Take a new input; earlier prompts are forgotten.

        Args:
            volume: path of a video, DICOM file or folder, NIfTI, NRRD or MHA file, or an array (frames, rows, columns).
            spacing_mm: (row, column) pixel size, where the file does not say it or says it wrongly.
            whole_frame: do not look for the fan; for inputs that are cropped already.
            sweep_axes: for official weights and a clip without patient coordinates: its axes that play x, y, z.
            grid: for official weights: how the resampled grid lies (`data.official_grid.Settings`).

        Raises:
            InputError: for an unreadable file. ValueError: for an unusable array or spacing.
        """
        source = read_input(volume, spacing_mm)
        working = WorkingVolume(source, self.choice.ingest, whole_frame)
        job = self.choice.job
        predictor = Predictor(self.method, working.array, job.model.image_size, job.evaluate.sliding_overlap)
        self._session = _Session(source, working, predictor)

    def click(
        self, point: Point, label: int = 1, name: str = DEFAULT_OBJECT, mm: bool | World = False
    ) -> None:
        """Add a click: `label` 1 on the object, 0 beside it. `mm`: True (the file's own convention), "ras" or "lps".

        Raises:
            ValueError: says what is wrong with the click.
        """
        if label not in (0, 1):
            raise ValueError(f"label {label}: 1 is object, 0 is background")
        if label == 0 and not any(prompt.object == name for prompt in self._open.prompts):
            raise ValueError(
                f"the first prompt of {name!r} is a background click: start with a click on the object"
            )
        self._add(Prompt(name, ((*self.place(point, mm), label),)))

    @property
    def frames(self) -> int:
        """Frames of the input; 1 for a picture."""
        return int(self._open.source.frames.shape[0])

    def box(self, corners: Point, name: str = DEFAULT_OBJECT, mm: bool | World = False) -> None:
        """Add a box (x0, y0, z0, x1, y1, z1), first and last voxel.

        The model has no weights for boxes: its middle is clicked as object, its two corners as background (docs/encoder.md).

        Raises:
            ValueError: says what is wrong with the box.
        """
        if len(corners) != 6:
            raise ValueError(f"a box is x0,y0,z0,x1,y1,z1, got {len(corners)} numbers")
        ends = [self._to_voxel(corners[:3], mm), self._to_voxel(corners[3:], mm)]
        first, last = np.minimum(ends[0], ends[1]), np.maximum(ends[0], ends[1])
        if not mm and (np.array(ends[0]) > np.array(ends[1])).any():
            raise ValueError(f"the box starts at {tuple(corners[:3])} behind its end {tuple(corners[3:])}")
        middle = self._index((first + last) / 2)
        outer = [self._index(corner, in_region=False) for corner in (first, last)]
        size = self._side
        extent = [b - a + 1 for a, b in zip(*outer, strict=True)]
        if size and max(extent) > size:
            raise ValueError(
                f"the box spans {extent} voxels of the model's grid, more than the {size} it sees at once: "
                "give clicks in the object's parts instead"
            )
        self._add(Prompt(name, ((*middle, 1), (*outer[0], 0), (*outer[1], 0))))

    def start_from(self, mask: np.ndarray, name: str = DEFAULT_OBJECT) -> None:
        """Take a mask (frames, rows, columns) as what the object is so far; earlier prompts of it no longer count.

        Later clicks correct it: the decoder starts from the mask. Outside the cubes that it sees, the mask stays.

        Raises:
            ValueError: for another shape than the input's.
        """
        volume = self._open.volume
        if mask.shape != volume.shape:
            raise ValueError(f"the mask is {mask.shape}, the input {volume.shape} (frames, rows, columns)")
        array = mask != 0
        start = StartMask(array, GivenMask(volume.from_input(array, -MASK_LOGIT, MASK_LOGIT)))
        self._add(Prompt(name, (), start))

    def undo(self) -> None:
        """Take back the last click, box or mask. Raises `ValueError` where there is none."""
        if not self._open.prompts:
            raise ValueError("there is no click to take back")
        self._open.prompts.pop()

    @property
    def objects(self) -> dict[str, int]:
        """Names of the prompted objects and their label values in `mask`.

        A class of the model keeps its value; other names get the smallest values that no class has, or 1, 2, ... where no
        class takes part.
        """
        names = list(dict.fromkeys(prompt.object for prompt in self._open.prompts))
        known = {name: self.classes[name] for name in names if name in self.classes}
        taken = set(self.classes.values()) if known else set()
        free = (value for value in range(1, 255) if value not in taken)
        return {name: known[name] if name in known else next(free) for name in names}

    def mask(self, name: str | None = None, part: Box | None = None) -> np.ndarray:
        """Label map uint8 (frames, rows, columns) on the input's grid; with `name` that object alone, as 0 and 1.

        part: only these frames, rows and columns, in the time that they need.

        Raises:
            ValueError: before any click.
        """
        session = self._open
        values = self.objects
        if not values or (name is not None and name not in values):
            raise ValueError("no click yet" if name is None else f"no click for {name!r} yet")
        frames, rows, columns = session.volume.shape
        part = part or ((0, frames), (0, rows), (0, columns))
        found = np.zeros([end - first for first, end in part], np.uint8)
        logits = [self._predict(each) for each in values]
        box = join([find_box(each, session.volume.axes) for each in logits])
        common = None if box is None else overlap(box, part)
        if common is not None:
            inside = slices(shift(common, part))
            found[inside] = session.volume.label(logits, common)
        for number, each in enumerate(values, 1):
            self._keep_mask(found, part, each, number)
        if name is not None:
            return (found == 1 + list(values).index(name)).astype(np.uint8)
        return np.array([0, *values.values()], np.uint8)[found]

    def extent(self, name: str) -> Box | None:
        """Frames, rows and columns outside which an object is not; None where it is nowhere."""
        boxes = [find_box(self._predict(name), self._open.volume.axes)]
        start = self._start(name)
        if start is not None and start.array.any():
            boxes.append(bounds(start.array))
        return join(boxes)

    def quality(self, name: str) -> float | None:
        """The model's own estimate of the IoU (0..1) of an object's mask; None where it makes none."""
        clicks, start = self._clicks(name), self._start(name)
        if not clicks:
            return None
        return self._open.predictor.quality(clicks, None if start is None else start.working)

    def save(self, path: str | Path) -> dict[str, Any]:
        """Write `mask()` on the input's grid and header, and a JSON beside it; returns the JSON's content.

        Raises:
            InputError: for an unknown suffix.
        """
        from uscl_med3d.user.save import describe, save_mask

        mask, path = self.mask(), Path(path)
        save_mask(path, mask, self._open.source)
        return describe(path, mask, self.objects, self._open.source, self.choice)

    @property
    def notes(self) -> list[str]:
        """What was assumed so far, for the user to read."""
        source = self._open.source
        notes = [note.text for note in source.notes if note.changes_results]
        if source.pixel_spacing_mm is None:
            notes.append(
                "the input does not say its pixel size; the whole image region is scaled to the model's size "
                "(give --spacing-mm if you know it)"
            )
        return notes

    @property
    def source(self) -> Source:
        """The present input."""
        return self._open.source

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """All prompts in order; setting them takes the work back to where they were read."""
        return tuple(self._open.prompts)

    @prompts.setter
    def prompts(self, given: Sequence[Prompt]) -> None:
        self._open.prompts[:] = given

    @property
    def _open(self) -> _Session:
        if self._session is None:
            raise ValueError("no volume yet: call encode first")
        return self._session

    def _predict(self, name: str) -> np.ndarray:
        """Logits (d, h, w) of an object on the working grid; nothing above zero before its first click."""
        session = self._open
        prompts = tuple(prompt for prompt in session.prompts if prompt.object == name)
        known = session.logits.get(name)
        if known is None or known[0] != prompts:
            clicks, start = self._clicks(name), self._start(name)
            if clicks:
                with self._reduced():
                    logits = session.predictor.predict(clicks, None if start is None else start.working)
            else:
                logits = np.full(session.volume.array.shape, -1, np.float32)
            known = session.logits[name] = (prompts, logits)
        return known[1]

    @property
    def _side(self) -> int:
        """Of the cube that the network sees at once, in voxels of the working grid."""
        return self.choice.job.model.image_size

    def _add(self, prompt: Prompt) -> None:
        self._open.prompts.append(prompt)

    def _reduced(self) -> AbstractContextManager[Any]:
        """The context in which the network runs in the wanted precision."""
        if self.precision == "float32":
            return nullcontext()
        import torch

        return torch.autocast(self.device, torch.bfloat16)

    def _start(self, name: str) -> StartMask | None:
        """The last mask that was given for an object."""
        prompts = [prompt for prompt in self._open.prompts if prompt.object == name]
        return next((prompt.mask for prompt in reversed(prompts) if prompt.mask is not None), None)

    def _clicks(self, name: str) -> list[tuple[int, int, int, int]]:
        """Clicks of an object since its last mask."""
        clicks: list[tuple[int, int, int, int]] = []
        for prompt in self._open.prompts:
            if prompt.object == name:
                clicks = [] if prompt.mask is not None else [*clicks, *prompt.clicks]
        return clicks

    def _keep_mask(self, found: np.ndarray, part: Box, name: str, number: int) -> None:
        """Put a given mask into `found` on background that no cube of its object covers."""
        start = self._start(name)
        if start is None:
            return
        mask = start.array[slices(part)].copy()
        clicks, session = self._clicks(name), self._open
        for origin in session.predictor.list_crops(clicks, start.working) if clicks else []:
            seen = overlap(session.volume.box_of(origin, session.predictor.size), part)
            if seen is not None:
                mask[slices(shift(seen, part))] = False
        found[mask & (found == 0)] = number

    def place(self, point: Point, mm: bool | World = False) -> tuple[int, int, int]:
        """Index (d, h, w) on the model's grid of a point of the input. Raises `ValueError` outside the image region."""
        if len(point) != 3:
            raise ValueError(f"a point is x,y,z, got {len(point)} numbers")
        return self._index(self._to_voxel(point, mm))

    def _to_voxel(self, point: Point, mm: bool | World) -> tuple[float, float, float]:
        x, y, z = (float(value) for value in point)
        if not np.isfinite([x, y, z]).all():
            raise ValueError(f"point {tuple(point)} is not finite")
        return self._open.source.to_voxel((x, y, z), None if mm is True else mm) if mm else (x, y, z)

    def _index(self, voxel: Point | np.ndarray, in_region: bool = True) -> tuple[int, int, int]:
        x, y, z = (float(value) for value in voxel)
        return self._open.volume.index_of((x, y, z), in_region)


def read_input(volume: str | Path | np.ndarray, spacing_mm: tuple[float, float] | None) -> Source:
    """A file or array as an input. Raises `InputError` for the file, `ValueError` for the array or the spacing."""
    if spacing_mm is not None and not all(0 < value < 100 for value in spacing_mm):
        raise ValueError(f"spacing_mm is (row, column) in millimetres, got {tuple(spacing_mm)}")
    return (
        wrap_array(volume, spacing_mm) if isinstance(volume, np.ndarray) else read_source(volume, spacing_mm)
    )
