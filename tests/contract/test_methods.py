"""What every method promises, checked for every module of the registry, present and future."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_cohort import ROOT, SHAPE, SIZE, draw_balls, tiny_params

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.files import read_defaults
from uscl_med3d.core.runs import list_runs, main_run
from uscl_med3d.methods.base import Card, Weights, WholeMethod
from uscl_med3d.methods.registry import find_method, list_methods
from uscl_med3d.nets import lora

METHODS = list_methods()
ENTRIES = tiny_params().methods
TRAINED = [name for name in METHODS if name in ENTRIES and ENTRIES[name].trained]
ADAPTED = [
    name for name in TRAINED if (ENTRIES[name].tuning or {}).get("strategy") in ("lora", "adaptformer")
]
KINDS = {name: (find_method(name).takes, find_method(name).works_on) for name in METHODS}
CLICKED = [name for name in METHODS if KINDS[name] == ("clicks", "crop")]
SLICED = [name for name in METHODS if KINDS[name] == ("clicks", "slice")]


@pytest.fixture(scope="module")
def load(base_weights, make_job, tmp_path_factory):
    """Name -> the method of its main run, untrained (with a VCL adapter where the run has one)."""
    folder = tmp_path_factory.mktemp("vcl")

    def load_method(name, checkpoint=None):
        params = tiny_params()
        entry = params.methods[name]
        base = base_weights(entry.base)
        job = make_job("evaluate", main_run(name, entry))
        vcl = None
        if job.run.pretraining:
            vcl = folder / f"r{job.run.rank}.safetensors"
            if not vcl.exists():
                plain = next(
                    run.id for run in list_runs(params.methods, [0]) if run.pretraining is None and run.rank
                )
                other = find_method("uscl_med3d").load(make_job("evaluate", plain), Weights(base))
                state = {
                    key: value + 0.05 for key, value in lora.lora_state(other.network, "encoder").items()
                }
                lora.save_lora(
                    vcl, state, job.run.rank, other.tuning.alpha, other.tuning.belongs["base_sha256"]
                )
        return find_method(name).load(job, Weights(base, vcl, checkpoint))

    return load_method


CLASSES = {"pleural_effusion": 1, "ascites": 2, "liver": 3, "spleen": 4, "kidney": 5}


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


def predict_slices(method, volume, points, labels):
    """Logits after each of the clicks; every slice gets clicks."""
    with torch.inference_mode():
        state = method.start(method.embed(method.prepare(volume)), tuple(volume.shape[1:]))
        return [method.click(state, points[:, :n], labels[:, :n]) for n in range(1, points.shape[1] + 1)]


def sweep(values=(3, 4), seed=5):
    """A volume, its labels on three key frames (255 elsewhere)."""
    image, labels = draw_balls(SHAPE, list(values), seed)
    key_frames = np.full(SHAPE, 255, np.uint8)
    key_frames[[4, 9, 14]] = labels[[4, 9, 14]]
    return image, key_frames


def ask(method, variant=0):
    """Everything that a method answers to one input, as tensors on the input's grid, whatever its kind of prompt."""
    crops, points, labels = prompts(2)
    kind = (method.takes, method.works_on)
    if kind == ("clicks", "crop"):
        return predict(method, crops.flip(-1) if variant else crops, points, labels)
    image, key_frames = sweep(seed=5 + variant)
    if kind == ("clicks", "slice"):
        volume = torch.from_numpy(image[:2].astype(np.float32))
        return predict_slices(method, volume, points[..., 1:].clamp(max=SHAPE[2] - 1), labels)
    given = key_frames if method.takes == "key_frames" else None
    return [torch.from_numpy(method.segment(image, given, CLASSES, None))]


def perturb(method):
    """Change everything that training may change."""
    if not method.fitted:
        method.prepare_training()
    generator = torch.Generator().manual_seed(2)
    state = {
        name: value + (2.0 if method.fitted else 0.05) * torch.randn(value.shape, generator=generator)
        if value.is_floating_point()
        else value
        for name, value in method.trained_state().items()
    }
    method.load_trained(state)
    method.network.eval()


def test_registry_is_the_folder_and_params():
    entries = read_defaults(ROOT)["methods"]
    own = {name for name, entry in entries.items() if entry.get("module") is None}
    assert sorted(own) == METHODS
    # A further row of a method says which: it is the same file with other options.
    assert {entry["module"] for name, entry in entries.items() if name not in own} <= own
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
def test_kind_of_prompt_is_the_registrys(name):
    method = find_method(name)
    assert KINDS[name] == (ENTRIES[name].takes, ENTRIES[name].works_on)
    assert issubclass(method, WholeMethod) == (method.works_on in ("volume", "window"))


@pytest.mark.parametrize("name", METHODS)
def test_masks_come_on_the_inputs_grid(name, load):
    method = load(name)
    shapes = {"crop": (2, 1, SIZE, SIZE, SIZE), "slice": (2, 1, *SHAPE[1:])}
    for answer in ask(method):
        assert answer.shape == shapes.get(method.works_on, SHAPE) and torch.isfinite(answer).all()


@pytest.mark.parametrize("name", CLICKED + SLICED)
def test_masks_depend_on_the_clicks(name, load):
    crops, points, labels = prompts(2)
    method = load(name)
    if name in CLICKED:
        a, b = (predict(method, crops, at, labels)[0] for at in (points, SIZE - 1 - points))
    else:
        volume, at = torch.from_numpy(sweep()[0][4:6].astype(np.float32)), points[..., 1:]
        a, b = (predict_slices(method, volume, place, labels)[0] for place in (at, SIZE - 1 - at))
    assert not torch.equal(a, b)


@pytest.mark.parametrize("name", METHODS)
def test_is_deterministic_and_keeps_no_state_between_cases(name, load):
    first = load(name)
    once = ask(first)
    ask(first, variant=1)
    for again in (ask(first), ask(load(name))):
        assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


@pytest.mark.parametrize("name", CLICKED)
def test_cases_of_a_batch_do_not_mix(name, load):
    crops, points, labels = prompts(3)
    method = load(name)
    together = predict(method, crops, points, labels)
    for index in range(3):
        alone = predict(method, *(value[index : index + 1] for value in (crops, points, labels)))
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[index : index + 1], b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", SLICED)
def test_slices_do_not_mix(name, load):
    method, volume = load(name), torch.from_numpy(sweep()[0][3:6].astype(np.float32))
    with torch.inference_mode():
        images = method.prepare(volume)
        together = method.embed(images)
        for index in range(3):
            alone = method.embed(images[index : index + 1])
            torch.testing.assert_close(together[index : index + 1], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", CLICKED + SLICED)
def test_padding_clicks_are_allowed(name, load):
    crops, points, labels = prompts(2)
    labels = labels.clone()
    labels[0, 2] = -1
    method = load(name)
    outside = points.clone()
    outside[0, 2] = 0
    if name in CLICKED:
        a, b = (predict(method, crops, at, labels)[-1] for at in (points, outside))
    else:
        volume = torch.from_numpy(sweep()[0][4:6].astype(np.float32))
        a, b = (predict_slices(method, volume, at[..., 1:], labels)[-1] for at in (points, outside))
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", CLICKED)
def test_inputs_are_left_alone(name, load):
    crops, points, labels = prompts(2)
    copies = [value.clone() for value in (crops, points, labels)]
    predict(load(name), crops, points, labels)
    assert all(torch.equal(a, b) for a, b in zip((crops, points, labels), copies, strict=True))


@pytest.mark.parametrize("name", CLICKED)
def test_brightness_and_contrast_of_the_input_do_not_matter(name, load):
    crops, points, labels = prompts(1)
    method = load(name)
    a, b = (predict(method, values, points, labels)[0] for values in (crops, 3 * crops))
    torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", TRAINED)
def test_what_training_changes_survives_a_checkpoint(name, load, tmp_path):
    method = load(name)
    before = ask(method)
    perturb(method)
    changed = ask(method)
    assert not torch.equal(before[0], changed[0])
    method.save(tmp_path / "trained.safetensors")
    again = ask(load(name, tmp_path / "trained.safetensors"))
    assert all(torch.equal(a, b) for a, b in zip(changed, again, strict=True))
    method.save(tmp_path / "twice.safetensors")
    assert (tmp_path / "trained.safetensors").read_bytes() == (tmp_path / "twice.safetensors").read_bytes()


@pytest.mark.parametrize("name", [name for name in TRAINED if ENTRIES[name].tuning])
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


@pytest.mark.parametrize("name", [name for name in TRAINED if ENTRIES[name].base])
def test_a_checkpoint_of_other_base_weights_is_refused(name, load, tmp_path):
    method = load(name)
    method.tuning.belongs["base_sha256"] = "0" * 64
    method.save(tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="base_sha256"):
        load(name, tmp_path / "other.safetensors")


def test_adapter_off_computes_exactly_as_the_base_model(load, tmp_path):
    trained = load("uscl_med3d")
    perturb(trained)
    trained.save(tmp_path / "trained.safetensors")
    off, base = ask(load("adapter_off", tmp_path / "trained.safetensors")), ask(load("sam_med3d"))
    assert all(torch.equal(a, b) for a, b in zip(off, base, strict=True))
    assert not torch.equal(ask(trained)[0], base[0])
