"""Where the probe is put on the body: heading and place, searched for until every structure is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uscl_med3d.core.params.simulate import Search, Views
from uscl_med3d.simulate.shapes import rotation

if TYPE_CHECKING:
    from uscl_med3d.simulate.anatomy import Anatomy

SEARCH_GRID = (12, 14, 14)  # frames, depths and columns at which a view is judged


@dataclass(frozen=True)
class View:
    """The image plane's heading about the skin's normal in degrees, and the probe's place (x, z) in millimetres."""

    heading_deg: float
    place_mm: tuple[float, float]

    def place(self, positions: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions (f, 3) and rotations (f, 3, 3) of the image plane, from the probe's frame to the body's."""
        turn = rotation((0.0, self.heading_deg, 0.0))
        moved = np.stack([(positions * row).sum(axis=1) for row in turn], axis=1)
        moved += (self.place_mm[0], 0.0, self.place_mm[1])
        turned = (turn[None, :, :, None] * rotations[:, None]).sum(axis=2)
        return moved, turned

    def lateral(self, points: np.ndarray) -> np.ndarray:
        """Distance in millimetres from the middle of the probe along its face, of body points (3, n)."""
        along = rotation((0.0, self.heading_deg, 0.0))[:, 0].astype(np.float32)
        x, z = (np.float32(place) for place in self.place_mm)
        return along[0] * (points[0] - x) + along[2] * (points[2] - z)

    def across_ribs(self) -> bool:
        """Whether the image plane crosses the ribs, which run along z, rather than lying in their direction."""
        return bool(abs(np.cos(np.radians(self.heading_deg))) > 0.6)


def draw_view(rng: np.random.Generator, views: Views) -> View:
    """One way to put the probe on."""
    heading = rng.choice(views.headings_deg) + rng.uniform(-views.spread_deg, views.spread_deg)
    x, z = rng.uniform(-views.offset_mm, views.offset_mm, 2)
    return View(float(heading), (float(x), float(z)))


def find_view(
    rng: np.random.Generator,
    anatomy: Anatomy,
    views: Views,
    search: Search,
    targets: tuple[str, ...],
    half_angle_deg: float,
    depth_mm: float,
    length_mm: float,
) -> View:
    """The first view in which each target fills its share of the image, or the best of all tries; the body gets it.

    Args:
        targets: class names. half_angle_deg, depth_mm: of the fan. length_mm: of the sweep.
    """
    frames, rows, columns = SEARCH_GRID
    along = np.zeros((frames, 3))
    along[:, 2] = np.linspace(-0.5, 0.5, frames) * length_mm
    depth, angle = np.meshgrid(
        np.linspace(0.1, 1, rows) * depth_mm, np.radians(np.linspace(-1, 1, columns) * half_angle_deg)
    )
    plane = np.stack([(depth * np.sin(angle)).ravel() * 1.4, depth.ravel(), np.zeros(depth.size)])
    best, most = None, -1.0
    for _ in range(search.tries):
        view = draw_view(rng, views)
        positions, rotations = view.place(along, np.broadcast_to(np.eye(3), (frames, 3, 3)))
        points = positions.T[:, :, None] + (rotations[0][:, :, None] * plane[None]).sum(axis=1)[:, None]
        anatomy.body.view = view
        seen = find_targets(anatomy, points.reshape(3, -1).astype(np.float32))
        share = min(float((seen == name).mean()) for name in targets)
        if share >= search.least_share:
            return view
        if share > most:
            best, most = view, share
    assert best is not None
    anatomy.body.view = best
    return best


def find_targets(anatomy: Anatomy, points: np.ndarray) -> np.ndarray:
    """Name of the class at each of the points (3, n), empty where there is none."""
    found = np.full(points.shape[1], "", dtype="U24")
    for layer in anatomy.layers(points):
        if layer.target is not None:
            found[layer.field > 0] = layer.target
    return found
