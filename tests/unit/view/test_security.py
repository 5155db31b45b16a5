"""Attacks on a server: other names, other pages, no key, guesses, large bodies, lost clients, and what is logged."""

from __future__ import annotations

import socket
import struct
from contextlib import ExitStack

import httpx
import numpy as np
import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.view import leases as leasing
from uscl_med3d.view.leases import Full, Gone, Leases
from uscl_med3d.view.packing import pack
from uscl_med3d.view.security import Bucket, Rules, check_host, hosts_of
from uscl_med3d.view.server import bind, make_protocol_app, running

KEY = "a key for tests"
RIGHT = {"authorization": f"Bearer {KEY}"}
ACTIONS = [
    ("POST", "/claim"),
    ("GET", "/capabilities"),
    ("POST", "/set_image"),
    ("POST", "/set_target_buffer"),
    ("POST", "/add_point_interaction"),
    ("POST", "/undo"),
    ("POST", "/heartbeat"),
    ("GET", "/lease_status"),
    ("POST", "/release"),
    ("GET", "/no_such_path"),
]

WRONG = [
    {},
    {"authorization": "Bearer"},
    {"authorization": "Bearer wrong"},
    {"authorization": f"Basic {KEY}"},
    {"authorization": KEY},
    {"authorization": f"Bearer {KEY}x"},
    {"x-api-key": KEY},
    {"cookie": f"key={KEY}"},
]
HOSTS = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.0.0.1.evil.example:{port}",
    "localhost.evil.example:{port}",
    "[::1]",
    "0.0.0.0:{port}",
    "",
]


@pytest.fixture
def server(ball):
    """A running server: client without key, and its guard."""
    with ExitStack() as stack:
        listener = bind("127.0.0.1", 0)
        app, protocol, _ = make_protocol_app(ball, listener, "127.0.0.1", KEY, 2)
        stack.enter_context(running(app, listener))
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}"))
        client.guard, client.protocol, client.port = app, protocol, listener.getsockname()[1]
        yield client


def test_loopback_is_the_default_and_elsewhere_needs_a_key_of_the_users_own():
    for host in ("127.0.0.1", "localhost", "::1"):
        check_host(host, None)
    for host in ("0.0.0.0", "192.168.1.7", "::", "example.org", ""):
        for key in (None, "", "short"):
            with pytest.raises(InputError, match="key"):
                check_host(host, key)
        check_host(host, "sixteen letters!")


@pytest.mark.parametrize(("method", "path"), ACTIONS)
def test_nothing_without_the_key(method, path, server):
    server.guard.rules.wrong_keys = Bucket(100, 0)
    for headers in WRONG:
        answer = server.request(method, path, headers=headers)
        assert answer.status_code == 401 and "lease" not in answer.text, headers
    assert server.request(method, f"{path}?key={KEY}").status_code == 401


def test_the_health_check_alone_is_open(server):
    assert server.get("/healthz").json() == {"ok": True}


@pytest.mark.parametrize("host", HOSTS)
def test_a_name_that_was_turned_to_this_computer_gets_nothing(host, server):
    host = host.format(port=server.port)
    for path in ("/healthz", "/capabilities"):
        assert server.get(path, headers={"host": host, **RIGHT}).status_code == 403
    assert server.get("/healthz", headers={"host": f"LOCALHOST:{server.port}"}).status_code == 200


def test_a_missing_or_double_host_gets_nothing(server):
    for lines in ([], [f"Host: 127.0.0.1:{server.port}", "Host: evil.example"]):
        with socket.create_connection(("127.0.0.1", server.port), 5) as raw:
            raw.sendall("\r\n".join(["GET /healthz HTTP/1.1", *lines, "Connection: close", "", ""]).encode())
            assert b" 200 " not in raw.recv(4096).split(b"\r\n")[0]


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "http://localhost"],
)
def test_requests_from_other_pages_are_refused_even_with_the_key(origin, server):
    origin = origin.format(port=server.port)
    assert server.post("/claim", headers={"origin": origin, **RIGHT}).status_code == 403
    for site in ("cross-site", "same-site"):
        assert server.post("/claim", headers={"sec-fetch-site": site, **RIGHT}).status_code == 403
    assert (
        server.post("/claim", headers={"origin": f"http://127.0.0.1:{server.port}", **RIGHT}).status_code
        == 200
    )


def test_no_page_is_allowed_to_read_answers(server):
    preflight = server.options(
        "/claim", headers={"origin": "http://evil.example", "access-control-request-method": "POST"}
    )
    assert preflight.status_code == 403
    for answer in (
        preflight,
        server.get("/capabilities", headers=RIGHT),
        server.get("/capabilities"),
        server.get("/healthz"),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff" and "server" not in answer.headers
        assert answer.headers["x-frame-options"] == "DENY" and answer.headers["cache-control"] == "no-store"


def test_guesses_are_slowed_down_and_the_right_key_is_not(server):
    answers = [
        server.get("/capabilities", headers={"authorization": f"Bearer {n}"}).status_code for n in range(30)
    ]
    assert answers[:10] == [401] * 10 and answers.count(429) >= 15
    assert server.get("/capabilities", headers=RIGHT).status_code == 200


def test_a_flood_of_requests_is_stopped(server):
    server.guard.rules.requests = Bucket(5, 0)
    answers = [server.get("/capabilities", headers=RIGHT) for _ in range(8)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3 and "retry-after" in answers[
        -1
    ].headers


def test_a_key_is_compared_in_constant_time(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "uscl_med3d.view.security.hmac.compare_digest", lambda a, b: seen.append((a, b)) or a == b
    )
    rules = Rules(KEY, frozenset({"h:1"}), frozenset(), {})
    assert rules.check("/x", {"host": "h:1", **RIGHT}) is None and seen == [(KEY.encode(), KEY.encode())]
    assert rules.check("/x", {"host": "h:1", "authorization": "Bearer \u00e9"})[0] == 401


def claim(server):
    return RIGHT | {"x-lease-token": server.post("/claim", headers=RIGHT).json()["lease_token"]}


def test_large_bodies_are_refused_before_they_are_read(server):
    mine = claim(server)
    with socket.create_connection(("127.0.0.1", server.port), 5) as raw:
        head = [
            "POST /set_image HTTP/1.1",
            f"Host: 127.0.0.1:{server.port}",
            f"Authorization: Bearer {KEY}",
            f"X-Lease-Token: {mine['x-lease-token']}",
            f"Content-Length: {1 << 50}",
            "",
            "",
        ]
        raw.sendall("\r\n".join(head).encode())
        assert b" 413 " in raw.recv(4096).split(b"\r\n")[0]
    assert server.post("/undo", headers=mine, content=b"x" * (2 << 20)).status_code == 413

    def in_pieces():
        for _ in range(64):
            yield b"x" * (1 << 16)

    assert server.post("/add_point_interaction", headers=mine, content=in_pieces()).status_code == 413


def test_a_declared_size_is_refused_before_it_is_allocated(server):
    mine = claim(server)
    for shape in ((1, 1 << 20, 1 << 20, 1 << 10), (1, 1 << 60, 1 << 60, 1 << 60)):
        body = struct.pack("<4sBBBB5s4qI", b"NNIA", 1, 1, 4, 5, b"uint8", *shape, 1)
        assert server.post("/set_image", headers=mine, content=body).status_code == 413
    for body in (b"", b"NNIA", pack(np.zeros((1, 4, 40, 40), np.uint8))[:-3], b"\x80\x04cos\nsystem\n"):
        assert server.post("/set_image", headers=mine, content=body).status_code == 400
    assert (
        server.post(
            "/set_image",
            headers=mine | {"x-meta": "{" * 500},
            content=pack(np.zeros((1, 4, 40, 40), np.uint8)),
        ).status_code
        == 400
    )


def test_a_session_is_found_by_its_own_token_alone(server):
    claim(server)
    for token in ("", "x", "0" * 32):
        answer = server.post("/undo", headers=RIGHT | {"x-lease-token": token})
        assert answer.status_code == 410 and "Traceback" not in answer.text


def test_no_path_of_a_request_is_opened(server, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    for path in (
        "/../../etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        f"/{tmp_path}/secret.txt",
        "/static/../server.py",
        "//etc/passwd",
    ):
        answer = server.get(path, headers=RIGHT)
        assert answer.status_code in (400, 404) and "secret" not in answer.text and "root:" not in answer.text


def test_errors_and_logs_say_nothing_of_images(server, capfd, ball, monkeypatch):
    monkeypatch.setattr(ball.method, "embed", None)  # any fault of our own
    mine = claim(server)
    clip = np.random.default_rng(0).integers(30, 90, (6, 64, 80)).astype(np.uint8)
    body = {"x-meta": '{"image_properties": {"spacing": [1, 1, 1], "PatientName": "DOE^JANE"}}'}
    assert server.post("/set_image", headers=mine | body, content=pack(clip[None])).status_code == 200
    answer = server.post(
        "/add_point_interaction", headers=mine, json={"coordinates": [3, 30, 40], "include_interaction": True}
    )
    assert answer.status_code == 500 and answer.text == "Internal Server Error"
    server.get("/capabilities?name=DOE%5EJANE", headers=RIGHT)
    heard = "".join(capfd.readouterr())
    assert "DOE" not in heard and "capabilities" not in heard
    assert server.post("/heartbeat", headers=mine).status_code == 200


def test_leases_of_lost_and_idle_clients_end_but_not_during_work():
    now = [0.0]
    known = Leases(2, make=object, clock=lambda: now[0])
    lost, alive = known.claim(), known.claim()
    with pytest.raises(Full):
        known.claim()
    for _ in range(7):
        now[0] += leasing.LIVENESS_S / 2
        known.find(alive.token, acts=False)
    with pytest.raises(Gone):
        known.find(lost.token, acts=True)
    with alive.lock:
        now[0] += leasing.IDLE_S
        assert known.sweep() == 1
    assert known.sweep() == 0
    known.release(alive.token)
    known.release(None)
    for token in (alive.token, None, "guess"):
        with pytest.raises(Gone):
            known.remaining(token)


def test_names_of_a_server():
    assert hosts_of("127.0.0.1", 5) == {"127.0.0.1:5", "localhost:5", "[::1]:5"}
    assert hosts_of("192.168.1.7", 5) == {"192.168.1.7:5"} and hosts_of("fe80::1", 5) == {"[fe80::1]:5"}
    everywhere = hosts_of("0.0.0.0", 5)
    assert {
        "127.0.0.1:5",
        f"{socket.gethostname().lower()}:5",
    } <= everywhere and "0.0.0.0:5" not in everywhere


def test_a_taken_port_is_one_message():
    taken = bind("127.0.0.1", 0)
    taken.listen()
    with pytest.raises(InputError, match="--port"):
        bind("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(InputError):
        bind("127.0.0.1", 70000)
    taken.close()
