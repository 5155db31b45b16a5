"""What each switch between official and sane behaviour changes, as docs/samus.md states it."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import official
import pytest
import test_autosamus
import test_msa
import test_samus
import torch

from uscl_med3d.evaluate.official_scores import hausdorff_95, samus_scores
from uscl_med3d.nets.medsam import draw_click
from uscl_med3d.nets.msa import build_msa, join_clicks, resize_logits
from uscl_med3d.nets.samus import build_samus

PAGE = Path(__file__).resolve().parents[3] / "docs" / "samus.md"
F64 = torch.float64


@pytest.fixture(scope="module")
def measured(shared) -> dict[str, float]:
    """Name of the switch -> its difference, in the unit of the page."""
    flat, depth = official.Official(shared, "msa"), official.Official(shared, "msa_depth")
    auto, samus = official.Official(shared, "autosamus"), official.Official(shared, "samus")
    scores = official.Official(shared, "samus_losses_metrics")
    with torch.no_grad():
        return {
            **_msa(flat),
            "depth_groups": _share(
                depth, test_msa.run(depth, test_msa.build(depth, F64, depth_groups="sane"), F64)[0], "low_res"
            ),
            "softmax": _share(
                auto,
                test_autosamus.build(auto, F64, "sane").segment(auto.given("image_embedding", F64)),
                "low_res_logits",
            ),
            "position_layers": _positions(samus),
            "MedSAM click": _missed(scores.tensors["in/mask256_uint8"].numpy()),
            "SAMUS distance": _distance(),
        }


def _share(fixture: official.Official, found: torch.Tensor, name: str) -> float:
    """Largest change in percent of the largest value."""
    return 100 * fixture.error(found, name)


def _msa(fixture: official.Official) -> dict[str, float]:
    state, image = fixture.part("state"), fixture.given("image", F64)
    points, labels = fixture.given("points", F64), fixture.given("labels", F64)
    description = test_msa.describe(fixture.config)

    def low(changes: dict, tensors: dict, at: torch.Tensor) -> torch.Tensor:
        network = build_msa(description | changes)
        network.load_state_dict(tensors, strict=True)
        return network.double().eval()(image, (at, labels))[0]

    renamed = {
        n.replace(".mlp.layers.0.0.", ".mlp.lin1.").replace(".mlp.fc.", ".mlp.lin2."): x
        for n, x in state.items()
    }
    without = {n: torch.zeros_like(x) if ".rel_" in n else x for n, x in state.items()}
    network = build_msa(description)
    network.load_state_dict(state)
    network.double().eval()
    clicks = fixture.given("click_points", F64)
    apart = network(image, join_clicks(clicks, clicks.new_ones(len(clicks)), "sane"))[0]
    masks = fixture.expected("low_res", F64)
    side = fixture.config["out_size"]
    smooth, nearest = (resize_logits(masks, side, rule) > 0 for rule in ("sane", "official"))
    return {
        "padding": _share(fixture, low({"padding": "sane"}, state, points), "low_res"),
        "relative_positions": _share(fixture, low({}, without, points), "low_res"),
        "decoder": _share(fixture, low({"decoder": "sane"}, renamed, points), "low_res"),
        "join_clicks": _share(fixture, apart, "one_click.low_res"),
        "order_click": _share(fixture, low({}, state, points.flip(-1)), "low_res"),
        "resize_logits": 100 * float((smooth != nearest).double().mean()),
    }


def _positions(fixture: official.Official) -> float:
    description, state = test_samus.describe(fixture.config), fixture.part("state")
    article = build_samus(description | {"position_layers": "article"})
    article.load_state_dict({name: state[name] for name in article.state_dict()})
    article.double().eval()
    return _share(fixture, article.image_encoder(fixture.given("image", F64)), "encoder")


def _missed(labels: np.ndarray) -> float:
    """Percent of the official clicks that miss the object, over all labels."""
    chooser, missed = random.Random(0), []
    for label in np.unique(labels)[1:]:
        mask = labels == label
        missed += [not mask[y, x] for x, y in (draw_click(mask, chooser, "official") for _ in range(500))]
    return 100 * float(np.mean(missed))


def _distance() -> float:
    """The official number over the 95 % Hausdorff distance, in percent, of a small square moved along its rows."""
    square = np.zeros((40, 40), bool)
    square[10:14, 10:14] = True
    moved = np.roll(square, 10, 1)
    return 100 * samus_scores(square, moved).row_distance / hausdorff_95(square, moved)


def test_the_page_states_what_each_switch_changes(measured):
    rows = re.findall(
        r"^\| `?([^`|]+?)`? \|.*\| ([0-9.]+) %[^|]*\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    stated = {name: float(value) for name, value in rows}
    assert stated.keys() == measured.keys(), str({name: round(value, 1) for name, value in measured.items()})
    wrong = {n: (stated[n], round(x, 1)) for n, x in measured.items() if abs(stated[n] - x) > 0.051}
    assert not wrong, f"(stated, measured): {wrong}"
    assert all(value > 0 for value in measured.values())
