"""Crops, sliding crops and user clicks end on the volume's grid."""

from __future__ import annotations

import numpy as np
import torch

from uscl_med3d.predict.crops import CropPrediction, Region, fill_volume
from uscl_med3d.predict.windows import SlidingPrediction


class BallMethod:
    """Marks a cube of three voxels around every click of label 1; records how often it encoded."""

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, crops):
        self.encoded += crops.shape[0]
        return crops

    def click(self, state, points, labels):
        logits = torch.full(state.shape, -1.0)
        for b in range(points.shape[0]):
            for (d, h, w), label in zip(points[b].long().tolist(), labels[b].tolist(), strict=True):
                if label == 1:
                    logits[b, 0, max(d - 1, 0) : d + 2, max(h - 1, 0) : h + 2, max(w - 1, 0) : w + 2] = 1.0
        return logits


def cube(shape, d, h, w):
    mask = np.zeros(shape, np.uint8)
    mask[d - 1 : d + 2, h - 1 : h + 2, w - 1 : w + 2] = 1
    return mask


def test_sliding_encodes_only_crops_with_clicks_and_agrees_where_they_overlap():
    shape, method = (40, 16, 16), BallMethod()
    sliding = SlidingPrediction(method, np.ones(shape), 16, 0.5)
    assert len(sliding.origins) == 4
    region = sliding.predict([(20, 8, 8, 1)])
    assert method.encoded == 2
    np.testing.assert_array_equal(fill_volume(region, shape), cube(shape, 20, 8, 8))
    region = sliding.predict([(20, 8, 8, 1), (38, 3, 3, 1)])
    np.testing.assert_array_equal(fill_volume(region, shape), cube(shape, 20, 8, 8) | cube(shape, 38, 3, 3))


def test_several_volumes_at_once_with_padding_clicks():
    shapes = [(20, 20, 20), (12, 25, 18)]
    prediction = CropPrediction(BallMethod(), [np.ones(s) for s in shapes], [(2, 3, 4), (-2, 9, 1)], 16)
    regions = prediction.predict([[(10, 10, 10, 1), (5, 5, 5, 1)], [(6, 15, 9, 1), None]])
    masks = [fill_volume(region, shape) for region, shape in zip(regions, shapes, strict=True)]
    np.testing.assert_array_equal(masks[0], cube(shapes[0], 10, 10, 10) | cube(shapes[0], 5, 5, 5))
    np.testing.assert_array_equal(masks[1], cube(shapes[1], 6, 15, 9))


def test_padding_of_the_crop_never_reaches_the_volume():
    region = Region((-2, 0, 0), np.ones((8, 8, 8), bool))
    assert fill_volume(region, (4, 10, 8)).sum() == 4 * 8 * 8
