"""MedSAM: SAM's network without change, fed differently. One box per image, no mean and deviation.

Sources: bowang-lab/MedSAM@d71e8a1a99ad:train_one_gpu.py, MedSAM_Inference.py, pre_CT_MR.py and
extensions/point_prompt/train_point_prompt.py (behaviour only).
"""

from __future__ import annotations

import random
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.nets.sam.frame import Frame
from uscl_med3d.nets.sam.model import Sam

Behaviour = Literal["official", "sane"]
_EDGES = {"reflect": "mirror", "constant": "grid-constant"}


class MedSamFrame(Frame):
    """Slices are stretched to the square by splines of third order, then scaled to 0..1 by their own range.

    Masks come back as probabilities, which are enlarged to the slice at once; `restore_masks` gives their logits.
    """

    def place_images(self, images: Tensor) -> Tensor:
        placed = [
            min_max(stretch(one.movedim(0, -1).cpu().numpy(), self.image_size, "reflect").astype(np.uint8))
            for one in images.round().clamp(0, 255)
        ]
        return torch.from_numpy(np.stack(placed)).movedim(-1, 1).to(images.device, torch.float32)

    def place_points(self, points: Tensor) -> Tensor:
        scale = points.new_tensor([self.image_size / self.size[1], self.image_size / self.size[0]])
        return points.flip(-1) * scale

    def restore_masks(self, masks: Tensor) -> Tensor:
        return torch.logit(restore_probabilities(masks, self.size), eps=1e-6)


def stretch(image: np.ndarray, side: int, edges: Literal["reflect", "constant"]) -> np.ndarray:
    """(h, w) or (h, w, c) to (side, side, ...) in float64: Gaussian filter, then spline of order 3.

    Args:
        edges: what lies beyond the image: its mirror (inference), or zeros (the training export of CT and MR).
    """
    from scipy.ndimage import gaussian_filter, zoom

    mode = _EDGES[edges]
    values = image.astype(np.float64)
    factors = [length / side for length in image.shape[:2]] + [1.0] * (image.ndim - 2)
    sigma = [max(0.0, (factor - 1) / 2) for factor in factors]
    smooth = gaussian_filter(values, sigma, mode=mode)
    resized = zoom(smooth, [1 / factor for factor in factors], order=3, mode=mode, grid_mode=True)
    return np.clip(resized, values.min(), values.max())


def min_max(image: np.ndarray) -> np.ndarray:
    """The whole array to 0..1, all channels together; float64."""
    values = image.astype(np.float64)
    low, high = values.min(), values.max()
    return (values - low) / max(high - low, 1e-8)


def restore_probabilities(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Low-resolution logits (n, m, s, s) -> probabilities (n, m, h, w); probabilities are interpolated, not logits."""
    return F.interpolate(logits.sigmoid(), size=size, mode="bilinear", align_corners=False)


def medsam_forward(network: Sam, images: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Images (b, 3, s, s) in 0..1, boxes (b, 4) -> low-resolution logits and logits (b, 1, s, s).

    The prompt encoder is frozen.
    """
    embedding = network.image_encoder(images)
    with torch.no_grad():
        sparse, dense = network.prompt_encoder(boxes=boxes)
    low, _ = network.mask_decoder(
        image_embeddings=embedding,
        image_pe=network.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
    )
    return low, F.interpolate(low, size=images.shape[-2:], mode="bilinear", align_corners=False)


def trained_names(network: nn.Module, first_form: bool) -> list[str]:
    """Names of the parameters that are trained: all but the prompt encoder's.

    Args:
        first_form: the mask decoder only, as in the first version of MedSAM, which SAMUS's article compares.
    """
    parts = ("mask_decoder.",) if first_form else ("image_encoder.", "mask_decoder.")
    return [name for name, _ in network.named_parameters() if name.startswith(parts)]


def draw_box(
    labels: np.ndarray, shift: int, chooser: random.Random, clip: Behaviour
) -> tuple[int, tuple[int, int, int, int]]:
    """A label of a map (h, w) and its box (x0, y0, x1, y1), each side moved outwards by 0..shift pixels.

    Args:
        clip: `official` limits the larger sides to width and height, one pixel outside; `sane` to the last pixel.

    Raises:
        ValueError: for a map without labels.
    """
    present = [int(label) for label in np.unique(labels) if label]
    if not present:
        raise ValueError("the label map is empty: there is no object to draw a box around")
    label = chooser.choice(present)
    rows, columns = np.nonzero(labels == label)
    height, width = labels.shape
    beyond = 0 if clip == "official" else 1
    x0 = max(0, int(columns.min()) - chooser.randint(0, shift))
    x1 = min(width - beyond, int(columns.max()) + chooser.randint(0, shift))
    y0 = max(0, int(rows.min()) - chooser.randint(0, shift))
    y1 = min(height - beyond, int(rows.max()) + chooser.randint(0, shift))
    return label, (x0, y0, x1, y1)


def draw_click(mask: np.ndarray, chooser: random.Random, rule: Behaviour) -> tuple[int, int]:
    """A click (x, y) on a mask (h, w).

    Args:
        rule: `official` draws x and y from the object's pixels independently, so that the click can miss the
            object; `sane` draws one of its pixels.
    """
    rows, columns = np.nonzero(mask)
    if not len(rows):
        raise ValueError("the mask is empty: there is no object to click on")
    if rule == "official":
        return int(chooser.choice(list(columns))), int(chooser.choice(list(rows)))
    at = chooser.randrange(len(rows))
    return int(columns[at]), int(rows[at])
