"""The shape of a SAMUS network, and the components that its article adds to SAM one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from uscl_med3d.nets.sam.config import PRESETS, SamConfig, VitConfig, split_architecture

COMPONENTS = ("cnn_branch", "cross_branch_attention", "feature_adapters", "position_adapter")
"""What SAMUS adds to SAM, in the order of its article's ablation."""


@dataclass(frozen=True)
class SamusConfig:
    """What SAMUS needs beside the numbers of `SamConfig` and `VitConfig`.

    Attributes:
        patch_kernel: side of a patch in pixels; patches overlap, because it is larger than the stride
            (`VitConfig.patch_size`). The image is first enlarged by `patch_kernel - patch_size` pixels.
        position_grid: side of the table of positions; it is halved until it has the grid's side.
        cnn_widths: channels of the CNN branch before its last convolution, which has those of the tokens.
        feature_adapter_ratio: hidden over outer channels of the feature adapters.
        mlp_adapter_scale, cnn_scale: weights of the adapters beside the MLPs, and of the CNN features that are
            added after the last block.
        components: which of `COMPONENTS` the network has. Attention between the branches needs the CNN branch.
        position_layers: `official`: convolution, channel norm and GELU per halving, as in the released code;
            `article`: the convolution alone, as the article draws it.

    Raises:
        ValueError: for numbers that do not fit together; the message names the fields.
    """

    patch_kernel: int
    position_grid: int
    cnn_widths: tuple[int, ...]
    feature_adapter_ratio: float
    mlp_adapter_scale: float
    cnn_scale: float
    components: tuple[str, ...]
    position_layers: Literal["official", "article"]

    def __post_init__(self) -> None:
        object.__setattr__(self, "cnn_widths", tuple(self.cnn_widths))
        object.__setattr__(self, "components", tuple(self.components))
        unknown = sorted(set(self.components) - set(COMPONENTS))
        if unknown:
            raise ValueError(f"SamusConfig: components must be among {', '.join(COMPONENTS)}, got {unknown}")
        if "cross_branch_attention" in self.components and "cnn_branch" not in self.components:
            raise ValueError("SamusConfig: cross_branch_attention needs the component cnn_branch")
        if self.position_layers not in ("official", "article"):
            raise ValueError(
                f"SamusConfig: position_layers must be official or article, got {self.position_layers!r}"
            )

    def halvings(self, grid: int) -> int:
        """How often the table of positions is halved to reach `grid`."""
        count = (self.position_grid // grid).bit_length() - 1
        if grid << count != self.position_grid:
            raise ValueError(
                f"SamusConfig: position_grid must be grid times a power of two, got {self.position_grid} "
                f"and grid {grid}"
            )
        return count


_FIELDS = tuple(SamusConfig.__dataclass_fields__)


def split_samus(architecture: Mapping[str, Any]) -> tuple[SamConfig, VitConfig, SamusConfig]:
    """The three configurations of one flat description, see `SAMUS`."""
    values = dict(architecture)
    own = SamusConfig(**{name: values.pop(name) for name in _FIELDS})
    sam, vit = split_architecture(values)
    if 2 ** len(own.cnn_widths) != vit.patch_size:
        raise ValueError(
            f"SamusConfig: {len(own.cnn_widths)} cnn_widths halve the image to 1/{2 ** len(own.cnn_widths)}, "
            f"the tokens have a stride of {vit.patch_size}"
        )
    return sam, vit, own


SAMUS: dict[str, Any] = (
    PRESETS["sam_vit_b"]
    | asdict(
        SamusConfig(
            patch_kernel=16,
            position_grid=64,
            cnn_widths=(64, 128, 256),
            feature_adapter_ratio=0.25,
            mlp_adapter_scale=0.5,
            cnn_scale=0.5,
            components=COMPONENTS,
            position_layers="official",
        )
    )
    | {"image_size": 256, "patch_size": 8}
)
"""The official network: ViT-B at 256 x 256 pixels."""
