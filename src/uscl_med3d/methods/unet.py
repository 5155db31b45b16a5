"""A U-Net as nnU-Net configures it: trained on the same pseudo-labels, given no prompt at all.

Patches of the volumes' size, instance normalisation, leaky ReLU, halving by strided convolution, Dice plus
cross-entropy (Isensee et al. 2021). Network and sliding-window inference are MONAI's. It names the classes that it
was trained on and knows no others, so it is scored on ultrasound only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.methods import Takes, WorksOn
from uscl_med3d.core.params.segmentation import SegmentationTraining
from uscl_med3d.core.seeds import derive
from uscl_med3d.methods.base import Card, Weights, WholeMethod, torch_device
from uscl_med3d.nets.intensity import zscore_foreground
from uscl_med3d.nets.tensors import read_tensors, save_tensors

Positive = Annotated[int, Field(ge=1)]


class PatchOptions(Section):
    """What every network that works on patches needs; see params.yaml, `methods.unet.options`."""

    patch: tuple[Positive, Positive, Positive]
    overlap: float = Field(ge=0, lt=1)
    stem: Positive
    learning_rate: float = Field(gt=0)
    training: SegmentationTraining


class UNetOptions(PatchOptions):
    """See params.yaml, `methods.unet.options`."""

    features: tuple[Positive, ...] = Field(min_length=2)


class UNetMethod(WholeMethod):
    """A network that gives every voxel a class: background, then the classes in the order of the parameters.

    Attributes:
        classes: names of the network's output channels from 1 on.
        options: of the method.
    """

    card: ClassVar[Card] = Card(
        paper="Isensee et al., nnU-Net, 2021 (Nature Methods 18:203-211)",
        code="Project-MONAI/MONAI 1.6 (DynUNet)",
        licence="Apache-2.0",
        normalisation="z-score over voxels > 0 of the volume",
    )
    takes: ClassVar[Takes] = "nothing"
    works_on: ClassVar[WorksOn] = "window"
    Options: ClassVar[type[Section]] = UNetOptions
    name: ClassVar[str] = "unet"

    def __init__(
        self, network: nn.Module, classes: Sequence[str], options: PatchOptions, device: torch.device
    ) -> None:
        self.network, self.classes, self.options, self.device = (
            network.to(device),
            tuple(classes),
            options,
            device,
        )
        network.eval()

    @classmethod
    def build_network(cls, options: Any, in_channels: int, out_channels: int) -> nn.Module:
        """A network that keeps the grid; sides are multiples of its coarsest stride."""
        from monai.networks.nets import DynUNet  # importing MONAI takes seconds

        stages = len(options.features)
        return DynUNet(
            spatial_dims=3,
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=[3] * stages,
            strides=[1] + [2] * (stages - 1),
            upsample_kernel_size=[2] * (stages - 1),
            filters=list(options.features),
            norm_name=("INSTANCE", {"affine": True}),
            act_name=("leakyrelu", {"inplace": True, "negative_slope": 0.01}),
            deep_supervision=False,
        )

    @classmethod
    def load(cls, job: Any, weights: Weights) -> Self:
        """See `Method.load`; without trained weights they are random, drawn from the job's seed."""
        if weights.base or weights.start:
            raise ValueError(f"{cls.name} starts from no other weights")
        options = cls.read_options(job)
        voxels = options.stem**3
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(job.seed, cls.name, "start", job.run.training_seed))
            network = cls.build_network(options, voxels, voxels * (1 + len(job.classes)))
        network = network if voxels == 1 else Unshuffled(network, options.stem)
        method = cls(network, list(job.classes), options, torch_device(job.device))
        if weights.trained is not None:
            method.load_trained(read_tensors(weights.trained, method._belongs()))
        return method

    def learning_rate(self) -> float:
        """See `Method.learning_rate`."""
        return self.options.learning_rate

    def segment(
        self,
        volume: np.ndarray,
        key_frames: np.ndarray | None,
        classes: Mapping[str, int],
        frames: Sequence[int] | None,
    ) -> np.ndarray:
        """See `WholeMethod.segment`; key frames are not looked at."""
        channels = self.predict_logits(volume).argmax(0).numpy()
        values = np.array([0, *(classes.get(name, 0) for name in self.classes)], dtype=np.uint8)
        labels = values[channels]
        labels[volume == 0] = 0
        return labels

    def predict_logits(self, volume: np.ndarray) -> Tensor:
        """Raw intensities (d, h, w) -> logits (1 + classes, d, h, w) on the CPU."""
        from monai.inferers import sliding_window_inference

        image, (d, h, w) = pad_to(volume, self.options.patch)
        self.network.eval()
        with torch.inference_mode():
            logits: Any = sliding_window_inference(
                normalise(image).to(self.device),
                self.options.patch,
                1,
                self.network,
                overlap=self.options.overlap,
                mode="gaussian",
            )
        found: Tensor = logits[0, :, d, h, w].cpu()
        return found

    # ------------------------------------------------------------------------------------------ training
    def prepare_training(self) -> list[nn.Parameter]:
        """Train everything."""
        self.network.requires_grad_(True)
        return list(self.network.parameters())

    def trained_state(self) -> dict[str, Tensor]:
        """All weights, each under one name (MONAI's U-Net lists its blocks under several)."""
        return {name: value.detach().to("cpu", copy=True) for name, value in self.network.named_parameters()}

    def load_trained(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Method.load_trained`."""
        parameters = dict(self.network.named_parameters())
        if set(parameters) != set(tensors):
            raise ValueError(f"{self.name} tensors differ: {sorted(set(parameters) ^ set(tensors))[:4]}")
        with torch.no_grad():
            for name, value in parameters.items():
                value.copy_(tensors[name])

    def save(self, path: Path) -> None:
        """Write all weights."""
        save_tensors(path, self.trained_state(), self._belongs())

    def _belongs(self) -> dict[str, str]:
        architecture = self.options.model_dump(mode="json", exclude={"training", "learning_rate", "overlap"})
        return {
            "method": self.name,
            "classes": ",".join(self.classes),
            "architecture": json.dumps(architecture, sort_keys=True),
        }


class Unshuffled(nn.Module):
    """A network that sees blocks of `side` voxels a side as channels, and gives every voxel its own logits.

    Several times faster than full resolution inside, at the price of coarser features.
    """

    def __init__(self, network: nn.Module, side: int) -> None:
        super().__init__()
        self.network, self.side = network, side

    def forward(self, images: Tensor) -> Tensor:
        """(b, 1, d, h, w) -> logits (b, c, d, h, w)."""
        from monai.networks.utils import pixelshuffle, pixelunshuffle

        blocks = self.network(pixelunshuffle(images, 3, self.side))
        return pixelshuffle(blocks, 3, self.side)


def pad_to(volume: np.ndarray, patch: Sequence[int]) -> tuple[np.ndarray, tuple[slice, slice, slice]]:
    """The volume (d, h, w) in the middle of zeros where it is smaller than a patch, and where it lies there."""
    before = [max(side - length, 0) // 2 for side, length in zip(patch, volume.shape, strict=True)]
    shape = [max(side, length) for side, length in zip(patch, volume.shape, strict=True)]
    padded = np.zeros(shape, dtype=volume.dtype)
    d, h, w = (slice(at, at + length) for at, length in zip(before, volume.shape, strict=True))
    padded[d, h, w] = volume
    return padded, (d, h, w)


def normalise(image: np.ndarray) -> Tensor:
    """Raw intensities (d, h, w) -> network input (1, 1, d, h, w)."""
    return zscore_foreground(torch.from_numpy(image.astype(np.float32))[None, None])


METHOD = UNetMethod
