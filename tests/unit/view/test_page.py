"""Requests of the page: masks as `segment` writes them, key frames as `ingest` reads them, work that goes on."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import httpx
import nibabel
import numpy as np
import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.annotations import Canvas, read_annotations
from uscl_med3d.user.segmenter import Segmenter
from uscl_med3d.user.upsample import slices
from uscl_med3d.view.page import FILES, STATIC
from uscl_med3d.view.picture import make_picture


class Browser:
    """What the page does with the answers: it pastes."""

    def __init__(self, address, key):
        self.http = httpx.Client(base_url=address, headers={"authorization": f"Bearer {key}"})
        shape = self.http.get("/api/state").json()["shape"]
        self.mask = np.zeros((shape["frames"], shape["rows"], shape["columns"]), np.uint8)

    def send(self, path, content=None):
        answer = self.http.post(f"/api/{path}", json=content or {})
        assert answer.status_code == 200, answer.text
        (length,) = struct.unpack_from("<I", answer.content)
        head = json.loads(answer.content[4 : 4 + length])
        if head["box"] is not None:
            sides = [end - first for first, end in head["box"]]
            self.mask[slices(head["box"])] = np.frombuffer(answer.content[4 + length :], np.uint8).reshape(
                sides
            )
        return head["state"]

    def refused(self, path, content):
        answer = self.http.post(f"/api/{path}", json=content)
        assert 400 <= answer.status_code < 500
        return answer.json()["detail"]


@pytest.fixture
def browser(make_desk, serve_page, ball):
    made = []

    def start(segmenter=ball, **options):
        desk = make_desk(segmenter, **options)
        made.append(Browser(*serve_page(desk)))
        made[-1].desk = desk
        return made[-1]

    yield start
    for each in made:
        each.http.close()


CLICKS = [
    ("liver", 40, 30, 12, 1),
    ("liver", 46, 34, 10, 1),
    ("cyst", 25, 50, 5, 1),
    ("liver", 52, 30, 12, 0),
]


def test_the_saved_mask_has_the_bytes_of_segment(browser, network, tmp_path):
    page = browser(network)
    for name, *numbers in CLICKS:
        page.send("click", {"name": name, "numbers": numbers})
    page.send("undo")
    page.send("redo")
    page.send("box", {"name": "kidney", "numbers": [30, 20, 4, 44, 32, 12]})
    answer = page.http.post("/api/save").json()
    alone = Segmenter(network.choice, network.method)
    alone.encode(tmp_path / "clip.nii.gz")
    for name, x, y, z, label in CLICKS:
        alone.click((x, y, z), label, name)
    alone.box((30, 20, 4, 44, 32, 12), "kidney")
    alone.save(tmp_path / "segment.nii.gz")
    assert (tmp_path / "mask.nii.gz").read_bytes() == (tmp_path / "segment.nii.gz").read_bytes()
    assert (tmp_path / "mask.json").read_bytes() == (tmp_path / "segment.json").read_bytes()
    assert answer["labels"] == {"liver": 3, "cyst": 1, "kidney": 5} and answer["state"]["saved"]
    np.testing.assert_array_equal(
        page.mask, np.asarray(nibabel.load(tmp_path / "mask.nii.gz").dataobj).transpose(2, 1, 0)
    )


def test_steps_are_kept_and_go_on_after_the_server_was_killed(browser, ball, tmp_path, make_desk):
    page = browser()
    for name, *numbers in CLICKS:
        page.send("click", {"name": name, "numbers": numbers})
    page.http.post("/api/looks", json={"looks": [{"name": "liver", "colour": "#123456", "opacity": 0.3}]})
    before = page.mask.copy()
    desk = make_desk(Segmenter(ball.choice, ball.method))  # nothing was said to the first one
    np.testing.assert_array_equal(desk.session.labels(), before)
    state = desk.describe()
    assert state["looks"] == [{"name": "liver", "colour": "#123456", "opacity": 0.3}]
    assert len(state["steps"]) == 4 and state["undo"]
    assert not [note for note in state["notes"] if "done with the model" in note]
    assert desk.session.undo() and desk.session.undo()
    assert set(desk.segmenter.objects) == {"liver"}


def test_work_that_was_done_with_another_model_says_so(browser, ball, make_desk):
    browser().send("click", {"name": "liver", "numbers": [40, 30, 12, 1]})
    choice = replace(ball.choice, name="another")
    desk = make_desk(Segmenter(choice, ball.method))
    assert f"done with the model {ball.choice.name}; another" in desk.describe()["notes"][-1]


def test_a_session_of_another_input_or_a_damaged_one_is_refused(browser, ball, tmp_path, make_desk, clip):
    page = browser()
    page.send("click", {"name": "liver", "numbers": [40, 30, 12, 1]})
    file = tmp_path / "mask.session.json"
    good = file.read_text()
    for bad in (
        good.replace('"input_sha256": "', '"input_sha256": "0'),
        good[:-9],
        good.replace("click", "lick"),
        "{}",
    ):
        file.write_text(bad)
        with pytest.raises(InputError, match="session"):
            make_desk(Segmenter(ball.choice, ball.method))
    assert file.read_text() == "{}"


def test_a_mask_in_a_session_comes_back(ball, make_desk, clip):
    desk = make_desk(ball)
    mask = np.zeros(clip.shape, np.uint8)
    mask[3:15, 20:44, 15:60] = 1
    desk.session.start_from(mask, "liver")
    desk.changed()
    again = make_desk(Segmenter(ball.choice, ball.method))
    np.testing.assert_array_equal(again.session.labels() > 0, mask > 0)


def test_a_key_frame_is_what_ingest_reads(browser, tmp_path, clip):
    page = browser()
    for name, *numbers in (CLICKS[0], ("kidney", 25, 50, 12, 1)):
        page.send("click", {"name": name, "numbers": numbers})
    answer = page.http.post("/api/key_frame", json={"frame": 12})
    assert answer.status_code == 200 and "key_frames" in answer.json()["hint"]
    canvas = Canvas(*clip.shape, {"liver": 3, "kidney": 5})
    read = read_annotations(tmp_path / "clip_key_frames", canvas)
    assert list(read) == [12] and set(np.unique(read[12])) == {0, 3, 5}
    np.testing.assert_array_equal(read[12], page.mask[12])
    assert page.http.post("/api/key_frame", json={"frame": 12}).status_code == 409
    page.send("click", {"name": "liver", "numbers": [46, 34, 12, 1]})
    assert page.http.post("/api/key_frame", json={"frame": 12, "overwrite": True}).status_code == 200
    np.testing.assert_array_equal(read_annotations(tmp_path / "clip_key_frames", canvas)[12], page.mask[12])
    assert "no frame" in page.refused("key_frame", {"frame": 99})
    page.send("click", {"name": "cyst", "numbers": [60, 50, 12, 1]})
    assert (
        "'cyst'" in page.refused("key_frame", {"frame": 11})
        and not (tmp_path / "clip_key_frames/frame_0011.png").exists()
    )


def test_objects_are_renamed_and_removed_and_undo_brings_them_back(browser):
    page = browser()
    for name, *numbers in CLICKS:
        page.send("click", {"name": name, "numbers": numbers})
    before = page.mask.copy()
    state = page.send("rename", {"name": "cyst", "new": "kidney"})
    assert {each["name"]: each["value"] for each in state["objects"]} == {"liver": 3, "kidney": 5}
    assert set(np.unique(page.mask)) == {0, 3, 5}
    assert "already" in page.refused("rename", {"name": "kidney", "new": "liver"})
    page.send("remove", {"name": "liver"})
    assert set(np.unique(page.mask)) == {0, 5}
    page.send("undo")
    page.send("undo")
    np.testing.assert_array_equal(page.mask, before)


def test_another_model_gets_the_same_prompts(browser):
    page = browser()
    for name, *numbers in CLICKS[:2]:
        page.send("click", {"name": name, "numbers": numbers})
    before, page.mask = page.mask, np.zeros_like(page.mask)
    state = page.send("use", {"model": "other"})
    assert state["model"] == "other" and len(state["steps"]) == 2 and state["models"] == ["tiny", "other"]
    np.testing.assert_array_equal(page.mask, before)
    assert "no model" in page.refused("use", {"model": "../../etc/passwd"})
    assert "no input" in page.refused("use", {"index": 7})


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("click", {"name": "liver", "numbers": [0, 30, 12, 1]}),
        ("click", {"name": "liver", "numbers": [40, 30, 12, 3]}),
        ("click", {"name": "liver", "numbers": [40, 30, 12, 1, 1]}),
        ("click", {"name": "a/b", "numbers": [40, 30, 12, 1]}),
        ("click", {"name": "", "numbers": [40, 30, 12, 1]}),
        ("click", {"name": "x" * 65, "numbers": [40, 30, 12, 1]}),
        ("click", {"name": "liver", "numbers": [40, 30, 12, 1], "file": "/etc/passwd"}),
        ("box", {"name": "liver", "numbers": [40, 30, 12, 1]}),
        ("box", {"name": "liver", "numbers": [11, 5, 0, 69, 63, 23]}),
        ("looks", {"looks": [{"name": "liver", "colour": "url(http://evil)", "opacity": 0.5}]}),
        ("save", None),
        ("key_frame", {"frame": 3}),
        ("key_frame", {"frame": 3, "folder": "/tmp"}),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason_and_changes_nothing(path, content, browser, tmp_path):
    page = browser()
    before = sorted(tmp_path.iterdir())
    assert page.refused(path, content)
    state = page.http.get("/api/state").json()
    assert not state["steps"] and not state["undo"] and sorted(tmp_path.iterdir()) == before


def test_the_page_has_files_of_its_own_alone_and_no_key(browser):
    page = browser()
    page.http.headers.pop("authorization")
    assert sorted(FILES) == sorted(file.name for file in STATIC.iterdir() if file.suffix != ".LICENSE")
    for name in ("", *FILES):
        answer = page.http.get(f"/{name}")
        assert answer.status_code == 200 and "Bearer ey" not in answer.text
        if name.split(".")[-1] in ("html", "css") or name in ("app.js", "server.js", "slices.js", "flat.js"):
            assert (
                "http://" not in answer.text and "https://" not in answer.text and "eval(" not in answer.text
            )
    for path in ("state", "picture", "mask"):
        assert page.http.get(f"/api/{path}").status_code == 401
    for path in ("click", "save", "key_frame", "undo"):
        assert page.http.post(f"/api/{path}", json={}).status_code == 401
    for path in ("/../desk.py", "/%2e%2e/desk.py", "/niivue.LICENSE/../../desk.py", "/..%2fdesk.py"):
        assert page.http.get(path).status_code in (401, 404, 429)


def test_the_picture_has_row_0_on_top_and_plain_axes(browser, clip):
    page = browser()
    image = nibabel.Nifti1Image.from_bytes(page.http.get("/api/picture").content)
    assert (
        np.all(np.diag(image.affine) > 0)
        and not (image.affine[:3, :3] - np.diag(np.diag(image.affine)[:3])).any()
    )
    np.testing.assert_array_equal(np.asarray(image.dataobj), clip[:, ::-1].transpose(2, 1, 0))


def test_a_large_input_is_shown_with_fewer_pixels_and_clicked_in_its_own(ball, monkeypatch):
    monkeypatch.setattr("uscl_med3d.view.picture.MOST_VOXELS", 40_000)
    clip = np.random.default_rng(0).integers(30, 120, (24, 64, 80)).astype(np.uint8)
    ball.encode(clip)
    picture = make_picture(ball.source)
    assert picture.step == 2 and picture.grey.shape == (24, 32, 40)
    labels = np.random.default_rng(1).integers(0, 9, clip.shape).astype(np.uint8)
    for box in (((0, 24), (0, 64), (0, 80)), ((3, 9), (5, 20), (7, 8)), ((1, 2), (4, 6), (0, 3))):
        shown, part = picture.cut(box, labels[slices(box)])
        np.testing.assert_array_equal(part, labels[:, ::2, ::2][slices(shown)])
