"""The section about image use: do the models look at the image?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.reporting import BLIND
from uscl_med3d.report.figures import image_use as figure_of_use
from uscl_med3d.report.html.page import cell, figure, fold, paragraph, table
from uscl_med3d.report.words import signed

INTRO = (
    "A promptable model can score well by drawing a blob round the clicks. So every model is scored twice with the same "
    "weights and the same clicks: with the image that the clicks belong to, and with another patient's. The difference "
    "is what it gains by looking. In Tables 1, 2, 6 and 7 the rows “ball” and “atlas” look at no image (the ball only knows "
    "where the acquisition ends, so its difference is no gain); a value worse than one of them is marked †."
)
HEADER = ("Method", "Data set", "Clicks", "Own image", "Another's", "Difference", "Interval", "Patients")


def image_use(job: Any, inputs: Any) -> str:
    """What it is, the result in a sentence, the figure and the table."""
    shown = figure(inputs.figures_dir / "image_use.png", figure_of_use.TITLE, figure_of_use.CAPTION)
    path = inputs.image_use_csv
    frame = pd.read_csv(path) if path is not None and Path(path).is_file() else pd.DataFrame()
    if frame.empty:
        return paragraph(INTRO) + paragraph("Not measured in this run.", "note") + shown
    rows = [as_row(record) for record in frame.to_dict("records")]
    return paragraph(INTRO) + tell(frame) + shown + fold("all values", table(HEADER, rows))


def tell(frame: pd.DataFrame) -> str:
    """Which methods gain nothing by looking, on ultrasound after the most clicks; of those that look at all."""
    shown = frame["points"].isin([0, int(frame["points"].max())])
    rows = frame.loc[(frame["dataset"] == "ultrasound") & shown & ~frame["method"].isin(BLIND)]
    blind = list(rows.loc[~(rows["ci_low"] > 0), "method"])
    if not len(rows):
        return paragraph("Not measured on ultrasound.", "note")
    seeing = [
        f"{row['method']} {signed(float(row['difference']), 1)}"
        for row in rows.to_dict("records")
        if row["method"] not in blind
    ]
    parts = [f"On ultrasound these gain by looking (Dice points): {', '.join(seeing)}."] if seeing else []
    parts += [f"For these no gain is shown: {', '.join(blind)}."] if blind else []
    return paragraph(" ".join(parts), "note bad" if blind else "note good")


def as_row(record: dict[Any, Any]) -> list[str]:
    """Cells of one row of `HEADER`."""
    numbers = [f"{record[name]:.1f}" for name in ("dice_own", "dice_other", "difference")]
    interval = f"[{record['ci_low']:.1f}, {record['ci_high']:.1f}]"
    values = [str(record["points"]), *numbers, interval, str(record["n_patients"])]
    return [cell(record["method"]), cell(record["dataset"]), *(cell(value, "number") for value in values)]
