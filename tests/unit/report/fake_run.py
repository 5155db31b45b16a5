"""A made-up run with the documented files.

Scores, volumes, pseudo-labels, curves, predictions. No model involved.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from tiny_cohort import tiny_job

from uscl_med3d.core import seeds
from uscl_med3d.core.io import save_volume, write_csv, write_json
from uscl_med3d.core.params import SLICES, load_job
from uscl_med3d.core.params.files import read_defaults
from uscl_med3d.core.runs import list_runs
from uscl_med3d.core.scores import IMAGE_USE, write_scores
from uscl_med3d.evaluate.gate import check_gate

ROOT = Path(__file__).resolve().parents[3]
CLASSES = {"pleural_effusion": 1, "ascites": 2, "liver": 3, "spleen": 4, "kidney": 5}
VIEWS = {
    "chest": ("chest", ("pleural_effusion",)),
    "abdomen_right": ("abdomen", ("ascites", "liver", "kidney")),
    "abdomen_left": ("abdomen", ("ascites", "spleen", "kidney")),
}
BASE = {"pleural_effusion": 40.0, "ascites": 38.0, "liver": 55.0, "spleen": 48.0, "kidney": 50.0}
GENERAL = {"amos": ("liver", "spleen", "aorta"), "totalsegmentator": ("liver", "bone"), "brats": ("tumour",)}


def make_job(folder: Path, **changes) -> object:
    """The typed job of `figure` (which has all that `report` has) from params.yaml, a few values changed.

    FastSAM3D, a row of the paper's tables, is left out: what the registry lacks must be said.
    """
    values = read_defaults(ROOT)
    report = changes.pop("report", {})
    values["methods"].pop("fastsam3d", None)
    # Every cell of Table 5, which the default scale leaves to the study.
    modules = ["encoder", "decoder", "both"]
    grid = {"ranks": [8, 16, 32, 64], "modules": modules, "sweep_modules": modules}
    values["methods"]["uscl_med3d"]["grid"] |= grid
    values |= changes
    values["report"] |= {"n_boot": 100, "n_permutations": 199} | report
    values["figures"]["dpi"] = 72
    path = folder / "params" / "report.json"
    write_json(path, {name: values[name] for name in SLICES["figure"]})
    return load_job("figure", path)


def make_scores(
    job, folder: Path, patients: int = 8, clicks=(1, 3, 5, 10), click_seeds=(0,), us: bool = True
) -> list:
    """Score files of every run.

    A patient effect shared by all runs, a run effect, a gain per click, noise.
    """
    paths = []
    for run in list_runs(job.methods, job.training_seeds):
        rows = _ultrasound(run, patients, clicks, click_seeds) if us else []
        rows += [
            row for name in run.datasets if name != "us" for row in _general(run, name, patients, clicks)
        ]
        path = folder / "scores" / f"{run.id}.parquet"
        write_scores(path, as_prompted(pd.DataFrame(rows), job.methods[run.method].prompt))
        paths.append(path)
    return paths


def as_prompted(rows: pd.DataFrame, prompt: str) -> pd.DataFrame:
    """Rows of a method with clicks, as a method with another kind of prompt writes them."""
    if prompt == "slice_clicks":
        return rows.assign(crop="slice", volume_clicks=20 * rows["click"])
    if prompt in ("key_frames", "none"):
        last = rows[rows["click"] == rows["click"].max()]
        return last.assign(crop="whole", click_simulator="none", click=0, volume_clicks=0)
    return rows


def run_effect(run) -> float:
    """How many points a run lies above the base model on ultrasound."""
    if run.method in ("sam_med3d", "adapter_off"):
        return 0.0
    if run.method == "full_tuning":
        return 30.0
    if run.method == "adaptformer":
        return 12.0
    if run.rank is None:
        return -15.0
    return (
        {"encoder": 14.0, "decoder": 10.0, "both": 22.0}[run.modules]
        - abs(np.log2(run.rank / 32))
        + bool(run.pretraining)
    )


def score_row(run, dataset, patient, case, name, reference, click, seed, dice, reason="") -> dict:
    return {
        "run": run.id,
        "method": run.method,
        "rank": run.rank,
        "modules": run.modules,
        "pretraining": run.pretraining,
        "training_seed": run.training_seed,
        "dataset": dataset,
        "split": "test",
        "patient": patient,
        "case": case,
        "class": name,
        "reference": reference,
        "crop": "first_click",
        "click_simulator": "random_error",
        "click_seed": seed,
        "click": click,
        "click_d": 3,
        "click_h": 12,
        "click_w": 14,
        "click_label": 1,
        "volume_clicks": click,
        "dice": dice,
        "nsd": None,
        "hd95": None,
        "distance_unit": "voxel",
        "reason": reason,
    }


def _ultrasound(run, patients, clicks, click_seeds) -> list[dict]:
    rows = []
    for view, (group, classes) in VIEWS.items():
        for number in range(patients):
            patient, case = f"{group[0]}{number:02d}", f"{group[0]}{number:02d}_{view}"
            shift = seeds.rng(1, patient).normal(0, 6)
            for name in classes:
                noise = seeds.rng(2, run.id, case, name).normal(0, 4)
                for seed in click_seeds:
                    for click in clicks:
                        dice = BASE[name] + run_effect(run) + shift + noise + 8 * np.log10(click / 10)
                        value = round(float(np.clip(dice, 0, 100)), 4)
                        rows += [
                            score_row(run, "us", patient, case, name, "true_mask", click, seed, value),
                            score_row(
                                run, "us", patient, case, name, "held_out_key_frames", click, seed, value - 2
                            ),
                        ]
    return rows


def _general(run, dataset, patients, clicks) -> list[dict]:
    rows = []
    known = {"sam_med3d": 0.0, "adapter_off": 0.0, "uscl_med3d": 3.0, "full_tuning": 16.0, "adaptformer": 9.0}
    loss = known.get(run.method, 30.0)
    for number in range(patients):
        for name in GENERAL[dataset]:
            noise = seeds.rng(3, run.id, dataset, number, name).normal(0, 3)
            for click in clicks:
                dice = round(72 - loss + noise + 10 * np.log10(click / 10), 4)
                patient = f"{dataset}_{number:02d}"
                rows.append(score_row(run, dataset, patient, patient, name, "label", click, 0, dice))
    return rows


def make_volumes(
    folder: Path, sweeps: int = 2, shape=(10, 40, 48), references: bool = True, annotated: bool = True
) -> SimpleNamespace:
    """Volumes of every view with ellipsoids as organs, their split file, and the label maps by sweep."""
    volumes, rows, labels = folder / "volumes", [], {}
    for view, (group, classes) in VIEWS.items():
        for number in range(sweeps):
            patient, sweep = f"{group[0]}{number:02d}", f"{group[0]}{number:02d}_{view}"
            rng = seeds.rng(4, sweep)
            label = _organs(shape, [CLASSES[name] for name in classes], rng)
            image = np.clip(60 + 20 * label + rng.normal(0, 18, shape), 1, 255).astype(np.uint8)
            keys = np.full(shape, 255, np.uint8)
            frames = (2, 5, 8) if annotated else ()
            keys[list(frames)] = label[list(frames)]
            save_volume(volumes / sweep / "image.nii.gz", image, (1.0, 0.6, 0.6))
            save_volume(volumes / sweep / "key_frames.nii.gz", keys, (1.0, 0.6, 0.6))
            if references:
                save_volume(volumes / sweep / "reference.nii.gz", label, (1.0, 0.6, 0.6))
            roles = ("prompt", "held_out", "prompt")
            entry = {
                "patient": patient,
                "sweep": sweep,
                "group": group,
                "view": view,
                "split": "test" if number else "train",
            }
            write_json(
                volumes / sweep / "sidecar.json",
                entry
                | {
                    "probe": "convex",
                    "shape_dhw": list(shape),
                    "spacing_mm": {"d": None, "h": 0.6, "w": 0.6},
                    "axis_without_millimetres": "d",
                    "key_frames": [
                        {"frame": f, "index": f, "role": r} for f, r in zip(frames, roles, strict=False)
                    ],
                },
            )
            rows.append(entry)
            labels[sweep] = label
    write_csv(folder / "splits.csv", pd.DataFrame(rows).sort_values("sweep"))
    return SimpleNamespace(volumes_dir=volumes, splits_csv=folder / "splits.csv", labels=labels)


def _organs(shape, values, rng) -> np.ndarray:
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    label = np.zeros(shape, np.uint8)
    for position, value in enumerate(values):
        centre = np.array([0.0, rng.uniform(-0.4, 0.4), -0.6 + 0.6 * position])[:, None, None, None]
        label[(((grid - centre) / np.array([1.2, 0.35, 0.28])[:, None, None, None]) ** 2).sum(0) < 1] = value
    return label


def make_curves(job, folder: Path) -> list[Path]:
    """A learning curve per fine-tune and one per pretraining."""
    paths = []
    for run in list_runs(job.methods, job.training_seeds):
        if not job.methods[run.method].trained:
            continue
        steps = np.arange(0, 160, 10)
        noise = seeds.rng(5, run.id).normal(0, 0.03, len(steps))
        frame = pd.DataFrame({"step": steps, "loss": 1.4 * np.exp(-steps / 60) + 0.4 + noise})
        frame["validation_dice"] = np.where(steps % 50 == 0, 70 - 40 * np.exp(-steps / 50), np.nan)
        paths.append(folder / "finetune" / f"{run.id}.csv")
        write_csv(paths[-1], frame)
    for rank in (8, 32):
        steps = np.arange(0, 100, 5)
        paths.append(folder / "pretrain" / f"r{rank}.csv")
        write_csv(
            paths[-1],
            pd.DataFrame(
                {
                    "step": steps,
                    "loss": 1.1 * np.exp(-steps / 40) + 0.3,
                    "validation_accuracy": 0.7 * np.exp(-steps / 40) + 0.2,
                }
            ),
        )
    return paths


def make_costs(job, folder: Path) -> tuple[list[Path], list[Path]]:
    """Facts and measurements of every trained run."""
    facts, costs = [], []
    for run in list_runs(job.methods, job.training_seeds):
        if job.methods[run.method].trained:
            size = 5_700_000 if run.rank is None else 9_000 * run.rank
            facts.append(folder / "finetune" / f"{run.id}.json")
            write_json(facts[-1], {"trainable_parameters": size, "total_parameters": 5_700_000, "steps": 150})
            costs.append(folder / "benchmarks" / "finetune" / f"{run.id}.cost.json")
            seconds = 60.0 if run.rank else 75.0
            measured = {"training_seconds": seconds, "peak_memory_mb": 1228.8, "peak_gpu_memory_mb": None}
            write_json(costs[-1], measured | {"batch_size": 2})
    return facts, costs


def make_pseudolabels(folder: Path, made: SimpleNamespace) -> Path:
    """Labels with their records for the training sweeps: SegGPT between the two alternatives."""
    out, frames, quality, sweeps = folder / "pseudolabels", [], [], []
    names = {value: name for name, value in CLASSES.items()}
    for sweep, label in made.labels.items():
        labels = label.copy()
        labels[-1] = 255
        save_volume(out / f"{sweep}.nii.gz", labels, (1.0, 0.6, 0.6))
        who = {"sweep": sweep, "patient": sweep.split("_")[0], "split": "train"}
        rng = seeds.rng(6, sweep)
        for name in (names[value] for value in np.unique(label) if value):
            frames += [who | row for row in _judged(name, len(label))]
            for method, mean in (("seggpt", 82), ("nearest_key_frame", 70), ("shape_interpolation", 85)):
                for reference, frame in (("held_out_key_frame", 5), ("true_mask", "volume")):
                    row = {"class": name, "frame": frame, "method": method, "reference": reference}
                    quality.append(who | row | {"dice": float(np.clip(rng.normal(mean, 6), 0, 100))})
        counts = {"key_frames": 2, "frames": len(label), "frames_accepted": len(label) - 1, "accepted": True}
        sweeps.append(
            who
            | counts
            | {"reason": "", "true_dice_accepted_frames": 84.0, "true_dice_rejected_frames": 40.0}
        )
    write_csv(out / "frames.csv", pd.DataFrame(frames))
    write_csv(out / "quality.csv", pd.DataFrame(quality))
    write_csv(out / "sweeps.csv", pd.DataFrame(sweeps))
    return out


def _judged(name: str, count: int) -> list[dict]:
    """Rows of frames.csv: confidence falls along the sweep, and the last frame is rejected."""
    return [
        {
            "class": name,
            "frame": frame,
            "confidence": 0.95 - 0.01 * frame,
            "consistency": 0.9,
            "accepted": frame < count - 1,
            "reason": "" if frame < count - 1 else "confidence 0.700 < 0.75",
        }
        for frame in range(count)
    ]


def make_predictions(job, folder: Path, made: SimpleNamespace, runs: list[str]) -> list[Path]:
    """For every run, the reference of one sweep per class, shifted by a few voxels; and more so as the worst case."""
    folders = []
    for shift, run in enumerate(runs, 2):
        folders.append(folder / "predictions" / run)
        for name, value in CLASSES.items():
            sweep = next(sweep for sweep, label in made.labels.items() if (label == value).any())
            mask = np.roll(made.labels[sweep] == value, 5 - shift, axis=2).astype(np.uint8)
            save_volume(folders[-1] / f"{sweep}_{name}.nii.gz", mask, (1.0, 0.6, 0.6))
            worse = np.roll(mask, 9, axis=2)
            save_volume(folders[-1] / "worst" / f"{sweep}_{name}.nii.gz", worse, (1.0, 0.6, 0.6))
    return folders


def make_gate(folder: Path, owed: dict[str, float]) -> Path:
    """gate.json as the stage `gate` writes it: run -> points owed to the image of validation patients at every click."""
    files = []
    for name, points in owed.items():
        rows = [
            (
                name,
                dataset,
                "val",
                f"p{case}",
                f"c{case}",
                "liver",
                click,
                image,
                70.0 - points * (image == "other"),
            )
            for dataset in ("us", "amos", "totalsegmentator", "brats")
            for case in range(2)
            for click in (1, 10)
            for image in ("own", "other")
        ]
        files.append(folder / f"{name}.parquet")
        write_scores(files[-1], pd.DataFrame(rows, columns=IMAGE_USE.names), IMAGE_USE)
    check_gate(tiny_job("gate", gate__required=False), files, [], folder / "gate.json")
    return folder / "gate.json"
