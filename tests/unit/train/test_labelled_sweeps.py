"""Fine-tuning learns from training patients alone, also where others have pseudo-labels or key frames."""

from __future__ import annotations

import numpy as np

from uscl_med3d.train.sweeps import LabelledSweeps


def test_pseudo_labels_of_other_splits_are_no_training_sweeps(cohort):
    sweeps = LabelledSweeps(cohort.volumes, cohort.splits, cohort.pseudolabels)
    assert len(list(cohort.pseudolabels.glob("*.nii.gz"))) == 6  # every sweep has one
    assert sweeps.train == ["s_t1", "s_t2"]
    assert sweeps.validation == ["s_v1"]


def test_validation_sees_human_key_frames_and_training_pseudo_labels(cohort):
    sweeps = LabelledSweeps(cohort.volumes, cohort.splits, cohort.pseudolabels)
    known = sweeps.load_validation("s_v1")[1] != 255
    assert np.flatnonzero(known.any((1, 2))).tolist() == [4, 9, 14]
    known = sweeps.load_train("s_t1")[1] != 255
    assert np.flatnonzero(~known.all((1, 2))).tolist() == [0, 1]
