"""What the workflow needs to know before it runs: runs, paths and job files. Never imported by a stage."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from uscl_med3d.core import params as parameters
from uscl_med3d.core import shipped
from uscl_med3d.core.closure import list_sources
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.foundations import check_sets, list_needed, needs_teacher
from uscl_med3d.core.io import read_json, write_text
from uscl_med3d.core.listing import list_cohort, write_listing
from uscl_med3d.core.params.foundation import BASE_MODELS
from uscl_med3d.core.params.methods import MethodEntry, Run
from uscl_med3d.core.reporting import FIGURES, OWN_TABLES, SHOWN, TABLES, VOLUME_FIGURES
from uscl_med3d.core.runs import TASKS, cell_id, list_runs, main_run, pretraining_id
from uscl_med3d.core.search import apply, list_candidates
from uscl_med3d.core.ssl import SslPlan
from uscl_med3d.core.stills import StillsPlan


class Plan:
    """Paths and lists of one scale. Every path is relative to the repository."""

    def __init__(self, config: Mapping[str, Any], file: str = "params.yaml") -> None:
        self.file = file
        self.params = parameters.validate(dict(config), file)
        self.scale = self.params.scale
        self.results = f"results/{self.scale}"
        self.runs: dict[str, Run] = {
            run.id: run for run in list_runs(self.params.methods, self.params.training_seeds)
        }
        self.ssl = SslPlan(self.params, self.results)
        self.stills = StillsPlan(self)
        self.main_runs = {name: main_run(name, entry) for name, entry in self.params.methods.items()}
        weights = {name: self._weights(name) for name in self.foundations}
        check_sets(weights, self.params.general, file)

    @classmethod
    def of_results(cls, scale: str) -> Plan:
        """The plan that the results of a scale were made with (its file `params/all.json`)."""
        file = f"results/{scale}/params/all.json"
        return cls(read_json(file), file)

    # ------------------------------------------------------------------------------------------ job files
    def write_job_files(self) -> None:
        """Write every job file whose content changed (an unchanged file keeps its time, so nothing re-runs)."""
        folder = Path(self.results, "params")
        per_item = ("finetune", "evaluate", "measure", "figure", "pretrain", "ssl_cell", "ssl_frames")
        wanted = {
            f"{stage}.json": parameters.slice_job(self.params, stage)
            for stage in parameters.SLICES
            if stage not in per_item and not self._is_idle(stage)
        }
        wanted |= {f"figure/{name}.json": parameters.slice_figure(self.params, name) for name in self.figures}
        for run in self.runs.values():
            stages = ["evaluate"] + ["finetune"] * self.params.methods[run.method].trained
            wanted |= {
                f"{stage}/{run.id}.json": parameters.slice_job(self.params, stage, run) for stage in stages
            }
        for name in {str(run.pretraining) for run in self.pretrainings.values()}:
            wanted[f"pretrain/{name}.json"] = parameters.slice_job(self.params, "pretrain", pretext=name)
        for name in self.measured:
            wanted[f"measure/{name}.json"] = parameters.slice_job(self.params, "measure", self.runs[name])
        for count in self.params.annotation.key_frames:
            fewer = self.params.pseudolabel.model_copy(update={"key_frames": count})
            changed = self.params.model_copy(update={"pseudolabel": fewer})
            wanted[f"annotation/k{count}.json"] = parameters.slice_job(changed, "pseudolabel")
        for name, (_, values) in self.candidates.items():
            job = parameters.slice_job(self.params, "finetune", self.runs[self.candidate_run(name)])
            wanted[f"search/{name}.json"] = apply(job, values, self.file)
        wanted |= self.ssl.list_jobs()
        # No job reads this one; it says with what the results of the scale were made.
        wanted["all.json"] = self.params.model_dump(mode="json")
        for name, values in wanted.items():
            text = json.dumps(values, indent=2) + "\n"
            path = folder / name
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                write_text(path, text)
        for path in sorted(folder.rglob("*.json")):
            if str(path.relative_to(folder)) not in wanted:
                path.unlink()

    def job_file(self, stage: str, run: str | None = None) -> str:
        """The only configuration that a job reads."""
        return f"{self.results}/params/{stage}/{run}.json" if run else f"{self.results}/params/{stage}.json"

    @property
    def gpus(self) -> int:
        """GPUs that a torch job claims; the profile offers one, so that jobs on a GPU take turns."""
        return int(self.params.device == "cuda")

    # ------------------------------------------------------------------------------------------ data
    @property
    def simulated(self) -> bool:
        """Whether the cohort is simulated here."""
        return self.params.cohort == "simulate"

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that are made."""
        return TABLES if self.params.benchmark else OWN_TABLES

    @property
    def raw(self) -> str:
        """Folder of the simulated cohort's raw files."""
        return f"data/raw/{self.scale}"

    @property
    def cohort_csv(self) -> str:
        """The cohort's table: simulated here, or the user's own."""
        return f"{self.raw}/cohort.csv" if self.simulated else self.params.cohort

    def cohort_files(self) -> list[str]:
        """What `ingest` depends on: the simulated files, or the listing of the user's own (`core.listing`)."""
        if self.simulated:
            return [self.cohort_csv, *(f"{self.raw}/{part}" for part in ("videos", "key_frames", "truth"))]
        return [self.list_folder("cohort")]

    def write_listings(self) -> None:
        """Write what the user's own files hold; an unchanged listing keeps its time, so nothing re-runs."""
        named: dict[str, list[Path]] = {} if self.simulated else {"cohort": list_cohort(self.cohort_csv)}
        for name, place in self.params.general.items():
            if place != "simulate" and Path(place).exists():
                named[f"general_{name}"] = [Path(place)]
        for model in self.foundations:
            weights = self._weights(model)
            if weights not in (shipped.TRAIN, shipped.SHIPPED) and Path(weights).exists():
                beside = Path(weights).parent / "config.json"
                named[f"foundation_{model}"] = [Path(weights), *([beside] if beside.is_file() else [])]
        if Path(self.params.stills.folder).is_dir():
            named["stills"] = [Path(self.params.stills.folder)]
        for name, places in named.items():
            write_listing(
                Path(self.list_folder(name)), places, Path(self.results, ".store/hashes", f"{name}.json")
            )

    def list_folder(self, name: str) -> str:
        return f"{self.results}/inputs/{name}.json"

    def general_folder(self, name: str) -> str:
        """Folder of one general-domain set: simulated here, or the user's own copy."""
        place = self.params.general[name]
        return f"data/general/{self.scale}/{name}" if place == "simulate" else place

    @property
    def general_folders(self) -> list[str]:
        """Folders of all general-domain sets, in the order of the tables."""
        return [self.general_folder(name) for name in self.params.general]

    def scored_general(self, run: str) -> list[str]:
        """Folders of the general-domain sets that a run is scored on."""
        return [self.general_folder(name) for name in self.params.general if name in self.runs[run].datasets]

    def scored_inputs(self, run: str) -> list[str]:
        """Of these, what can be a rule's input: simulated folders, and listings of the user's own that are there.

        The check before a run reports the missing.
        """
        return self._general_inputs(self.scored_general(run))

    def _general_inputs(self, folders: Iterable[str]) -> list[str]:
        listings = {
            place: self.list_folder(f"general_{name}")
            for name, place in self.params.general.items()
            if place != "simulate"
        }
        return [
            listings.get(folder, folder)
            for folder in folders
            if folder not in listings or Path(folder).exists()
        ]

    # ------------------------------------------------------------------------------------------ base models
    @property
    def foundations(self) -> list[str]:
        """Base models that this run needs."""
        return list_needed(self.params.methods, {name: self._weights(name) for name in BASE_MODELS})

    def foundation_weights(self, model: str) -> str:
        """Weights file of a base model."""
        return f"{self.results}/checkpoints/foundation/{model}.safetensors"

    def foundation_general(self, model: str) -> list[str]:
        """Folders of the general-domain sets, for a base model that is trained on them."""
        return self.general_folders if BASE_MODELS[model].general and self._trains(model) else []

    def foundation_inputs(self, model: str) -> list[str]:
        """Of these, what can be a rule's input (see `scored_inputs`)."""
        return self._general_inputs(self.foundation_general(model))

    def teacher(self, model: str) -> list[str]:
        """Weights of the base model that a base model learns from."""
        teacher = needs_teacher(model, self._weights(model))
        return [self.foundation_weights(teacher)] if teacher else []

    def given_weights(self, model: str) -> list[str]:
        """What a base model that is not trained here is made from, if it is there: files that are shipped with the
        program, or the listing of an official checkpoint."""
        weights = self._weights(model)
        if weights == shipped.SHIPPED:
            return [str(file) for file in shipped.list_files(model) if file.is_file()]
        there = weights != shipped.TRAIN and Path(weights).exists()
        return [self.list_folder(f"foundation_{model}")] if there else []

    def base_weights(self, run: str) -> list[str]:
        """Weights of the base model of a run's method; nothing for methods that start from none."""
        base = self.params.methods[self.runs[run].method].base
        return [self.foundation_weights(base)] if base else []

    def _trains(self, model: str) -> bool:
        return self._weights(model) == shipped.TRAIN

    def _weights(self, model: str) -> str:
        weights: str = getattr(self.params.foundation, model).weights
        return weights

    def _is_idle(self, stage: str) -> bool:
        """Whether a stage has nothing to do: a base model that is not needed, contact sheets of simulated sweeps."""
        if stage == "ingest_sheets":
            return self.simulated
        model = stage.removeprefix("foundation_")
        return model != stage and model not in self.foundations

    @property
    def simulated_sets(self) -> list[str]:
        """Folders of the general-domain sets that are simulated here."""
        return [
            self.general_folder(name) for name, place in self.params.general.items() if place == "simulate"
        ]

    # ------------------------------------------------------------------------------------------ runs
    @property
    def trained(self) -> list[str]:
        """Ids of the runs that fine-tuning makes."""
        return [run.id for run in self.runs.values() if self.params.methods[run.method].trained]

    @property
    def pretrainings(self) -> dict[str, Run]:
        """Pretrainings that are made here: those of `starts` whose adapter is not given (`pretrained`)."""
        return {name: run for name, run in self.starts.items() if name not in self.params.pretrained}

    @property
    def starts(self) -> dict[str, Run]:
        """Pretrained encoders: name -> one of the runs that start from it. One for each task, rank and training seed."""
        found: dict[str, Run] = {}
        for run in sorted(self.runs.values(), key=lambda run: run.rank or 0):
            if name := pretraining_id(run):
                found.setdefault(name, run)
        return found

    def pretrain_file(self, pretraining: str) -> str:
        """Job file of a pretraining: that of its pretext task."""
        return self.job_file("pretrain", self.pretrainings[pretraining].pretraining)

    def pretrain_code(self, pretraining: str) -> list[str]:
        """Source files of a pretraining: the stage's, and those of its pretext task, which is found by name."""
        task = self.pretrainings[pretraining].pretraining
        return list_sources("uscl_med3d.pretext.stage", f"uscl_med3d.pretext.{task}")

    @property
    def judged(self) -> list[str]:
        """Ids of the runs that the gate looks at: the methods that it names, and all that are tuned."""
        gate = self.params.gate
        return [
            self.main_runs[name]
            for name, entry in self.params.methods.items()
            if name in gate.seeing or name in gate.blind or entry.tuning is not None
        ]

    def code(self, module: str, run: str) -> list[str]:
        """Source files of a job of one run: the stage's, and those of its method, tuning and task, found by name."""
        entry = self._tuned_entry(run)
        found = [f"uscl_med3d.methods.{entry.module or self.runs[run].method}"]
        if entry.tuning is not None:
            found.append(f"uscl_med3d.tuning.{entry.tuning['strategy']}")
        if module.startswith("uscl_med3d.train"):
            found.append(f"uscl_med3d.train.tasks.{TASKS[entry.works_on]}")
        return list_sources(module, *found)

    def _tuned_entry(self, run: str) -> MethodEntry:
        """A run's entry of the registry, with the tuning of the method whose weights it uses."""
        entry = self.params.methods[self.runs[run].method]
        if entry.weights_of is None:
            return entry
        source = self.params.methods[entry.weights_of]
        return entry.model_copy(update={"tuning": source.tuning})

    def weights(self, run: str) -> list[str]:
        """Checkpoint of a run: its own, that of the method whose weights it uses, or none (untouched models)."""
        source = self.params.methods[self.runs[run].method].weights_of
        name = self.main_runs[source] if source else run
        return [f"{self.results}/checkpoints/finetune/{name}.safetensors"] if name in self.trained else []

    def start_weights(self, run: str) -> list[str]:
        """The pretrained encoder that a run starts from: made here, or given."""
        name = pretraining_id(self.runs[run])
        made = f"{self.results}/checkpoints/pretrain/{name}.safetensors"
        return [self.params.pretrained.get(name, made)] if name else []

    @property
    def annotation_run(self) -> str:
        """The run that is trained anew on the pseudo-labels of fewer key frames."""
        return self.main_runs[self.params.annotation.method]

    @property
    def measured(self) -> list[str]:
        """Ids of the runs whose cost of inference is measured.

        Raises:
            InputError: if the parameters name a method that there is none of.
        """
        methods = self._choose("measure.methods", self.params.measure.methods, self.main_runs)
        return [self.main_runs[name] for name in methods]

    @property
    def candidates(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Candidates of the search for training values: name -> method and values.

        Those of methods that an overlay leaves out, or whose run for the search it does not train, are left out too.
        """
        found = list_candidates(self.params.search.candidates)
        return {name: one for name, one in found.items() if self._searched_run(one[0]) in self.trained}

    def candidate_run(self, candidate: str) -> str:
        """The run that a candidate trains with its own values."""
        return self._searched_run(self.candidates[candidate][0])

    def _searched_run(self, method: str) -> str:
        """A method's main run, without pretraining, whose own values are another question."""
        entry = self.params.methods.get(method)
        grid = entry.grid if entry else None
        return cell_id(method, grid.rank, "both", None) if grid else method

    @property
    def figures(self) -> list[str]:
        """Names of the figures that are drawn, in the order of the registry.

        Raises:
            InputError: if the parameters name a figure that there is none of.
        """
        return self._choose("figures.drawn", self.params.figures.drawn, FIGURES)

    def _choose(self, key: str, wanted: str | Sequence[str] | None, known: Iterable[str]) -> list[str]:
        """Those of `known` that a parameter asks for, in their order: `all`, or a list of names."""
        names = list(known)
        chosen = names if wanted == "all" else list(wanted or ())
        if unknown := sorted(set(chosen) - set(names)):
            raise InputError(
                file=self.file,
                found=f"{key}: {', '.join(unknown)}",
                expected=f"`all`, or a list of {', '.join(names)}",
                remedy="correct the names",
            )
        return [name for name in names if name in chosen]

    @property
    def figure_modules(self) -> list[str]:
        """Modules of these figures, which are found by name."""
        return [f"uscl_med3d.report.figures.{name}" for name in self.figures]

    @property
    def volume_figure_modules(self) -> list[str]:
        """Modules of the figures that show volumes, whatever is drawn."""
        return [f"uscl_med3d.report.figures.{name}" for name in VOLUME_FIGURES]

    @property
    def image_used(self) -> list[str]:
        """Runs whose use of the image is shown: main runs, all training seeds, of methods with a prompt and own weights.

        A prompt without a network (copied or interpolated key frames) looks at no image.
        """
        methods = self.params.methods.items()
        mains = {
            self.main_runs[name]
            for name, entry in methods
            if (entry.takes == "clicks" or entry.base) and not entry.weights_of
        }
        return [
            run.id for run in self.runs.values() if run.id.removesuffix(f"_s{run.training_seed}") in mains
        ]

    @property
    def shown(self) -> list[str]:
        """Runs whose masks figures show."""
        return [self.main_runs[name] for name in SHOWN if name in self.main_runs]

    def figure_code(self, name: str) -> list[str]:
        """Source files of one figure."""
        return list_sources("uscl_med3d.report.figures", f"uscl_med3d.report.figures.{name}")

    @property
    def curves(self) -> list[str]:
        """Learning curves of everything that is trained."""
        foundation = [f"{self.results}/curves/foundation/{model}.csv" for model in self.foundations]
        pretrain = [f"{self.results}/curves/pretrain/{name}.csv" for name in self.pretrainings]
        return foundation + pretrain + [f"{self.results}/curves/finetune/{run}.csv" for run in self.trained]
