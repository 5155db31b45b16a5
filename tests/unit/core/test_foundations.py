from __future__ import annotations

from pathlib import Path


from uscl_med3d.core.params.files import read_defaults
from uscl_med3d.core.foundations import FOUNDATIONS, list_needed
from uscl_med3d.core.params import validate
from uscl_med3d.core.params.foundation import Foundation

ROOT = Path(__file__).resolve().parents[3]


def registry(*kept: str) -> dict:
    values = read_defaults(ROOT)
    return {name: entry for name, entry in validate(values, "params.yaml").methods.items() if name in kept}


def test_every_base_model_has_a_section_and_a_module():
    assert set(Foundation.model_fields) == set(FOUNDATIONS)
    for name in FOUNDATIONS:
        assert (ROOT / f"src/uscl_med3d/foundation/{name}.py").is_file()


def test_teachers_are_needed_only_where_the_student_is_trained():
    methods = registry("mobile_sam")
    trained = dict.fromkeys(FOUNDATIONS, True)
    assert list_needed(methods, trained) == ["sam_med3d", "seggpt", "sam", "mobile_sam"]
    assert list_needed(methods, trained | {"mobile_sam": False}) == ["sam_med3d", "seggpt", "mobile_sam"]


def test_pseudo_labels_and_pretraining_always_need_their_models():
    assert list_needed({}, dict.fromkeys(FOUNDATIONS, True)) == ["sam_med3d", "seggpt"]


def test_an_official_part_of_a_model_needs_the_rest_from_its_teacher():
    official = dict.fromkeys(FOUNDATIONS, False)
    assert list_needed(registry("fastsam3d"), official) == ["sam_med3d", "seggpt", "fastsam3d"]
