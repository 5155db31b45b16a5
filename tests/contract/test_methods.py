"""What every method promises, checked for every module of the registry, present and future."""

from __future__ import annotations

import pytest
import torch
import yaml
from tiny_cohort import ROOT, SIZE, tiny_params

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.runs import list_runs, main_run
from uscl_med3d.methods.base import Card, Method
from uscl_med3d.methods.registry import find_method, list_methods
from uscl_med3d.nets import lora

METHODS = list_methods()
TRAINED = [name for name in METHODS if find_method(name).prepare_training is not Method.prepare_training]
ADAPTED = [name for name in METHODS if find_method(name).adapters_off is not Method.adapters_off]


@pytest.fixture(scope="module")
def load(cohort, make_job, tmp_path_factory):
    """Name -> the method of its main run, untrained (with a VCL adapter where the run has one)."""
    folder = tmp_path_factory.mktemp("vcl")

    def load_method(name, checkpoint=None):
        params = tiny_params()
        job = make_job("evaluate", main_run(name, params.methods[name]))
        vcl = None
        if job.run.vcl:
            vcl = folder / f"r{job.run.rank}.safetensors"
            if not vcl.exists():
                plain = next(run.id for run in list_runs(params.methods, [0]) if run.vcl is False)
                other = find_method(name).load(make_job("evaluate", plain), cohort.base, None, None)
                state = {
                    key: value + 0.05 for key, value in lora.lora_state(other.network, "encoder").items()
                }
                lora.save_lora(vcl, state, job.run.rank, other.alpha, other.base_sha256)
        return find_method(name).load(job, cohort.base, checkpoint, vcl)

    return load_method


def prompts(batch):
    generator = torch.Generator().manual_seed(1)
    crops = torch.randint(0, 255, (batch, 1, SIZE, SIZE, SIZE), generator=generator).float()
    points = torch.randint(0, SIZE, (batch, 3, 3), generator=generator).float()
    return crops, points, torch.tensor([[1, 0, 1]]).repeat(batch, 1)


def predict(method, crops, points, labels):
    """Logits after each of the clicks."""
    with torch.inference_mode():
        state = method.encode(crops)
        return [method.click(state, points[:, :n], labels[:, :n]) for n in range(1, points.shape[1] + 1)]


def perturb(method):
    """Change everything that training may change."""
    method.prepare_training()
    generator = torch.Generator().manual_seed(2)
    state = {
        name: value + 0.05 * torch.randn(value.shape, generator=generator)
        if value.is_floating_point()
        else value
        for name, value in method.trained_state().items()
    }
    method.load_trained(state)
    method.network.eval()


def test_registry_is_the_folder_and_params():
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert sorted(params["methods"]) == METHODS
    with pytest.raises(InputError, match="one of"):
        find_method("no_such_method")


@pytest.mark.parametrize("name", METHODS)
def test_says_where_it_comes_from(name):
    card = find_method(name).card
    assert isinstance(card, Card) and all([card.paper, card.code, card.licence, card.normalisation])


@pytest.mark.parametrize("name", METHODS)
def test_wrong_options_are_named(name, make_job):
    params = tiny_params()
    job = make_job("evaluate", main_run(name, params.methods[name]))
    method = job.method.model_copy(update={"options": {**job.method.options, "typo": 1}})
    with pytest.raises(InputError, match="typo"):
        find_method(name).read_options(job.model_copy(update={"method": method}))


@pytest.mark.parametrize("name", METHODS)
def test_masks_come_on_the_crops_grid_and_depend_on_the_clicks(name, load):
    crops, points, labels = prompts(2)
    method = load(name)
    outputs = predict(method, crops, points, labels)
    assert all(
        logits.shape == (2, 1, SIZE, SIZE, SIZE) and torch.isfinite(logits).all() for logits in outputs
    )
    other = predict(method, crops, SIZE - 1 - points, labels)
    assert not torch.equal(outputs[0], other[0])


@pytest.mark.parametrize("name", METHODS)
def test_is_deterministic_and_keeps_no_state_between_cases(name, load):
    crops, points, labels = prompts(2)
    first = load(name)
    once = predict(first, crops, points, labels)
    predict(first, crops.flip(-1), points, 1 - labels)
    for again in (predict(first, crops, points, labels), predict(load(name), crops, points, labels)):
        assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


@pytest.mark.parametrize("name", METHODS)
def test_cases_of_a_batch_do_not_mix(name, load):
    crops, points, labels = prompts(3)
    method = load(name)
    together = predict(method, crops, points, labels)
    for index in range(3):
        alone = predict(method, *(value[index : index + 1] for value in (crops, points, labels)))
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[index : index + 1], b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", METHODS)
def test_padding_clicks_are_allowed(name, load):
    crops, points, labels = prompts(2)
    labels = labels.clone()
    labels[0, 2] = -1
    method = load(name)
    outside = points.clone()
    outside[0, 2] = 0
    a, b = predict(method, crops, points, labels)[-1], predict(method, crops, outside, labels)[-1]
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", METHODS)
def test_inputs_are_left_alone(name, load):
    crops, points, labels = prompts(2)
    copies = [value.clone() for value in (crops, points, labels)]
    predict(load(name), crops, points, labels)
    assert all(torch.equal(a, b) for a, b in zip((crops, points, labels), copies, strict=True))


@pytest.mark.parametrize("name", METHODS)
def test_brightness_and_contrast_of_the_input_do_not_matter(name, load):
    crops, points, labels = prompts(1)
    method = load(name)
    a, b = (predict(method, values, points, labels)[0] for values in (crops, 3 * crops))
    torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", TRAINED)
def test_what_training_changes_survives_a_checkpoint(name, load, tmp_path):
    crops, points, labels = prompts(2)
    method = load(name)
    before = predict(method, crops, points, labels)
    perturb(method)
    changed = predict(method, crops, points, labels)
    assert not torch.equal(before[0], changed[0])
    method.save(tmp_path / "trained.safetensors")
    again = predict(load(name, tmp_path / "trained.safetensors"), crops, points, labels)
    assert all(torch.equal(a, b) for a, b in zip(changed, again, strict=True))
    method.save(tmp_path / "twice.safetensors")
    assert (tmp_path / "trained.safetensors").read_bytes() == (tmp_path / "twice.safetensors").read_bytes()


@pytest.mark.parametrize("name", TRAINED)
def test_gradients_reach_exactly_what_is_trained(name, load):
    crops, points, labels = prompts(1)
    method = load(name)
    parameters = method.prepare_training()
    perturb(method)
    method.network.train()
    state = method.encode(crops)
    for n in (1, 2):
        method.click(state, points[:, :n], labels[:, :n]).square().mean().backward()
        state = method.encode(crops)
    chosen = {id(value) for value in parameters}
    for key, value in method.network.named_parameters():
        assert (value.grad is not None) <= (id(value) in chosen), key
    reached = [value for value in parameters if value.grad is not None and value.grad.abs().sum() > 0]
    assert len(reached) > 0.5 * len(parameters)


@pytest.mark.parametrize("name", ADAPTED)
def test_adapters_off_is_the_base_model_bit_for_bit(name, load):
    crops, points, labels = prompts(2)
    method = load(name)
    perturb(method)
    with method.adapters_off():
        off = predict(method, crops, points, labels)
    base = predict(load("sam_med3d"), crops, points, labels)
    assert all(torch.equal(a, b) for a, b in zip(off, base, strict=True))
    assert not torch.equal(predict(method, crops, points, labels)[0], base[0])


@pytest.mark.parametrize("name", TRAINED)
def test_a_checkpoint_of_other_base_weights_is_refused(name, load, cohort, make_job, tmp_path):
    method = load(name)
    method.base_sha256 = "0" * 64
    method.save(tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="base_sha256"):
        load(name, tmp_path / "other.safetensors")
