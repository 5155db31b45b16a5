from __future__ import annotations

import numpy as np
import torch

from uscl_med3d.nets.seggpt import predict_canvas, read_scores
from uscl_med3d.propagation.propose import combine_classes, propose_scores


def inputs(seed: int = 0) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    generator = np.random.default_rng(seed)
    image = generator.integers(1, 255, (6, 20, 22)).astype(np.uint8)
    masks = {0: np.zeros((20, 22), np.uint8), 5: np.zeros((20, 22), np.uint8)}
    masks[0][3:12, 4:14] = 3
    masks[5][8:15, 6:20] = 3
    return image, masks


def test_the_prompt_mask_and_the_prompt_frame_matter(model, settings) -> None:
    image, masks = inputs()
    before = propose_scores(model, "instance", image, masks, settings)[3]
    masks[0] = np.flipud(masks[0])
    after = propose_scores(model, "instance", image, masks, settings)[3]
    assert np.abs(after[1:5] - before[1:5]).max() > 1e-3
    image[0] = 255 - image[0]
    assert np.abs(propose_scores(model, "instance", image, masks, settings)[3][1:5] - after[1:5]).max() > 1e-3


def test_key_frames_keep_the_human_mask(model, settings) -> None:
    image, masks = inputs()
    scores = propose_scores(model, "instance", image, masks, settings)
    labels = combine_classes(scores, 0.5, image.shape)
    for frame, mask in masks.items():
        np.testing.assert_array_equal(labels[frame], mask)


def test_batches_do_not_mix_targets(model, settings) -> None:
    image, masks = inputs()
    one = propose_scores(model, "instance", image, masks, settings.model_copy(update={"batch_frames": 1}))
    many = propose_scores(model, "instance", image, masks, settings.model_copy(update={"batch_frames": 16}))
    np.testing.assert_allclose(one[3], many[3], atol=1e-5)


def test_only_wanted_frames_are_predicted_and_as_always(model, settings) -> None:
    image, masks = inputs()
    every = propose_scores(model, "instance", image, masks, settings)[3]
    some = propose_scores(model, "instance", image, masks, settings, [3, 1])[3]
    np.testing.assert_allclose(some[[1, 3]], every[[1, 3]], atol=1e-5)
    assert (some[[2, 4]] == 0).all() and every[2].max() > 0


def test_a_class_in_no_prompt_of_a_frame_is_not_asked_for(model, settings) -> None:
    image, masks = inputs()
    masks[2] = np.zeros((20, 22), np.uint8)
    masks[5][:] = 0
    scores = propose_scores(model, "instance", image, masks, settings)
    assert (scores[3][3:] == 0).all() and scores[3][1].max() > 0
    assert set(scores) == {3}


def test_greatest_score_wins_above_the_threshold() -> None:
    scores = {4: np.array([[[0.9, 0.6, 0.4]]]), 3: np.array([[[0.8, 0.7, 0.45]]])}
    assert combine_classes(scores, 0.5, (1, 1, 3)).tolist() == [[[4, 3, 0]]]


@torch.no_grad()
def test_ensemble_of_equal_prompts_is_one_prompt_and_ignores_their_order(model) -> None:
    generator = torch.Generator().manual_seed(3)
    target, first, second, mask_a, mask_b = torch.randn(5, 1, 3, 16, 16, generator=generator)

    def score(images, masks, weights):
        canvas = predict_canvas(
            model, target, torch.stack(images, 1), torch.stack(masks, 1), torch.tensor([weights]), "instance"
        )
        return read_scores(canvas)

    single = score([first], [mask_a], [1.0])
    torch.testing.assert_close(
        score([first, first], [mask_a, mask_a], [0.5, 0.5]), single, atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(
        score([first, second], [mask_a, mask_b], [1.0, 0.0]), single, atol=1e-5, rtol=1e-4
    )
    mixed = score([first, second], [mask_a, mask_b], [0.7, 0.3])
    torch.testing.assert_close(
        score([second, first], [mask_b, mask_a], [0.3, 0.7]), mixed, atol=1e-5, rtol=1e-4
    )
    assert (mixed - single).abs().max() > 1e-4


@torch.no_grad()
def test_one_prompt_is_the_unchanged_transformers_model(model) -> None:
    generator = torch.Generator().manual_seed(4)
    target, image, mask = torch.randn(3, 2, 3, 16, 16, generator=generator)
    expected = model(
        pixel_values=target, prompt_pixel_values=image, prompt_masks=mask, embedding_type="instance"
    )
    found = predict_canvas(model, target, image[:, None], mask[:, None], torch.ones(2, 1), "instance")
    torch.testing.assert_close(found, expected.pred_masks)
