"""Steps, undo and redo of one input, and what each of them changes in the mask."""

from __future__ import annotations

import numpy as np
import pytest

from uscl_med3d.user.upsample import slices
from uscl_med3d.view.session import Session


@pytest.fixture
def session(ball, clip):
    ball.encode(clip)
    return Session(ball)


class Client:
    """Pastes every change, as a viewer does."""

    def __init__(self, session):
        self.session, self.mask = session, np.zeros(session.segmenter.source.frames.shape, np.uint8)

    def paste(self):
        change = self.session.change()
        if change is not None:
            self.mask[slices(change.box)] = change.labels
        np.testing.assert_array_equal(self.mask, self.session.labels())
        return change


def test_what_a_viewer_pasted_is_the_mask_after_any_steps(session):
    client, random = Client(session), np.random.default_rng(1)
    for _ in range(60):
        kind = random.choice(["click", "click", "click", "box", "undo", "redo", "remove"])
        name = str(random.choice(["liver", "cyst", "node"]))
        x, y, z = (int(random.integers(low, high)) for low, high in ((12, 68), (6, 62), (0, 24)))
        if kind == "click":
            session.click((x, y, z), int(random.integers(2)), name)
        elif kind == "box":
            session.box((max(x - 6, 10), max(y - 6, 4), max(z - 3, 0), x, y, z), name)
        elif kind == "remove":
            session.remove(name)
        else:
            getattr(session, kind)()
        client.paste()


def test_undo_and_redo_go_all_the_way(session):
    client = Client(session)
    masks = [client.mask.copy()]
    for x in range(14, 66, 4):
        session.click((x, 30, 12), 1, "object")
        client.paste()
        masks.append(client.mask.copy())
    for mask in masks[-2::-1]:
        assert session.undo()
        client.paste()
        np.testing.assert_array_equal(client.mask, mask)
    assert not session.undo() and session.can_redo
    for mask in masks[1:]:
        assert session.redo()
        client.paste()
        np.testing.assert_array_equal(client.mask, mask)
    assert not session.redo()
    session.undo()
    session.click((20, 50, 5), 1, "object")
    assert not session.can_redo


def test_a_step_changes_only_its_own_object(session):
    client = Client(session)
    session.click((20, 20, 6), 1, "cyst")
    client.paste()
    session.click((60, 50, 18), 1, "node")
    change = client.paste()
    assert change.box[1][0] > 30 and change.box[2][0] > 40
    assert set(np.unique(client.mask)) == {0, 1, 2}


def test_an_object_that_leaves_changes_the_values_of_those_after_it(session):
    client = Client(session)
    session.click((20, 20, 6), 1, "cyst")
    session.click((60, 50, 18), 1, "node")
    client.paste()
    session.remove("cyst")
    client.paste()
    assert set(np.unique(client.mask)) == {0, 1}
    session.rename("node", "liver")
    client.paste()
    assert set(np.unique(client.mask)) == {0, 3}
    with pytest.raises(ValueError, match="already"):
        session.rename("kidney", "liver")


def test_background_first_waits_for_the_object(session):
    client = Client(session)
    session.click((30, 30, 12), 0, "object")
    assert client.paste() is None
    session.click((36, 30, 12), 1, "object")
    client.paste()
    waited = client.mask.copy()
    session.restart()
    session.click((36, 30, 12), 1, "object")
    session.click((30, 30, 12), 0, "object")
    client.paste()
    np.testing.assert_array_equal(client.mask, waited)


def test_a_bad_prompt_leaves_everything_as_it_was(session):
    session.click((40, 30, 12), 1, "object")
    before = session.steps, session.labels()
    for bad in (
        lambda: session.click((0, 30, 12), 1, "object"),
        lambda: session.click((40, 30, 99), 1, "object"),
        lambda: session.click((40, 30, float("nan")), 1, "object"),
        lambda: session.click((1, 2), 1, "object"),
        lambda: session.click((40, 30, 12), 7, "object"),
        lambda: session.box((50, 5, 0, 40, 9, 3), "object"),
        lambda: session.start_from(np.ones((2, 2, 2)), "object"),
    ):
        with pytest.raises(ValueError):
            bad()
    assert session.steps == before[0] and session.can_undo
    np.testing.assert_array_equal(session.labels(), before[1])


def test_an_own_mask_is_known_again_and_another_is_not(session):
    session.click((30, 30, 12), 1, "object")
    session.click((36, 34, 10), 1, "object")
    steps, mask = session.steps, session.labels()
    session.remember()
    session.restart()
    assert not session.labels().any()
    assert session.recall(mask) == steps
    edited = mask.copy()
    edited[tuple(np.argwhere(mask)[0])] = 0
    assert session.recall(edited) is None and session.recall(np.roll(mask, 1, 0)) is None
    assert session.recall(np.zeros_like(mask)) is None
    session.restart(session.recall(mask * 7))
    np.testing.assert_array_equal(session.labels(), mask)


def test_a_history_has_an_end(session, monkeypatch):
    monkeypatch.setattr("uscl_med3d.view.session.MOST_STEPS", 3)
    session.click((30, 30, 12), 1, "object")
    session.click((30, 30, 12), 1, "object")
    with pytest.raises(ValueError, match="new session"):
        session.click((30, 30, 12), 1, "object")
