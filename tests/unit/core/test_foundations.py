from __future__ import annotations

from pathlib import Path

import yaml

from uscl_med3d.core.foundations import list_needed, needs_teacher
from uscl_med3d.core.params import Params, validate
from uscl_med3d.core.params.files import read_defaults
from uscl_med3d.core.params.foundation import BASE_MODELS

ROOT = Path(__file__).resolve().parents[3]


def registry(*kept: str) -> dict:
    values = read_defaults(ROOT)
    return {name: entry for name, entry in validate(values, "params.yaml").methods.items() if name in kept}


def test_every_base_model_has_a_recipe_a_training_and_a_teacher_that_exists():
    assert sorted(read_defaults(ROOT)["foundation"]) == list(BASE_MODELS)
    for name, model in BASE_MODELS.items():
        assert list(yaml.safe_load((ROOT / f"params/foundation/{name}.yaml").read_text())["foundation"]) == [
            name
        ]
        package = ROOT / "src/uscl_med3d/foundation"
        assert (package / f"{name}.py").is_file() or (package / name / "__init__.py").is_file()
        assert model.teacher is None or model.teacher in BASE_MODELS


def test_the_section_foundation_is_made_of_the_declarations():
    section = Params.model_fields["foundation"].annotation
    assert {name: field.annotation for name, field in section.model_fields.items()} == {
        name: model.settings for name, model in BASE_MODELS.items()
    }


def weights(value: str, **others: str) -> dict[str, str]:
    return dict.fromkeys(BASE_MODELS, value) | others


def test_teachers_are_needed_only_where_the_student_is_trained():
    methods = registry("mobile_sam")
    assert list_needed(methods, weights("train")) == ["mobile_sam", "sam", "sam_med3d", "seggpt"]
    for given in ("shipped", "mobile_sam.pt"):
        assert list_needed(methods, weights("train", mobile_sam=given)) == [
            "mobile_sam",
            "sam_med3d",
            "seggpt",
        ]


def test_pseudo_labels_and_pretraining_always_need_their_models():
    assert list_needed({}, weights("train")) == ["sam_med3d", "seggpt"]


def test_an_official_part_of_a_model_needs_the_rest_from_its_teacher():
    assert needs_teacher("fastsam3d", "6layers6heads_student") == "sam_med3d"
    assert needs_teacher("fastsam3d", "shipped") is None
    assert needs_teacher("mobile_sam", "mobile_sam.pt") is None
