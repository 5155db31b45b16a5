"""Metadata of simulated patients: what the simulator drew of them, drawn again from the same named streams.

Nothing is simulated anew and no byte of the cohort changes. Body wall and size shape every image of a patient: the wall is
the layer of fat and muscle above everything that is looked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.io import write_csv
from uscl_med3d.core.seeds import rng
from uscl_med3d.simulate.cohort import list_sweeps

CLASSES = 3
"""Equal parts that a number is divided into, within each group, so that a class says nothing of the group."""


def write_metadata(job: Any, out: Path) -> None:
    """Write one row a patient: group, size (share of the usual), wall_mm (fat and muscle), and their classes.

    Thirds are those of the patients of the same group, whatever their split: metadata are known of every patient.
    """
    patients = pd.DataFrame(list_sweeps(job.cohort)).drop_duplicates("patient")[["patient", "group"]]
    table = patients.assign(**_draw(job, patients)).reset_index(drop=True)
    for column, name in (("wall_mm", "body_wall_class"), ("size", "body_size_class")):
        rank = table.groupby("group")[column].rank(method="first", pct=True)
        table[name] = ((rank * CLASSES).apply(lambda share: -int(-share // 1)) - 1).astype(int)
    write_csv(out, table)


def _draw(job: Any, patients: pd.DataFrame) -> dict[str, list[float]]:
    """The first draws of every patient's stream, in the order of `simulate.chest` and `simulate.abdomen`."""
    sizes, walls = [], []
    for row in patients.to_dict("records"):
        build, person = job.cohort.build[row["group"]], rng(job.seed, "simulate", row["patient"])
        sizes.append(float(person.uniform(*build.size)))
        walls.append(float(person.uniform(*build.fat_mm)) + float(person.uniform(*build.muscle_mm)))
    return {"size": sizes, "wall_mm": walls}
