"""Clips to volumes: who measures, what is left out, and what an interrupted call finds again."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json
from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.selfsupervised.sweeps import SweepImages
from uscl_med3d.user.pretraining import volumes
from uscl_med3d.user.pretraining.clips import find_clips, name_patients
from uscl_med3d.user.pretraining.volumes import choose_measuring, make_volumes, name_sweeps


@pytest.fixture
def make(clips, values, tmp_path):
    settings = Ingest.model_validate(values["ingest"])

    def call(measuring: float = 0.25):
        found = find_clips(clips).clips
        return make_volumes(
            found, name_patients(list(found), None), settings, 3, measuring, tmp_path / "work"
        )

    return call


def test_patients_measure_whole_or_teach_whole(make):
    made = make()
    sweeps = SweepImages(made.folder, made.splits_csv)
    assert len(sweeps.train) + len(sweeps.validation) == 5 and not made.left_out
    teaching = {one.patient for one in made.used if one.teaches}
    assert len(made.measuring) == 1 and teaching and not teaching & made.measuring
    assert len(sweeps.list_patients(sweeps.train)) == len(teaching)
    assert sweeps.load("P01_left_nii_gz").shape == (12, 22, 24)
    assert set(pd.read_csv(made.splits_csv)["split"]) == {"train", "val"}
    assert not make(measuring=0.0).measuring


def test_what_cannot_be_used_is_left_out_with_its_reason(make, clips):
    (clips / "broken.nii.gz").write_bytes(b"no volume")
    (clips / "empty.mp4").write_bytes(b"")
    shutil.copy(clips / "lonely.nii.gz", clips / "zz_again.nii.gz")
    (clips / "secret.nii.gz").write_bytes((clips / "lonely.nii.gz").read_bytes())
    made = make()
    assert set(made.left_out) == {"broken.nii.gz", "empty.mp4", "secret.nii.gz", "zz_again.nii.gz"}
    assert "0 bytes" in made.left_out["empty.mp4"]
    assert made.left_out["zz_again.nii.gz"].startswith("the same bytes as lonely.nii.gz")
    assert len(made.used) == 5


def test_nothing_that_can_be_used_is_an_error(make, clips):
    for path in clips.rglob("*.nii.gz"):
        path.write_bytes(b"no volume")
    with pytest.raises(InputError, match="5 clips, none of which can be used: P01"):
        make()


def test_volumes_that_are_there_are_not_made_again(make, clips, monkeypatch):
    first = make()
    read = []
    inspect = volumes.inspect_sweep
    monkeypatch.setattr(
        volumes, "inspect_sweep", lambda row, *rest: read.append(row.source) or inspect(row, *rest)
    )
    assert make() == first and read == []
    (clips / "lonely.nii.gz").write_bytes((clips / "pat2_a.nii.gz").read_bytes())
    (clips / "pat2_a.nii.gz").unlink()
    assert make() != first and read == ["lonely.nii.gz"]


def test_a_volume_is_that_of_ingest(make, clips, values, tmp_path):
    from types import SimpleNamespace

    from uscl_med3d.data.ingest import ingest

    made = make()
    (clips / "cohort.csv").write_text(
        "patient,sweep,group,view,split,video\np,a,chest,chest,train,P01/left.nii.gz\n"
    )
    job = SimpleNamespace(
        seed=3, classes={"x": 1}, ingest=Ingest.model_validate(values["ingest"] | {"workers": 1})
    )
    ingest(job, clips / "cohort.csv", tmp_path / "volumes", tmp_path / "splits.csv")
    own, usual = (
        folder / "image.nii.gz" for folder in (made.folder / "P01_left_nii_gz", tmp_path / "volumes/a")
    )
    assert own.read_bytes() == usual.read_bytes()
    assert (
        read_json(own.with_name("sidecar.json"))["grid"] == read_json(usual.with_name("sidecar.json"))["grid"]
    )


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(1, 0.2, 0), (2, 0.2, 1), (4, 0.2, 1), (10, 0.2, 2), (2, 0.9, 1)]
)
def test_some_measure_and_never_all(count, share, expected):
    patients = [f"p{number}" for number in range(count)]
    chosen = choose_measuring(patients, share, 3)
    assert len(chosen) == expected and chosen == choose_measuring(patients, share, 3)


def test_names_of_volumes_differ_in_more_than_case():
    found = name_sweeps(["a b.mp4", "a_b.mp4", "A-b.mp4", "a.b.mp4", "."])
    assert len({name.casefold() for name in found.values()}) == 5 and found["."] == "clip"
