"""dvc.yaml, made from the declarations of the stages (`core.stages`) and from what their code imports."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from uscl_med3d.core.closure import PACKAGE, SOURCE, list_sources
from uscl_med3d.core.params.files import find_sections
from uscl_med3d.core.stages import STAGES, Stage

HEAD = """\
# What is versioned. One DVC stage per stage of the pipeline; its command is the Snakemake target of that stage,
# restricted to the stage's own rules, so that Snakemake alone owns the DAG and no stage rewrites another's outputs.
# Outputs persist, because Snakemake decides inside a stage what has to run again. Small results live in Git (cache: false).
# Made by `uscl-med3d dvc_yaml > dvc.yaml` from src/uscl_med3d/core/stages.py: change the declaration there.
stages:
"""
MAIN = "params.yaml"
"""The file that DVC means where it is told no other."""
PLOTS = """
# `dvc plots show` and `dvc plots diff`: learning curves of every fine-tune and every VCL pretraining.
plots:
  - results/phantom/curves/finetune:
      x: step
      y: validation_dice
      title: Fine-tuning, validation Dice
  - results/phantom/curves/pretrain:
      x: step
      y: validation_loss
      title: VCL pretraining, validation loss
"""


def make_dvc_yaml() -> str:
    """The text of dvc.yaml."""
    return HEAD + "\n".join(_describe(stage) for stage in STAGES) + PLOTS


def list_code(stage: Stage) -> list[str]:
    """Source files that a stage's jobs may import, whatever the parameters name; relative to the repository."""
    modules = [*stage.modules, *(name for package in stage.finds for name in _list_modules(package))]
    return list_sources(*(f"{PACKAGE}.{name}" for name in modules))


def list_rooms(files: Iterable[str]) -> list[str]:
    """Folders of the rooms that hold these files; single files where a room gives only one, beside its `__init__`s."""
    rooms: dict[str, list[str]] = {}
    for file in files:
        parts = PurePosixPath(file).parts  # src, package, room or module
        rooms.setdefault("/".join(parts[:3]), []).append(file)
    watched: list[str] = []
    for room, held in rooms.items():
        modules = [file for file in held if not file.endswith("/__init__.py")]
        watched += held if len(modules) <= 1 else [room]
    return sorted(watched)


def list_dependencies(stage: Stage) -> list[str]:
    """What DVC watches for a stage, beside parameters."""
    rules = f"workflow/rules/{stage.name}.smk"
    return [*stage.recipes, *stage.inputs, *list_rooms(list_code(stage)), rules]


def list_params(stage: Stage) -> dict[str, list[str]]:
    """Parameter file -> the sections in it that a stage reads; params.yaml is the first."""
    files: dict[str, list[str]] = {MAIN: []}
    places = find_sections(SOURCE.parent)
    for section in stage.sections:
        for file in places[section]:
            files.setdefault(file, []).append(section)
    return files


def _describe(stage: Stage) -> str:
    rules, targets = " ".join(stage.rules), " ".join(stage.targets)
    outs = [f"{path}: {{persist: true}}" for path in stage.kept]
    outs += [f"{path}: {{persist: true, cache: false}}" for path in stage.small]
    files = list_params(stage)
    params = files.pop(MAIN) + [f"{file}: [{', '.join(sections)}]" for file, sections in files.items()]
    lines = [
        f"  {stage.name}:",
        f"    cmd: snakemake --cores all --allowed-rules {rules} -- {targets}",
        f"    params: [{', '.join(params)}]",
        *_block("deps", list_dependencies(stage)),
        *_block("outs", outs),
        *_block("metrics", [f"{path}: {{persist: true, cache: false}}" for path in stage.metrics]),
    ]
    return "\n".join(lines) + "\n"


def _block(key: str, items: list[str]) -> list[str]:
    return [f"    {key}:", *(f"      - {item}" for item in items)] if items else []


def _list_modules(package: str) -> list[str]:
    """Modules and packages of one folder, by their dotted names within this package."""
    folder = SOURCE / PACKAGE / package.replace(".", "/")
    names = [file.stem for file in folder.glob("*.py") if file.stem != "__init__"]
    names += [file.parent.name for file in folder.glob("*/__init__.py")]
    return [f"{package}.{name}" for name in sorted(names)]
