"""docs/own_cohort.md walked through: its commands, its table and its parameters, word for word, on real clips."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from checkout import ROOT, Checkout, copy_repository

pytestmark = pytest.mark.workflow

PAGE = ROOT / "docs/own_cohort.md"
CLIPS = ("us_video_lung_pocus", ("*.mpeg", "*.mp4"))
TINY = """
ingest: {max_side: 40, max_frames: 14, workers: 1}
pretrain: {schedule: {steps: 2, warmup_steps: 1, evaluate_every: 1, resume_every: 1},
           tasks: {vcl: {random_crops: 2, whitening_sweeps: 2, validation_crops: 2}}}
finetune: {steps: 2, batch_size: 1, clicks: 2, warmup_steps: 1, evaluate_every: 1, resume_every: 1, min_target_voxels: 5,
           validation_targets: 1, validation_clicks: 1}
evaluate: {clicks: 2, min_target_voxels: 5, image_use: {points: [1, 2]}, surface_at: []}
pseudolabel: {gate: {min_confidence: 0.0, min_consistency: 0.0, max_frames_outside: 100, min_accepted_fraction: 0.0}}
measure: {methods: [uscl_med3d], alone: false, least_passes: 1, most_passes: 1}
report: {points: [1, 2], n_boot: 100, n_permutations: 199}
figures: {drawn: [fig1, fig6, click_curves]}
"""
"""What the page says that may be changed in one's own parameters: the same walk with a few steps."""
RUN = "snakemake --cores all --configfile my_cohort.yaml"


def read_blocks(language: str) -> list[str]:
    """Fenced blocks of the page in one language, in order."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block for name, block in found if name == language]


def read_commands() -> list[str]:
    """Lines of the page's plain blocks that start a program, in order."""
    lines = [line for block in read_blocks("") for line in block.splitlines()]
    return [line for line in lines if line.startswith(("snakemake ", "uscl-med3d "))]


def command(start: str) -> list[str]:
    """The words of the page's command that starts so; exactly one does."""
    (found,) = [line for line in read_commands() if line.startswith(start)]
    return found.split()


def read_frames() -> list[int]:
    """Key frames that the tree of files at the top of the page has."""
    return [int(number) for number in re.findall(r"frame_(\d+)\.png", read_blocks("")[0])]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Checkout:
    """A checkout with the page's cohort of real clips, up to its first run."""
    folder, patterns = CLIPS
    clips = sorted(path for pattern in patterns for path in (shared / "data/real" / folder).glob(pattern))
    if len(clips) < 5:
        pytest.skip(f"needs five real clips in {folder}")
    from test_own_cohort import write_rough_mask

    checkout = copy_repository(tmp_path_factory.mktemp("page"))
    (table,) = [
        block for block in read_blocks("") if block.startswith("patient,sweep,group,view,split,video")
    ]
    rows = [line.split(",") for line in table.strip().splitlines()[1:]]
    for row, clip in zip(rows, clips, strict=False):
        video, keys = checkout.folder / "my_cohort" / row[5], row[6]
        video.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, video)
        for frame in read_frames() if keys else ():
            write_rough_mask(checkout.folder / "my_cohort" / keys, video, frame)
    (checkout.folder / "my_cohort/cohort.csv").write_text(table)
    (checkout.folder / "my_cohort.yaml").write_text(read_blocks("yaml")[0] + TINY)
    return checkout


@pytest.fixture(scope="module")
def made(walked: Checkout) -> Path:
    """The results of the page's command."""
    walked.run(*RUN.split(), "--quiet", "rules")
    return walked.folder / "results/mine"


def test_every_command_of_the_page_is_walked() -> None:
    """A command that is added to the page needs a step here."""
    starts = (
        "uscl-med3d inspect",
        RUN,
        f"{RUN} -- pseudolabel",
        "uscl-med3d segment",
        "uscl-med3d review",
        "uscl-med3d pretrain-clips",
    )
    found = read_commands()
    assert len(found) == len(starts) and all(
        one.startswith(start) for one, start in zip(found, starts, strict=True)
    )


def test_looking_first_shows_every_clip(walked: Checkout) -> None:
    said = walked.run(*command("uscl-med3d inspect"))
    sheets = {path.stem for path in (walked.folder / "my_cohort/looked_at").glob("*.png")}
    assert sheets == {"P01_right", "P01_left", "P02", "P03", "P04"}
    assert said.count(f"key frame {read_frames()[1]}: pleural_effusion") == 4 and "cannot be used" not in said


def test_the_run_is_one_adapter_and_small(walked: Checkout, made: Path) -> None:
    checkpoints = {path.stem for path in (made / "checkpoints/finetune").glob("*.safetensors")}
    assert checkpoints == {"uscl_med3d_r32_both_vcl"}
    assert len(list((made / "receipts").rglob("*.json"))) < 30
    assert not (walked.folder / "data/general/mine").exists()
    assert json.loads((made / "complete.json").read_text())
    jobs = walked.planned(scale="my_cohort.yaml")
    assert not jobs, jobs


def test_the_report_speaks_of_this_run(made: Path) -> None:
    page = re.sub(
        r"data:image/png;base64,[^\"]*|(?s:<style>.*?</style>)", "", (made / "report.html").read_text()
    )
    assert "pleural" in page and "1 test patient" in page
    results = page.split('id="provenance"')[0].rsplit("<section", 1)[0]
    assert not re.search(r"paper|claim|FastSAM3D|NOT passed|not drawn|spleen|ascites", results)
    assert {f"sheet-{name}" for name in ("P01_right", "P01_left", "P02", "P03", "P04")} <= set(
        re.findall(r'id="([^"]*)"', page)
    )
    assert not (made / "claims.csv").exists() and not (made / "tables/table2.csv").exists()


def test_git_sees_nothing_of_the_patients(walked: Checkout, made: Path) -> None:
    walked.run("git", "init", "--quiet")
    walked.run("git", "add", ".")
    staged = walked.run("git", "diff", "--cached", "--name-only").splitlines()
    assert (
        not [
            name
            for name in staged
            if "my_cohort" in name or "mine/" in name or name == "data/splits/mine.csv"
        ]
        and "params.yaml" in staged
    )


def test_the_adapter_segments_a_clip(walked: Checkout, made: Path) -> None:
    said = walked.run(*command("uscl-med3d segment"), "--allow-empty")
    assert "uscl_med3d_r32_both_vcl" in said and (walked.folder / "mask.nii.gz").is_file()


def test_a_pseudo_label_is_corrected(walked: Checkout, made: Path) -> None:
    """The page's `review`, one frame of it kept, named in the column that the page shows, and made anew."""
    sidecar = json.loads((made / "volumes/P01_right/sidecar.json").read_text())
    taken = {key["index"] for key in sidecar["key_frames"]}
    step = sidecar["grid"]["frame_step"]
    frame = next(number for number in range(max(read_frames())) if int((number + 0.5) / step) not in taken)
    walked.run(*command("uscl-med3d review"), "--frames", str(frame))
    labels = walked.folder / "my_cohort/redrawn/P01_right/labels"
    assert [path.name for path in labels.glob("*.png")] == [f"frame_{frame:04d}.png"]
    (example,) = [block for block in read_blocks("") if "corrections" in block]
    sweep, place = example.splitlines()[1].split(",")[1], example.splitlines()[1].split(",")[-1]
    table = walked.folder / "my_cohort/cohort.csv"
    head, *rows = table.read_text().splitlines()
    changed = [f"{row},{place if row.split(',')[1] == sweep else ''}" for row in rows]
    table.write_text("\n".join([f"{head},corrections", *changed]) + "\n")
    walked.run(*command(f"{RUN} -- pseudolabel"))
    assert "ingest: 1 of 5 sweeps computed, 4 unchanged" in (made / "logs/ingest.log").read_text()
    after = json.loads((made / "volumes/P01_right/sidecar.json").read_text())
    assert {key["frame"]: key["role"] for key in after["key_frames"]}[frame] == "correction"


def test_an_adapter_of_clips_without_labels_is_where_fine_tuning_starts(walked: Checkout, made: Path) -> None:
    """The page's `pretrain-clips` on the clips alone, then the page's parameters: no pretraining, all else anew."""
    said = walked.run(*command("uscl-med3d pretrain-clips"), "--steps", "2", "--overlay", "my_cohort.yaml")
    assert "5 clips of 4 patients" in said and "pretrained: {vcl_r32: my_adapter.safetensors}" in said
    (use,) = [block for block in read_blocks("yaml") if "pretrained" in block]
    (walked.folder / "my_cohort.yaml").write_text(use + TINY)
    before = (made / "receipts/pretrain/vcl_r32.json").stat().st_mtime_ns
    walked.run(*RUN.split(), "--quiet", "rules")
    for verb in ("finetune", "evaluate"):
        inputs = json.loads((made / f"receipts/{verb}/uscl_med3d_r32_both_vcl.json").read_text())["inputs"]
        assert "my_adapter.safetensors" in inputs and not any(
            "checkpoints/pretrain" in path for path in inputs
        )
    assert (made / "receipts/pretrain/vcl_r32.json").stat().st_mtime_ns == before
    assert not walked.planned(scale="my_cohort.yaml")
    said = walked.run(*command("uscl-med3d segment"), "--allow-empty")
    assert "uscl_med3d_r32_both_vcl" in said
    walked.run("git", "init", "--quiet")
    git = walked.run("git", "status", "--short", "--untracked-files=all")
    assert "my_adapter" not in git
