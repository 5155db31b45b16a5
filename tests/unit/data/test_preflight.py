"""The check before any work lists everything that is missing, in one message."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from raw_files import SETTINGS, Cohort

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.base_model import Weights
from uscl_med3d.core.params.foundation import BASE_MODELS
from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.data.check import check


def weights(path: str = "train", sha256: str | None = None) -> Weights:
    return Weights(weights=path, sha256=sha256, source="https://example.org/weights")


def job(**changes) -> SimpleNamespace:
    foundation = SimpleNamespace(**{name: changes.pop(name, weights()) for name in BASE_MODELS})
    values = {
        "scale": "mine",
        "cohort": "simulate",
        "general": {"amos": "simulate"},
        "device": "cpu",
        "methods": {},
        "seed": 7,
        "ingest": Ingest(**SETTINGS),
    }
    return SimpleNamespace(**(values | changes), foundation=foundation)


def test_nothing_external_nothing_missing() -> None:
    check(job())


def test_everything_missing_is_listed_at_once(tmp_path: Path, cohort: Cohort) -> None:
    cohort.add("a", reference="truth/a.nii.gz")
    cohort.add("b", key_frames="masks/none")
    (cohort.folder / "videos/a.mp4").unlink()
    (cohort.folder / "masks/none").rename(cohort.folder / "masks/b")
    general = tmp_path / "amos"
    (general / "imagesTr").mkdir(parents=True)
    with pytest.raises(InputError) as caught:
        check(
            job(
                cohort=str(cohort.save()),
                general={
                    "amos": str(general),
                    "brats": str(tmp_path / "brats"),
                    "totalsegmentator": "simulate",
                },
                sam_med3d=weights(str(tmp_path / "external/sam_med3d_turbo.pth"), "ab" * 32),
            )
        )
    message = str(caught.value)
    for part in (
        "external/sam_med3d_turbo.pth",
        "https://example.org/weights",
        "ab" * 32,
        "videos/a.mp4",
        "truth/a.nii.gz",
        "masks/none",
        "line 3",
        "no labelsTr, imagesTs, labelsTs",
        "amos/dataset.json",
        "brats",
        "no such folder",
    ):
        assert part in message, part
    assert "videos/b.mp4" not in message
    assert "7 unusable input(s)" in message


def test_a_whole_cohort_passes(cohort: Cohort) -> None:
    cohort.add("a")
    check(job(cohort=str(cohort.save())))


def test_a_missing_or_unreadable_cohort_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"own_cohort\.md"):
        check(job(cohort=str(tmp_path / "cohort.csv")))
    (tmp_path / "cohort.csv").write_text("patient\n")
    with pytest.raises(InputError, match="missing: sweep"):
        check(job(cohort=str(tmp_path / "cohort.csv")))


def test_a_checkpoint_with_another_sha256(tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    file.write_bytes(b"weights")
    right = hashlib.sha256(b"weights").hexdigest()
    check(job(sam_med3d=weights(str(file), right.upper())))
    check(job(sam_med3d=weights(str(file))))
    with pytest.raises(InputError) as caught:
        check(job(sam_med3d=weights(str(file), "0" * 64)))
    assert right in str(caught.value) and "0" * 64 in str(caught.value)


def test_a_checkpoint_folder_needs_weights_and_config(tmp_path: Path) -> None:
    folder = tmp_path / "seggpt"
    folder.mkdir()
    for name, found in (("model.safetensors", "a folder without model"), ("config.json", "config.json")):
        with pytest.raises(InputError, match=found):
            check(job(seggpt=weights(str(folder))))
        (folder / name).write_bytes(b"weights")
    check(job(seggpt=weights(str(folder), hashlib.sha256(b"weights").hexdigest())))
    with pytest.raises(InputError, match="SHA-256"):
        check(job(seggpt=weights(str(folder), "0" * 64)))


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="device: cpu"):
        check(job(device="cuda"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    check(job(device="cuda"))


def test_sweeps_without_files_are_left_out_if_the_others_are_enough(cohort: Cohort, capsys) -> None:
    for name in "abcdef":
        cohort.add(name, split={"a": "val", "b": "test"}.get(name, "train"))
    (cohort.folder / "videos/c.mp4").unlink()
    leave_out = Ingest(**(SETTINGS | {"bad_sweeps": "leave_out"}))
    check(job(cohort=str(cohort.save()), ingest=leave_out))
    warning = capsys.readouterr().err
    assert "1 of 6 sweeps lack files and will be left out: c" in warning and "videos/c.mp4" in warning
    with pytest.raises(InputError, match=r"videos/c\.mp4"):
        check(job(cohort=str(cohort.save())))
    (cohort.folder / "videos/a.mp4").unlink()
    with pytest.raises(InputError, match="no usable sweep in the split 'val'") as caught:
        check(job(cohort=str(cohort.save()), ingest=leave_out))
    assert "videos/a.mp4" in str(caught.value) and "videos/c.mp4" in str(caught.value)
