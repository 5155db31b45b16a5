"""What each official checkpoint is fed: input size, resize rule, normalisation, prompts. The facts of its card.

`tests/unit/predict/test_official_cards.py` feeds a picture or a volume through our path and through these facts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class OfficialCard:
    """One checkpoint family.

    Attributes:
        input_size: of the network, in voxels or pixels of a released file.
        axes: of an input, in the network's order.
        resize: how a file's voxels or pixels come onto the network's grid, and masks back.
        normalisation: of intensities, after the resize.
        prompts: order of coordinates, which clicks a pass gets, what of the pass before is fed back.
        source: where these facts were read.
    """

    input_size: tuple[int, ...]
    axes: str
    resize: str
    normalisation: str
    prompts: str
    source: str


_SAM_MED3D = OfficialCard(
    input_size=(128, 128, 128),
    axes="(x, y, z) = (right, anterior, superior)",
    resize="1.5 mm along all axes, linear, same centre, size rounded down, whole-number types cut towards zero; closest "
    "canonical orientation; window of 128 round the first click or the label's box, zeros where it sticks out; masks "
    "back by the nearest voxel",
    normalisation="z-score by mean and sample deviation of the window's voxels above zero, applied to all; no clamp, "
    "no 8 bits",
    prompts="(x, y, z) of the window; all clicks so far; logits of the pass before, zeros in the first",
    source="uni-medical/SAM-Med3D@f3de1fa10da9:utils/infer_utils.py",
)
_SAM = OfficialCard(
    input_size=(1024, 1024),
    axes="(row, column), RGB",
    resize="longer side to the input's side, bilinear with antialiasing in 8 bits; zeros right and below, after the "
    "normalisation; masks back bilinearly",
    normalisation="mean 123.675, 116.28, 103.53 and deviation 58.395, 57.12, 57.375 of R, G, B in 0..255",
    prompts="(x, y) of the resized picture; all clicks; three masks after the first click, the best by predicted IoU",
    source="facebookresearch/segment-anything@dca509fe793f:segment_anything/utils/transforms.py, modeling/sam.py",
)

CARDS: dict[str, OfficialCard] = {
    "sam_med3d": _SAM_MED3D,
    "fastsam3d": replace(
        _SAM_MED3D,
        prompts="(x, y, z) of the window; the newest click only; logits of the pass before, zeros in the first",
        source="arcadelab/FastSAM3D@226dfb5cdc80:validation_student.py",
    ),
    "sam": _SAM,
    "mobile_sam": replace(
        _SAM,
        prompts="as SAM",
        source="ChaoningZhang/MobileSAM@34bbbfdface3:mobile_sam/utils/transforms.py, modeling/sam.py",
    ),
    "tinysam": replace(
        _SAM,
        prompts="as SAM, but always three masks, the best by predicted IoU",
        source="xinghaochen/TinySAM@11589bc1d98c:tinysam/modeling/mask_decoder.py",
    ),
    "sam_med2d": OfficialCard(
        input_size=(256, 256),
        axes="(row, column), BGR",
        resize="to the square by the nearest pixel, aspect not kept; pictures smaller than it on both sides are padded "
        "with zeros around, after the normalisation; masks back bilinearly",
        normalisation="mean 123.675, 116.28, 103.53 and deviation 58.395, 57.12, 57.375 on B, G, R as they lie, in 0..255",
        prompts="(x, y) of the square; all clicks; always three masks, the best by predicted IoU; its sigmoid is fed back",
        source="OpenGVLab/SAM-Med2D@bfd2b93b1158:DataLoader.py, utils.py",
    ),
    "seggpt": OfficialCard(
        input_size=(448, 448),
        axes="(row, column), RGB",
        resize="to the square, bicubic with antialiasing, aspect not kept; masks by the nearest pixel",
        normalisation="0..1, then mean 0.485, 0.456, 0.406 and deviation 0.229, 0.224, 0.225 of R, G, B",
        prompts="annotated frames above the target on one canvas; several by feature ensemble",
        source="huggingface/transformers: models/seggpt",
    ),
}
"""By the base model's key in `foundation` of params.yaml."""


def describe_card(model: str, preprocessing: str) -> dict[str, Any]:
    """What a weights file's JSON says of how it is fed; the steps only where they are the official ones.

    model: key of `CARDS`; of another name no steps are known.
    """
    card = CARDS.get(model) if preprocessing == "official" else None
    return {"preprocessing": preprocessing, **({} if card is None else {"official": asdict(card)})}
