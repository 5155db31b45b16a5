"""Real clips: without labels, of unknown pixel size, with a scanner's furniture around the image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from raw_files import COLUMNS, SETTINGS

from uscl_med3d.core.params.ingest import Fan
from uscl_med3d.data.clips import open_clip
from uscl_med3d.data.cohort import CohortRow
from uscl_med3d.data.ingest import ingest
from uscl_med3d.data.inspect import Inspection, inspect_sweep
from uscl_med3d.data.sweeps import load_sweep, read_splits


@pytest.fixture(scope="module")
def real(shared: Path) -> Path:
    return shared / "data" / "real"


def inspect(video: Path) -> Inspection:
    empty = dict.fromkeys(("key_frames", "reference", "spacing_mm", "frame_spacing_mm"))
    row = CohortRow(
        line=2,
        patient="p",
        sweep="s",
        group="chest",
        view="chest",
        split="",
        probe="",
        source=video.name,
        video=video,
        **empty,
    )
    found = inspect_sweep(row, Fan(**SETTINGS["fan"]), {})
    assert not found.errors
    return found


def test_overlay_text_of_a_scanner_is_masked(real: Path) -> None:
    found = inspect(real / "us_video_eye_itkpocus" / "sonosite-anon-eye1-video.mp4")
    assert found.fan.shape == (720, 960)
    # Text, logos and scales stand in the left and right thirds, and below and above the image.
    outside = np.ones_like(found.fan)
    outside[36:650, 380:735] = False
    frame = next(open_clip(found.row.video).frames())
    assert (frame[outside] > 128).sum() > 1000
    assert not found.fan[outside].any()
    assert found.fan[60:630, 400:710].all()


def test_a_menu_bar_in_dicom_is_masked(real: Path) -> None:
    found = inspect(real / "us_dicom_multiframe_pydicom" / "examples_ybr_color.dcm")
    assert found.frames == 30 and found.clip.info.pixel_spacing_mm == pytest.approx(
        (0.5105, 0.5105), abs=1e-3
    )
    assert not found.fan[222:].any() and not found.fan[:, 275:].any()
    assert found.fan[80:180, 110:210].all()


def test_a_tracked_stack_is_a_linear_probes_rectangle(real: Path) -> None:
    found = inspect(real / "us_tracked_spine_phantom_plus" / "SpinePhantomFreehand.igs.mha")
    assert found.frames == 21 and found.fan.shape == (616, 820)
    assert not found.fan[:, :180].any() and not found.fan[:, 640:].any()
    assert found.fan[10:600, 195:625].mean() > 0.99


def test_real_clips_go_through_without_labels(real: Path, tmp_path: Path, make_job) -> None:
    lung = real / "us_video_lung_pocus"
    clips = [
        lung / "Reg_pat1Image_132943.mpeg",
        lung / "Cov_convex_volpecelli_sonographic_v2.mov",
        lung / "Vir_prospective_file1.mp4",
        real / "us_video_eye_itkpocus" / "clarius-ocular-short.mp4",
    ]
    cohort = tmp_path / "cohort.csv"
    rows = [
        dict.fromkeys(COLUMNS, "")
        | {"patient": f"p{i}", "sweep": f"s{i}", "group": "chest", "view": "chest", "video": str(clip)}
        for i, clip in enumerate(clips)
    ]
    cohort.write_text("\n".join([",".join(COLUMNS), *(",".join(row.values()) for row in rows)]) + "\n")
    ingest(make_job(max_frames=24), cohort, tmp_path / "volumes", tmp_path / "splits.csv")
    assert len(read_splits(tmp_path / "splits.csv")) == 4
    for i in range(4):
        sweep = load_sweep(tmp_path / "volumes", f"s{i}")
        assert sweep.image.shape[0] == 24 and max(sweep.image.shape[1:]) == 40
        assert sweep.spacing_mm == (None, None, None)
        assert 0.7 < sweep.fan.mean() <= 1
        assert sweep.image[sweep.fan].std() > 10
        assert (sweep.key_frames == 255).all() and sweep.reference is None
