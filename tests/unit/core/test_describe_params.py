"""`uscl-med3d params` and docs/parameters.md: every parameter, its type, and what its comment says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params import validate
from uscl_med3d.core.params.comments import read_entries
from uscl_med3d.core.params.describe import as_page, as_text, choose, describe_params, describe_type
from uscl_med3d.core.params.files import read_defaults

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/parameters.md"

OWN_NAMES = (
    "general.",
    "classes.",
    "search.candidates.",
    "figures.colours.",
    "ingest.split_fractions.",
    "evaluate.nsd_tolerance.",
)
"""Sections whose comment explains all of their values, which are named by a user, a split or a unit."""
NOT_YET = {
    "finetune.validation_clicks",
    "foundation.sam_med3d.training.clicks.learning_rate",
    "foundation.sam_med3d.training.clicks.objects_per_crop",
}
"""Values that have neither a comment nor a line in a docstring."""


@pytest.fixture(scope="module")
def parameters():
    return describe_params(ROOT)


def test_the_page_is_that_of_the_present_parameters(parameters):
    assert PAGE.read_text(encoding="utf-8") == as_page(parameters), (
        "stale: uscl-med3d params --markdown > docs/parameters.md"
    )


def test_a_section_of_two_files_is_described_once(parameters):
    """Those of params.yaml first, without the keys that keep their places in the other file."""
    names = [one.name for one in choose(parameters, "methods")]
    assert len(set(names)) == len(names) and names[0] == "methods"
    methods = [name for name in names if name.count(".") == 1]
    assert methods[0] == "methods.sam_med3d" and methods.index("methods.adaptformer") < methods.index(
        "methods.sam"
    )
    assert names.index("methods.adaptformer.label") == names.index("methods.adaptformer") + 1


def test_every_value_is_explained(parameters):
    # Several values in one line, as of a tissue, are named by their type.
    silent = {one.name for one in parameters if one.value and not one.meaning and one.value[0] != "{"}
    assert {name for name in silent if not name.startswith(OWN_NAMES)} <= NOT_YET


def test_every_field_is_there(parameters):
    """Each key of the validated tree, except where a default replaces the key, and what stands in one line."""
    listed = {one.name: one for one in parameters}

    def walk(values, path):
        for name, value in values.items():
            dotted = ".".join((*path, name))
            if dotted in listed or dotted == "foundation":  # whose keys are sections
                if isinstance(value, dict) and (dotted not in listed or not listed[dotted].value):
                    walk(value, (*path, name))
            else:
                assert name in ("keep", "patience", "module", "tuning", "grid"), dotted

    walk(validate(read_defaults(ROOT), "params.yaml").model_dump(mode="json"), ())


def test_values_types_and_meanings(parameters):
    (one,) = choose(parameters, "pseudolabel.gate.min_confidence")
    assert (one.value, one.kind) == ("0.4", "number ≥ 0, ≤ 1")
    assert one.meaning == "mean margin |2 s - 1| over the predicted and the expected region"
    (rank,) = choose(parameters, "methods.fastsam3d.works_on")
    assert rank.meaning.startswith(
        "crop: round the first click"
    )  # the comment on the same field of sam_med3d
    (colour,) = choose(parameters, "figures.colours.liver")
    assert colour.value == '"#009E73"'
    (depth,) = choose(parameters, "foundation.sam.architecture.depth")
    assert depth.meaning == "blocks of the encoder"
    assert "pseudolabel.prompts: 2\n    integer ≥ 1\n" in as_text(choose(parameters, "pseudolabel"))


def test_an_unknown_name_is_an_error_that_names_near_ones(parameters):
    with pytest.raises(InputError, match=r"pseudolabel\.gate"):
        choose(parameters, "pseudolabels.gate")


def test_comments_beside_below_and_above():
    text = """# The head of the file.

# Of both.
a:                # first,
                  # then more
  b: "#12"        # a colour
  # Of what follows.
  c: [1,
      2]
  d: {e: 1}       # in one line
  f: 3
# Not of g, because a line is between.

g: 4
"""
    found = {".".join(one.path): (one.value, one.comment) for one in read_entries(text)}
    assert found == {
        "a": ("", "Of both. first, then more"),
        "a.b": ('"#12"', "a colour"),
        "a.c": ("[1, 2]", "Of what follows."),
        "a.d": ("{e: 1}", "in one line"),
        "a.f": ("3", ""),
        "g": ("4", ""),
    }


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "integer"),
        (bool, "true | false"),
        (Literal["a", "b"], "a | b"),
        (tuple[int, ...], "list of integer"),
        (tuple[float, float], "2 × number"),
        (dict[str, int], "name: integer"),
        (str | None, "text | null"),
        (Annotated[float, Field(gt=0, lt=100)], "number > 0, < 100"),
    ],
)
def test_types_in_words(annotation, words):
    from pydantic.fields import FieldInfo

    field = FieldInfo.from_annotation(annotation)
    assert describe_type(field.annotation, field.metadata) == words
