"""What a target's page consists of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uscl_med3d.report.html.page import figure
from uscl_med3d.target_pages.files import TargetFiles
from uscl_med3d.target_pages.tables import Table, show_table

Build = Callable[[Any, TargetFiles], str]
"""(parameters of the target's job, its files) -> HTML."""


@dataclass(frozen=True)
class Target:
    """A target beside the default run.

    Attributes:
        name: of the Snakemake target. stage: whose job file has its parameters.
        folder: of the page, below `results/<scale>`. figures: folder of figures, below that one.
        main: the table without which there is nothing to show, below `results/<scale>`; the others lie beside it.
        tables: names of all tables. curves: which files below the folder `curves` are learning curves.
        title, asked: of the page; what was asked, in one sentence.
        command: that makes everything again. again: that makes the page again from what is in Git.
        doc: the page of the documentation about it.
        summarise: the main result in one sentence, computed from the files.
        overview: what follows the question: verdicts, controls, what has to be known.
        sections: (anchor, title, builder).
    """

    name: str
    stage: str
    folder: str
    figures: str
    main: str
    tables: tuple[str, ...]
    curves: str
    title: str
    asked: str
    command: str
    again: str
    doc: str
    summarise: Callable[[TargetFiles], str]
    overview: Build
    sections: tuple[tuple[str, str, Build], ...]


def show(table: Table, files: TargetFiles, command: str) -> str:
    """A table of the target by its description."""
    return show_table(table, files.read(table.name), command)


def draw(name: str, title: str, caption: str, files: TargetFiles) -> str:
    """A figure of the target, by its name."""
    return figure(files.figure(name), title, caption)
