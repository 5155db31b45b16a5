"""Images of a batch that are single frames of sweeps, and their random views; what `images` is for whole sweeps."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from uscl_med3d.core.seeds import rng
from uscl_med3d.nets.intensity import zscore_foreground
from uscl_med3d.selfsupervised.images import Augmentation, ViewDrawer, Views


def draw_frame_view(
    frame: Tensor, options: Augmentation, view: int, size: int, random: np.random.Generator
) -> Tensor:
    """A random view of a frame (h, w), uint8 -> (1, 1, size, size) float32, view 0 or 1.

    As `images.draw_view`, within the frame: crop of a share of the area with the frame's proportions, resize, normalise
    by its own foreground, flip, jitter, blur. The first of the three flips, along the sweep, does not exist here.
    """
    # One draw per decision whether it is used or not: a changed probability does not move later draws.
    share, places = random.uniform(*options.crop_share), random.random(2)
    flips, jittered, blurred = random.random(2), random.random(), random.random()
    factor = 1 + options.contrast * random.uniform(-1, 1)
    shift, sigma = options.brightness * random.uniform(-1, 1), random.uniform(*options.blur_sigma)
    shape = np.asarray(frame.shape)
    side = np.clip(np.round(shape * share**0.5), 1, shape).astype(int)
    top, left = np.floor(places * (shape - side + 1)).astype(int)
    crop = normalise_frames(frame[None, None, top : top + side[0], left : left + side[1]], size)
    pairs = zip((2, 3), flips, options.flip_probability[1:], strict=True)
    if axes := [axis for axis, draw, probability in pairs if draw < probability]:
        crop = crop.flip(axes)
    if jittered < options.jitter_probability:
        crop = crop * factor + shift
    return blur_frames(crop, sigma) if blurred < options.blur_probability[view] else crop


def normalise_frames(frames: Tensor, size: int) -> Tensor:
    """Frames (n, 1, h, w), uint8 -> (n, 1, size, size) float32: resized, then z-scored over their foreground."""
    resized = F.interpolate(
        frames.float(), (size, size), mode="bilinear", align_corners=False, antialias=True
    )
    return zscore_foreground(resized)


def blur_frames(frames: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (n, 1, h, w) by `sigma` pixels; the border is repeated."""
    reach = max(1, round(3 * sigma))
    places = torch.arange(-reach, reach + 1, dtype=frames.dtype, device=frames.device)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(frames, [reach] * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))


class FrameDrawer(ViewDrawer):
    """As `ViewDrawer`; every image is one frame, drawn from all frames of its sweep."""

    def _draw(
        self, chosen: list[tuple[str, str]], patients: list[str], seed: int, name: str, step: int
    ) -> Views:
        views: tuple[list[Tensor], list[Tensor]] = ([], [])
        for place, (_, sweep) in enumerate(chosen):
            volume = self.sweeps.load(sweep).to(self.device)
            which = int(rng(seed, "pretrain", name, step, place, "frame").integers(len(volume)))
            for view, frames in enumerate(views):
                random = rng(seed, "pretrain", name, step, place, view)
                frames.append(draw_frame_view(volume[which], self.options, view, self.size, random))
        owners = torch.tensor([patients.index(patient) for patient, _ in chosen], device=self.device)
        return Views(torch.cat(views[0]), torch.cat(views[1]), owners)
