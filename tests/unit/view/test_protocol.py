"""The protocol, spoken by its real client: every mask that the client pastes together is the segmenter's own."""

from __future__ import annotations

import os
import threading
import time
from importlib import metadata
from pathlib import Path

import httpx
import numpy as np
import pytest
from packaging.specifiers import SpecifierSet

from uscl_med3d.user.segmenter import Segmenter
from uscl_med3d.view.server import bind, make_protocol_app, running

remote = pytest.importorskip("nnInteractive.inference.remote", reason="no nninteractive-client")
Client = remote.nnInteractiveRemoteInferenceSession
KEY = "a key for tests"


@pytest.fixture
def serve():
    """Start a server for a segmenter: its address."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(segmenter, sessions=3):
            listener = bind("127.0.0.1", 0)
            app, protocol, _ = make_protocol_app(segmenter, listener, "127.0.0.1", KEY, sessions)
            stack.enter_context(running(app, listener))
            start.protocol = protocol
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield start


@pytest.fixture
def connect(serve):
    """A client with an image and a buffer."""
    clients = []

    def open(segmenter, clip, spacing=(1.0, 1.0, 1.0), **options):
        client = Client(serve(segmenter), api_key=KEY, **options)
        clients.append(client)
        load(client, clip, spacing)
        return client

    yield open
    for client in clients:
        client.close()


def load(client, clip, spacing=(1.0, 1.0, 1.0), dtype=np.uint8):
    client.set_image(clip[None], {"spacing": list(spacing)})
    client.set_target_buffer(np.zeros(clip.shape, dtype))
    client.set_do_autozoom(True)


def expected(segmenter, clip, clicks, spacing=None):
    """The mask that the library gives for clicks (frame, row, column, label)."""
    alone = Segmenter(segmenter.choice, segmenter.method)
    alone.encode(clip, spacing)
    for z, y, x, label in clicks:
        alone.click((x, y, z), label)
    return alone.mask()


CLICKS = [(12, 30, 40, 1), (10, 34, 44, 1), (12, 40, 40, 0), (14, 26, 36, 1)]


@pytest.mark.skipif("CLIENT_WANTED" not in os.environ, reason="no version was asked for (make test-clients)")
def test_the_client_is_the_version_that_was_asked_for():
    """Else two runs against two versions could be two runs against one."""
    wanted = SpecifierSet(os.environ["CLIENT_WANTED"])
    assert metadata.version("nninteractive-client") in wanted
    assert Path(remote.__file__).is_relative_to(Path(os.environ["PYTHONPATH"].split(os.pathsep)[0]).resolve())


def test_clicks_undo_and_reset_give_the_masks_of_the_library(connect, network, clip):
    client = connect(network, clip)
    masks = [client.target_buffer.copy()]
    for number, (z, y, x, label) in enumerate(CLICKS, 1):
        client.add_point_interaction([z, y, x], bool(label))
        np.testing.assert_array_equal(client.target_buffer, expected(network, clip, CLICKS[:number]))
        masks.append(client.target_buffer.copy())
    assert any(mask.any() for mask in masks) and not all(np.array_equal(masks[1], mask) for mask in masks[1:])
    for mask in masks[-2::-1]:
        assert client.undo()
        np.testing.assert_array_equal(client.target_buffer, mask)
    assert not client.undo()
    client.add_point_interaction([12, 30, 40], True)
    client.reset_interactions()
    assert not client.target_buffer.any()
    client.add_point_interaction([12.0, 30.0, 40.0], True)  # napari sends floats
    np.testing.assert_array_equal(client.target_buffer, masks[1])


def test_what_is_clicked_is_marked_there(connect, ball, clip):
    client = connect(ball, clip)
    for point in ((4, 20, 30), (18, 50, 60)):
        client.reset_interactions()
        box = client.add_point_interaction(point, True)
        centre = np.argwhere(client.target_buffer).mean(0)
        np.testing.assert_allclose(centre, point, atol=2)
        assert all(low <= at < high for at, (low, high) in zip(point, box, strict=True))


def test_capabilities_grey_out_what_is_missing(connect, ball, clip):
    client = connect(ball, clip)
    assert client.supported_interactions == {
        "points": True,
        "bbox2d": True,
        "bbox3d": True,
        "scribble": False,
        "lasso": False,
    }
    assert (
        client.supports_undo
        and client.supports_initial_label
        and len(client.preferred_scribble_thickness) == 3
    )
    assert client.ping() and client.original_image_shape == (1, *clip.shape)
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        client.add_lasso_interaction(clip, True)


@pytest.mark.parametrize("spacing", [(2.0, 0.9, 0.6), (-2.0, -0.9, -0.6)])
def test_spacing_is_used_and_its_sign_is_not(spacing, connect, ball, clip):
    client = connect(ball, clip, spacing)
    client.add_point_interaction([12, 30, 40], True)
    np.testing.assert_array_equal(client.target_buffer, expected(ball, clip, [(12, 30, 40, 1)], (0.9, 0.6)))
    assert (client.target_buffer != expected(ball, clip, [(12, 30, 40, 1)])).any()


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64, np.uint16, bool])
def test_any_type_of_number_is_an_image(dtype, connect, ball, clip):
    client = connect(ball, (clip > 60) if dtype is bool else clip.astype(dtype))
    client.add_point_interaction([12, 30, 40], True)
    assert client.target_buffer.any()


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.int32])
def test_any_buffer(dtype, connect, ball, clip):
    client = connect(ball, clip)
    load(client, clip, dtype=dtype)
    client.add_point_interaction([12, 30, 40], True)
    assert client.target_buffer.dtype == dtype and client.target_buffer.sum() > 50


def test_boxes_flat_reversed_and_beyond_the_image(connect, ball, clip):
    client = connect(ball, clip)
    client.add_bbox_interaction([[10, 11], [20, 36], [30, 50]], True)
    np.testing.assert_allclose(np.argwhere(client.target_buffer).mean(0), (10, 27.5, 39.5), atol=2)
    flat = client.target_buffer.copy()
    client.reset_interactions()
    client.add_bbox_interaction([[11.0, 10.0], [36.0, 20.0], [50.0, 30.0]], True)
    np.testing.assert_array_equal(client.target_buffer, flat)
    client.reset_interactions()
    client.add_bbox_interaction([[18.4, 25.0], [44.0, 65.0], [50.0, 68.0]], True)
    assert client.target_buffer.any()
    before = client.target_buffer.sum()
    client.add_bbox_interaction([[19, 24], [52, 56], [56, 60]], False)
    assert client.target_buffer.sum() < before


@pytest.mark.skipif(not hasattr(Client, "_predict"), reason="clients before 2.6.0 cannot ask for it")
def test_prompts_without_prediction_are_predicted_together(connect, network, clip):
    client = connect(network, clip)
    for z, y, x, label in CLICKS:
        assert client.add_point_interaction([z, y, x], bool(label), run_prediction=False) is None
    assert not client.target_buffer.any()
    client._predict()
    np.testing.assert_array_equal(client.target_buffer, expected(network, clip, CLICKS))


def test_going_back_to_an_object_brings_its_prompts_back(connect, network, clip):
    client = connect(network, clip)
    for z, y, x, label in CLICKS[:2]:
        client.add_point_interaction([z, y, x], bool(label))
    first = client.target_buffer.copy()
    client.reset_interactions()  # the next object
    client.add_point_interaction([5, 50, 20], True)
    client.reset_interactions()  # and back
    client.add_initial_seg_interaction(first)
    np.testing.assert_array_equal(client.target_buffer, first)
    client.add_point_interaction(CLICKS[2][:3], False)
    np.testing.assert_array_equal(client.target_buffer, expected(network, clip, CLICKS[:3]))


def test_a_drawn_mask_is_corrected_and_undo_brings_it_back(connect, network, clip):
    drawn = np.zeros(clip.shape, np.uint8)
    drawn[4:20, 20:50, 20:60] = 1
    client = connect(network, clip)
    client.add_point_interaction([12, 30, 40], True)
    client.add_initial_seg_interaction(drawn)
    np.testing.assert_array_equal(client.target_buffer, drawn)
    client.add_point_interaction([12, 30, 40], False)
    corrected = client.target_buffer.copy()
    assert (corrected != drawn).any()
    assert client.undo()
    np.testing.assert_array_equal(client.target_buffer, drawn)
    assert not client.undo()
    np.testing.assert_array_equal(client.target_buffer, drawn)


def test_bad_prompts_are_400_with_a_reason_and_nothing_is_lost(connect, ball, clip):
    client = connect(ball, clip)
    client.add_point_interaction([12, 30, 40], True)
    mask = client.target_buffer.copy()
    bad = [
        ("/add_point_interaction", {"coordinates": [99, 30, 40], "include_interaction": True}, "frame"),
        ("/add_point_interaction", {"coordinates": [12, 30, 2], "include_interaction": True}, "image region"),
        ("/add_point_interaction", {"coordinates": [12, 30], "include_interaction": True}, "coordinates"),
        (
            "/add_point_interaction",
            {"coordinates": [12, 30, "x"], "include_interaction": True},
            "coordinates",
        ),
        (
            "/add_bbox_interaction",
            {"bbox_coords": [[0, 24], [4, 64], [10, 70]], "include_interaction": True},
            "more than",
        ),
        (
            "/add_bbox_interaction",
            {"bbox_coords": [[0, 1], [4, 9]], "include_interaction": True},
            "bbox_coords",
        ),
        ("/set_target_buffer", {"shape": [1, 2, 3], "dtype": "uint8"}, "shape"),
        ("/set_target_buffer", {"shape": list(clip.shape), "dtype": "object"}, "object"),
        ("/add_point_interaction", [], ""),
    ]
    for path, body, reason in bad:
        answer = client._http.post(path, json=body)
        assert answer.status_code == 400 and reason in answer.json()["detail"], (path, answer.text)
    infinite = client._http.post(
        "/add_point_interaction",
        content='{"coordinates": [NaN, 30, 40], "include_interaction": false}',
        headers={"content-type": "application/json"},
    )
    assert infinite.status_code == 400
    client.add_point_interaction([12, 34, 44], True)
    assert client.undo()
    np.testing.assert_array_equal(client.target_buffer, mask)


def test_a_background_click_outside_the_image_region_is_a_step_without_effect(connect, ball, clip):
    client = connect(ball, clip)
    client.add_point_interaction([12, 30, 40], True)
    mask = client.target_buffer.copy()
    client.add_point_interaction([12, 30, 2], False)
    np.testing.assert_array_equal(client.target_buffer, mask)
    assert client.undo()
    np.testing.assert_array_equal(client.target_buffer, mask)
    assert client.undo() and not client.target_buffer.any()


def test_nothing_before_an_image(serve, ball):
    client = Client(serve(ball), api_key=KEY)
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        client.add_point_interaction([1, 2, 3], True)
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        client.set_image(np.full((1, 4, 40, 40), np.nan, np.float32))
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        client.set_image(np.zeros((2, 4, 40, 40), np.uint8))
    client.close()


def test_clients_do_not_see_each_other_and_a_full_server_says_so(serve, ball, clip):
    address = serve(ball, sessions=2)
    one, two = Client(address, api_key=KEY), Client(address, api_key=KEY)
    load(one, clip)
    load(two, clip[::-1].copy())
    one.add_point_interaction([4, 20, 30], True)
    two.add_point_interaction([18, 50, 60], True)
    assert not (one.target_buffer.astype(bool) & two.target_buffer.astype(bool)).any()
    with pytest.raises(remote.ServerAtCapacityError):
        Client(address, api_key=KEY)
    two.close()
    Client(address, api_key=KEY).close()
    one.close()


def test_a_lost_client_frees_its_session(serve, ball, monkeypatch):
    address = serve(ball, sessions=1)
    lost = Client(address, api_key=KEY)
    lost._stop_heartbeat.set()  # as if killed: no heartbeat, no release
    now = serve.protocol.leases._clock
    serve.protocol.leases._clock = lambda: now() + 61
    other = Client(address, api_key=KEY)
    with pytest.raises(remote.SessionExpiredError):
        lost.undo()
    other.close()


def test_heartbeats_are_answered_while_the_network_computes(connect, ball, clip):
    entered, go_on = threading.Event(), threading.Event()

    class Slow:
        def __getattr__(self, name):
            return getattr(ball.method, name)

        def click(self, *arguments):
            entered.set()
            go_on.wait(20)
            return ball.method.click(*arguments)

    slow = Segmenter(ball.choice, Slow())
    client = connect(slow, clip)
    thread = threading.Thread(target=client.add_point_interaction, args=([12, 30, 40], True))
    thread.start()
    assert entered.wait(20)
    with httpx.Client(base_url=client._http.base_url, headers=client._http.headers) as second:
        started = time.monotonic()
        for _ in range(5):
            assert second.post("/heartbeat").status_code == 200
        assert time.monotonic() - started < 5
    assert thread.is_alive()
    go_on.set()
    thread.join()
    assert client.target_buffer.any()
