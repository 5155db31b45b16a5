"""What the predictor remembers gives the numbers of a prediction from the start, and saves the work."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uscl_med3d.clicks.crops import common_part, cut, to_crop
from uscl_med3d.methods.base import ClickMethod
from uscl_med3d.methods.sam_med3d import SamMed3DMethod
from uscl_med3d.nets.sam_med3d import SamMed3D, SamMed3DConfig
from uscl_med3d.predict.interactive import MASK_LOGIT, GivenMask, Predictor
from uscl_med3d.user.segmenter import Segmenter

CLICKS = [(6, 16, 16, 1), (5, 14, 18, 1), (6, 22, 16, 0), (4, 16, 12, 1)]


class Counting:
    """A method that counts what it is asked for."""

    place_crop = ClickMethod.place_crop

    def __init__(self, method):
        self.method, self.embedded, self.clicked = method, 0, 0

    def embed(self, crops):
        self.embedded += 1
        return self.method.embed(crops)

    def start(self, embedding):
        return self.method.start(embedding)

    def click(self, state, points, labels):
        self.clicked += 1
        return self.method.click(state, points, labels)


@pytest.fixture
def predictor(here, clips):
    """On a network whose decoder sees its mask prompt: with one channel a layer norm would hide it."""
    segmenter = Segmenter.load()
    segmenter.encode(clips.draw())
    known, job = segmenter._session.predictor, segmenter.choice.job
    torch.manual_seed(0)
    network = SamMed3D(SamMed3DConfig(**job.model.model_dump() | {"mask_channels": 16}))
    method = SamMed3DMethod(network, job.prompts, torch.device("cpu"))
    return Predictor(Counting(method), known.volume, known.size, known.overlap)


def from_the_start(predictor, clicks):
    """Logits of the one crop around the first click, every click decoded anew."""
    (origin,) = predictor.list_crops(clicks)
    method = predictor.method.method
    crop = torch.from_numpy(cut(predictor.volume, origin, predictor.size, fill=0).astype(np.float32))
    points = torch.tensor([[to_crop(click[:3], origin) for click in clicks]]).float()
    labels = torch.tensor([[click[3] for click in clicks]])
    with torch.inference_mode():
        state = method.start(method.embed(crop[None, None]))
        for count in range(1, len(clicks) + 1):
            logits = method.click(state, points[:, :count], labels[:, :count])
    return logits[0, 0].numpy()


def test_every_order_of_clicks_and_undos_gives_the_numbers_from_the_start(predictor):
    (origin,) = predictor.list_crops(CLICKS)
    for count in (1, 2, 3, 4, 2, 3, 1, 4):
        found = predictor.predict(CLICKS[:count])
        expected = from_the_start(predictor, CLICKS[:count])
        inside, outside = common_part(found.shape, origin, expected.shape)
        np.testing.assert_array_equal(found[outside], expected[inside])


def test_a_click_is_decoded_once_and_a_crop_encoded_once(predictor):
    for count in (1, 2, 3, 4):
        predictor.predict(CLICKS[:count])
    assert (predictor.method.embedded, predictor.method.clicked) == (1, 4)
    for count in (3, 2, 1, 2, 3, 4):  # undo, undo, undo, redo ...
        predictor.predict(CLICKS[:count])
    predictor.predict([CLICKS[0], CLICKS[3]])  # another second click
    assert (predictor.method.embedded, predictor.method.clicked) == (1, 5)


def test_forgotten_logits_cost_one_decoding(predictor, monkeypatch):
    monkeypatch.setattr("uscl_med3d.predict.interactive._KEPT_LOGITS", 1)
    first = predictor.predict(CLICKS[:3])
    predictor.predict(CLICKS)
    before = predictor.method.clicked
    np.testing.assert_array_equal(predictor.predict(CLICKS[:3]), first)
    assert predictor.method.clicked == before + 1


def test_the_decoder_starts_from_a_given_mask(predictor):
    logits = np.full(predictor.volume.shape, -MASK_LOGIT, np.float32)
    logits[3:9, 10:22, 10:22] = MASK_LOGIT
    with_mask = predictor.predict(CLICKS[:1], GivenMask(logits))
    assert not np.array_equal(with_mask, predictor.predict(CLICKS[:1]))
    np.testing.assert_array_equal(with_mask, predictor.predict(CLICKS[:1], GivenMask(logits.copy())))
    empty = GivenMask(np.full_like(logits, -MASK_LOGIT))
    assert not np.array_equal(with_mask, predictor.predict(CLICKS[:1], empty))


def test_a_given_mask_is_the_mask_until_a_click_and_stays_where_the_model_does_not_look(here, clips):
    clip = clips.draw(frames=40, height=200, width=200)
    segmenter = Segmenter.load()
    segmenter.encode(clip, spacing_mm=(0.5, 0.5))
    mask = np.zeros(clip.shape, np.uint8)
    mask[3:30, 20:180, 20:150] = 1
    segmenter.start_from(mask)
    np.testing.assert_array_equal(segmenter.mask(), mask)
    assert segmenter.extent("object") == ((3, 30), (20, 180), (20, 150))
    segmenter.click((100, 60, 12), label=0)
    changed = segmenter.mask() != mask
    session = segmenter._session
    (origin,) = session.predictor.list_crops(segmenter._clicks("object"))
    seen = np.zeros(clip.shape, bool)
    seen[tuple(slice(*ends) for ends in session.volume.box_of(origin, session.predictor.size))] = True
    assert changed.any() and not changed[~seen].any()
    segmenter.undo()
    np.testing.assert_array_equal(segmenter.mask(), mask)


def test_a_part_of_the_mask_is_the_mask_of_the_part(here, clips):
    segmenter = Segmenter.load()
    segmenter.encode(clips.draw())
    segmenter.click((40, 32, 12), name="liver")
    segmenter.click((30, 20, 5), name="cyst")
    whole, part = segmenter.mask(), ((3, 17), (10, 40), (22, 61))
    np.testing.assert_array_equal(segmenter.mask(part=part), whole[3:17, 10:40, 22:61])
    for name in ("liver", "cyst"):
        outside = segmenter.mask(name).astype(bool)
        outside[tuple(slice(*ends) for ends in segmenter.extent(name))] = False
        assert not outside.any()
