"""What is missing is put in place on request, and only that."""

from __future__ import annotations

from types import SimpleNamespace

from uscl_med3d.provenance import regenerate as module


def test_missing_files_are_put_in_place_and_others_are_not_touched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = tmp_path / "results/study"
    (results / "params").mkdir(parents=True)
    (results / "params/all.json").write_text("{}")
    (results / "claims.csv").write_text("edited by hand")

    def build(stored, out):
        (out / "figures").mkdir()
        (out / "figures/fig1.png").write_bytes(b"drawn")
        (out / "claims.csv").write_text("as scores say")

    monkeypatch.setattr(module, "_build_all", build)
    monkeypatch.setattr(module, "_Stored", SimpleNamespace(of=lambda scale: None))
    plain = module.regenerate("study")
    assert sorted(plain.different) == ["results/study/claims.csv", "results/study/figures/fig1.png"]
    assert plain.restored == [] and not (results / "figures").exists()
    made = module.regenerate("study", restore=True)
    assert made.restored == ["results/study/figures/fig1.png"] and made.different == [
        "results/study/claims.csv"
    ]
    assert (results / "figures/fig1.png").read_bytes() == b"drawn"
    assert (results / "claims.csv").read_text() == "edited by hand"
    assert module.regenerate("study").same == ["results/study/figures/fig1.png"]
