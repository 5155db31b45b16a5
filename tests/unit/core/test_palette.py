"""Every class has a colour in figures, its own or one of the palette."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from uscl_med3d.core.palette import COLOURS, as_hex, complete_colours
from uscl_med3d.core.params import slice_figure, validate
from uscl_med3d.core.params.files import overlay, read_defaults

ROOT = Path(__file__).resolve().parents[3]


def test_a_class_without_a_colour_has_that_of_its_value_in_review():
    found = complete_colours({"nerve": 1, "vessel": 2}, {})
    assert found == {"nerve": as_hex(COLOURS[0]), "vessel": as_hex(COLOURS[1])}


def test_given_colours_stay_and_are_not_given_twice():
    given = {"vessel": as_hex(COLOURS[0]).lower(), "liver": as_hex(COLOURS[1])}
    found = complete_colours({"nerve": 1, "vessel": 2, "bone": 8}, given)
    assert found["vessel"] == given["vessel"] and found["liver"] == given["liver"]
    assert len({found[name].upper() for name in ("nerve", "vessel", "bone")}) == 3
    # The liver is no class here, so its colour is free.
    assert as_hex(COLOURS[1]) in (found["nerve"], found["bone"])


@pytest.mark.parametrize(("number", "different"), [(7, 7), (21, 21), (30, 21)])
def test_many_classes_have_different_colours_as_long_as_there_are_any(number, different):
    classes = {f"c{value}": value for value in range(1, number + 1)}
    assert len(set(complete_colours(classes, {}).values())) == different


def test_a_completed_list_stays_as_it_is():
    classes = {"nerve": 1, "vessel": 1 + len(COLOURS), "bone": 254}
    once = complete_colours(classes, {"bone": "red"})
    assert complete_colours(classes, once) == once and list(once) == ["bone", "nerve", "vessel"]


def test_figures_of_own_classes_have_a_colour_for_each():
    own = {"scale": "mine", "classes": {"nerve": 1, "vessel": 2}}
    made = validate(overlay(read_defaults(ROOT), own), "mine")
    job = slice_figure(made, "fig1")
    assert set(job["classes"]) <= set(job["figures"]["colours"])


def test_the_default_classes_have_the_colours_of_params_yaml():
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(values["figures"]["colours"]) == set(values["classes"])
    assert validate(read_defaults(ROOT), "").figures.colours == values["figures"]["colours"]
