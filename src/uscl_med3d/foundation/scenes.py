"""Synthetic natural-looking scenes: the training data of the small SegGPT and of the small SAM and its students.

A scene is a stack of overlapping textured shapes in front of a background, seen by a slowly moving camera:
shapes drift, turn, grow, shrink and vanish; light, grain and shadows change from view to view. Nothing here
is a medical image and nothing models how one is made. One object's visible region is the mask that the model
is to follow. Tensors are (b, v, ...) = (scene, view); pixel coordinates are (y, x) in [-1, 1] along the
shorter image side.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from uscl_med3d.core.params.scenes import SceneSettings


@dataclass(frozen=True)
class Views:
    """`images` (b, v, 3, h, w) in 0..1 and `masks` (b, v, h, w) bool of the object to follow."""

    images: Tensor
    masks: Tensor


@dataclass(frozen=True)
class InContextBatch:
    """Targets (b, 3, h, w) with true masks (b, h, w), and k prompts each: images (b, k, 3, h, w), masks (b,
    k, h, w).

    `weights` (b, k) are the prompts' shares in the ensemble: inversely proportional to their distance in
    time.
    """

    target: Tensor
    target_mask: Tensor
    prompt_images: Tensor
    prompt_masks: Tensor
    weights: Tensor

    def to(self, device: str) -> InContextBatch:
        """The same batch on another device."""
        return InContextBatch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def draw_batch(
    generator: torch.Generator,
    count: int,
    size_hw: tuple[int, int],
    prompts: int,
    extrapolation: float,
    settings: SceneSettings,
) -> InContextBatch:
    """In-context examples from `count` new scenes with 1 or 2 prompts each.

    Two prompts: the target lies between them, in a share `extrapolation` of the scenes beyond the second.
    """
    two = prompts == 2
    between = 0.02 + 0.96 * torch.rand(count, generator=generator)
    if two:
        beyond = torch.rand(count, generator=generator) < extrapolation
        target_time = torch.where(beyond, 1 + 0.5 * between, between)
        distance = torch.stack([target_time, (1 - target_time).abs()], dim=1)
    else:
        target_time, distance = 0.7 * between, torch.ones(count, 1)
    times = torch.stack([torch.zeros(count), target_time, torch.ones(count)], dim=1)
    if not two:
        times = times[:, :2]
    views = draw_scenes(generator, times, size_hw, settings)
    views_of_prompts = [0, 2] if two else [0]
    closeness = 1 / distance
    return InContextBatch(
        target=views.images[:, 1],
        target_mask=views.masks[:, 1],
        prompt_images=views.images[:, views_of_prompts],
        prompt_masks=views.masks[:, views_of_prompts],
        weights=closeness / closeness.sum(dim=1, keepdim=True),
    )


@dataclass(frozen=True)
class Pictures:
    """Single views: `images` (b, 3, h, w) in 0..1 and the visible region (b, o, h, w) bool of every object."""

    images: Tensor
    regions: Tensor


def draw_pictures(
    generator: torch.Generator, count: int, size_hw: tuple[int, int], settings: SceneSettings
) -> Pictures:
    """One view each of `count` new scenes; regions may be empty where an object is hidden."""
    draw, still = _Draw(generator, count), torch.zeros(count, 1)
    grid = _pixel_grid(size_hw)
    seen = _move_camera(draw, grid, still, settings)
    level, alpha = _draw_objects(draw, seen, still, still, settings)
    images, open_area = _photograph(draw, _paint(draw, seen, level, alpha, settings), grid, still, settings)
    return Pictures(images=images[:, 0], regions=_find_visible(level, alpha, open_area)[:, 0])


def draw_scenes(
    generator: torch.Generator, times: Tensor, size_hw: tuple[int, int], settings: SceneSettings
) -> Views:
    """Draw one scene per row of `times` (b, v) and render it at each of its times.

    View 0 is the first prompt: the object to follow is visible there or in the last view. Equal generators
    give equal scenes.
    """
    draw = _Draw(generator, times.shape[0])
    grid = _pixel_grid(size_hw)
    moved = times * draw.log_uniform(*settings.pace, 1)
    seen = _move_camera(draw, grid, moved, settings)
    level, alpha = _draw_objects(draw, seen, times, moved, settings)
    images = _paint(draw, seen, level, alpha, settings)
    images, open_area = _photograph(draw, images, grid, times, settings)
    return Views(images=images, masks=_choose_masks(draw, level, alpha, open_area, settings))


class _Draw:
    """Random numbers shaped (b, *shape), all from one generator."""

    def __init__(self, generator: torch.Generator, scenes: int) -> None:
        self.generator, self.scenes = generator, scenes

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(self.scenes, *shape, generator=self.generator)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.scenes, *shape, generator=self.generator)

    def log_uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return torch.exp(
            self.uniform(float(torch.tensor(low).log()), float(torch.tensor(high).log()), *shape)
        )

    def happens(self, probability: float, *shape: int) -> Tensor:
        return (self.uniform(0.0, 1.0, *shape) < probability).float()

    def field(self, channels: int, coarse_hw: tuple[int, int], size_hw: tuple[int, int]) -> Tensor:
        """Smooth random field (b, channels, h, w) with about unit variance at `coarse_hw` nodes."""
        return F.interpolate(self.normal(channels, *coarse_hw), size_hw, mode="bicubic", align_corners=True)


def _pixel_grid(size_hw: tuple[int, int]) -> Tensor:
    """Pixel centres (2, h, w) as (y, x); the shorter side spans [-1, 1]."""
    height, width = size_hw
    short = min(size_hw)
    y = (torch.arange(height) + 0.5 - height / 2) * 2 / short
    x = (torch.arange(width) + 0.5 - width / 2) * 2 / short
    return torch.stack(torch.meshgrid(y, x, indexing="ij"))


def _move_camera(draw: _Draw, grid: Tensor, moved: Tensor, settings: SceneSettings) -> Tensor:
    """Scene coordinates (b, v, 2, h, w) under each pixel: a fixed warp, a drift and a warp that grows with
    time."""
    size_hw = (grid.shape[-2], grid.shape[-1])
    still = draw.field(2, (4, 4), size_hw) * settings.warp
    moving = draw.field(2, (4, 4), size_hw) * settings.warp_motion
    drift = draw.normal(2, 1, 1) * settings.camera_motion
    t = moved[:, :, None, None, None]
    return grid + still[:, None] + t * (moving + drift)[:, None]


def _draw_objects(
    draw: _Draw, seen: Tensor, times: Tensor, moved: Tensor, settings: SceneSettings
) -> tuple[Tensor, Tensor]:
    """Shape functions (b, v, o, h, w), positive inside, and soft coverage 0..1 of each object.

    An object is an irregular blob with a lifetime: like a section through a solid, it shrinks towards both
    ends. `times` (b, v) drives the lifetime, `moved` (b, v) the motion.
    """
    count = settings.objects
    t, moved = times[:, :, None], moved[:, :, None]
    centre = (
        draw.uniform(-1.0, 1.0, 1, count, 2)
        + moved[..., None] * draw.normal(1, count, 2) * settings.object_motion
    )
    turn = draw.uniform(0.0, 6.2832, 1, count) + moved * draw.normal(1, count) * settings.object_turn
    radii = draw.log_uniform(*settings.radius, 1, count, 1) * draw.log_uniform(0.6, 1.7, 1, count, 2)
    middle = draw.uniform(-0.5, 1.5, 1, count)
    lifetime = draw.log_uniform(*settings.lifetime, 1, count)
    scale = (1 - ((t - middle) / lifetime) ** 2).clamp_min(0).sqrt() - (
        ((t - middle) / lifetime).abs() > 1
    ).float()

    offset = seen[:, :, None] - centre[..., None, None]
    cos, sin = torch.cos(turn)[..., None, None], torch.sin(turn)[..., None, None]
    y = (cos * offset[:, :, :, 0] - sin * offset[:, :, :, 1]) / radii[..., 0, None, None]
    x = (sin * offset[:, :, :, 0] + cos * offset[:, :, :, 1]) / radii[..., 1, None, None]
    angle = torch.atan2(y, x)
    outline = torch.ones_like(angle)
    for lobes in (2, 3, 5):
        depth = draw.uniform(0.0, settings.irregularity / lobes, 1, count)[..., None, None]
        outline = outline + depth * torch.cos(
            lobes * angle + draw.uniform(0.0, 6.2832, 1, count)[..., None, None]
        )
    level = (scale[..., None, None] * outline - torch.hypot(y, x)) * radii.mean(-1)[..., None, None]
    softness = draw.log_uniform(*settings.edge_width, 1, count)[..., None, None]
    return level, torch.sigmoid(level / softness)


def _paint(draw: _Draw, seen: Tensor, level: Tensor, alpha: Tensor, settings: SceneSettings) -> Tensor:
    """Composite background and objects, back to front, into (b, v, c, h, w)."""
    count = level.shape[2]
    coarse = _texture(draw, seen, (12, 12))
    fine = _texture(draw, seen, (48, 48))
    base = draw.uniform(0.02, 1.0, 1, count + 1)
    mottle = draw.uniform(0.0, settings.texture, 1, count + 1)
    detail = draw.uniform(0.0, settings.texture, 1, count + 1)
    rim = draw.normal(1, count) * draw.happens(0.4, 1, count) * 0.5
    colourful = draw.happens(settings.colour_fraction, 1, 1, 1)
    tint = 1 + colourful * draw.uniform(-0.4, 0.4, 1, count + 1, 3)

    def surface(index: int) -> Tensor:
        pattern = mottle[..., index, None, None] * coarse + detail[..., index, None, None] * fine
        return base[..., index, None, None] * (1 + pattern)

    image = surface(count)[:, :, None] * tint[:, :, count, :, None, None]
    for index in range(count):
        edge = rim[..., index, None, None] * torch.exp(-((level[:, :, index] / 0.05) ** 2))
        layer = (surface(index) + edge)[:, :, None] * tint[:, :, index, :, None, None]
        cover = alpha[:, :, index, None]
        image = image * (1 - cover) + layer * cover
    return image.clamp(0, 1.5)


def _texture(draw: _Draw, seen: Tensor, nodes_hw: tuple[int, int]) -> Tensor:
    """Random pattern (b, v, h, w) that sticks to the scene while the camera moves."""
    scenes, views, _, height, width = seen.shape
    pattern = draw.normal(1, *nodes_hw)
    where = 0.7 * seen.flip(2).permute(0, 1, 3, 4, 2).reshape(scenes, views * height, width, 2)
    values = F.grid_sample(pattern, where, mode="bilinear", padding_mode="reflection", align_corners=True)
    return values.reshape(scenes, views, height, width)


def _photograph(
    draw: _Draw, images: Tensor, grid: Tensor, times: Tensor, settings: SceneSettings
) -> tuple[Tensor, Tensor]:
    """Light, shadow, blur, grain and an opening in front of the camera; returns images and the open area (b,
    h, w)."""
    views, size_hw = images.shape[1], (images.shape[3], images.shape[4])
    light = (1 + settings.light * draw.field(1, (3, 3), size_hw)[:, None]).clamp(0.1, 2.0)
    images = images * light * (1 + 0.1 * draw.normal(views, 1, 1, 1))
    images = images * _shadow(draw, grid, times, settings)
    blurred = F.avg_pool2d(images.flatten(0, 1), 3, stride=1, padding=1, count_include_pad=False)
    blend = draw.uniform(0.0, 1.0, 1, 1, 1, 1)
    images = images * (1 - blend) + blurred.reshape(images.shape) * blend
    images = images * _grain(draw, views, size_hw, settings)
    images = images.clamp_min(0) ** draw.log_uniform(0.5, 1.6, 1, 1, 1, 1)
    images = images + 0.03 * draw.uniform(0.0, 1.0, 1, 1, 1, 1) * draw.normal(views, 1, *size_hw)
    open_area = _opening(draw, grid, settings)
    return (images * open_area[:, None, None]).clamp(0, 1), open_area > 0.5


def _grain(draw: _Draw, views: int, size_hw: tuple[int, int], settings: SceneSettings) -> Tensor:
    """Multiplicative grain (b, v, 1, h, w), new in every view, with elongated spots in some scenes."""
    noise = draw.normal(views, *size_hw)
    wide = F.avg_pool2d(noise, (1, 3), stride=1, padding=(0, 1)) * 1.7
    large = F.avg_pool2d(noise, 3, stride=1, padding=1) * 3.0
    kind = draw.uniform(0.0, 3.0, 1, 1, 1).floor()
    noise = torch.where(kind == 0, noise, torch.where(kind == 1, wide, large))
    strength = draw.uniform(0.0, settings.grain, 1, 1, 1)
    return (1 + strength * noise).clamp(0.05, 3.0)[:, :, None]


def _shadow(draw: _Draw, grid: Tensor, times: Tensor, settings: SceneSettings) -> Tensor:
    """One soft dark bar per scene (b, v, 1, h, w), of random direction, passing while time runs."""
    direction = draw.uniform(0.0, 6.2832, 1, 1, 1)
    across = torch.cos(direction) * grid[0] + torch.sin(direction) * grid[1]
    place = draw.uniform(-1.0, 1.0, 1, 1, 1) + times[:, :, None, None] * draw.normal(1, 1, 1) * 0.3
    width = draw.log_uniform(0.08, 0.4, 1, 1, 1)
    depth = draw.uniform(0.2, 0.9, 1, 1, 1) * draw.happens(settings.shadow_fraction, 1, 1, 1)
    return (1 - depth * torch.exp(-(((across - place) / width) ** 2)))[:, :, None]


def _opening(draw: _Draw, grid: Tensor, settings: SceneSettings) -> Tensor:
    """Round hole (b, h, w) through which some scenes are seen; 1 inside, 0 outside."""
    centre = draw.uniform(-0.5, 0.5, 2, 1, 1)
    radius = draw.uniform(0.9, 1.5, 1, 1)
    inside = (torch.hypot(grid[0] - centre[:, 0], grid[1] - centre[:, 1]) < radius).float()
    everywhere = 1 - draw.happens(settings.opening_fraction, 1, 1)
    return torch.maximum(inside, everywhere)


def _choose_masks(
    draw: _Draw, level: Tensor, alpha: Tensor, open_area: Tensor, settings: SceneSettings
) -> Tensor:
    """Visible region (b, v, h, w) of one object per scene: any that is big enough in a prompt, else the
    biggest.

    Prompts are the first of two views, or the first and the last of three; the target's mask may be empty.
    """
    visible = _find_visible(level, alpha, open_area)
    area = visible.float().mean(dim=(-2, -1))
    shown = torch.maximum(area[:, 0], area[:, -1]) if area.shape[1] > 2 else area[:, 0]
    fits = ((shown > settings.area[0]) & (shown < settings.area[1])).float()
    preference = fits * (1 + draw.uniform(0.0, 1.0, area.shape[2])) + shown
    chosen = preference.argmax(dim=1)
    return visible[torch.arange(len(chosen)), :, chosen]


def _find_visible(level: Tensor, alpha: Tensor, open_area: Tensor) -> Tensor:
    """Region (b, v, o, h, w) where each object lies in front of all others."""
    hidden = torch.flip(torch.cummax(torch.flip(alpha, [2]), dim=2).values, [2])
    in_front = torch.cat([hidden[:, :, 1:], torch.zeros_like(hidden[:, :, :1])], dim=2)
    return (level > 0) & (in_front < 0.5) & open_area[:, None, None]
