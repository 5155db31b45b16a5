"""Sections of Markdown pages that show results: rewritten from a results folder, never by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import write_text

PAGES = {
    "README.md": "results/phantom",
    "docs/image_use.md": "results/phantom",
    "docs/report.md": "results/phantom",
    "docs/study.md": "results/study",
}
"""Page -> folder of the results that it shows."""


def update_page(page: Path, results: Path) -> None:
    """Fill every section between `<!-- begin NAME -->` and `<!-- end NAME -->` of a page.

    NAME is `cost` (what the run cost), `image_use` (own image and another patient's), `verdicts` (claims that this run
    has an estimate for), `usgra` (real single images, of the scale `usgra` beside this one), or a table, of which the rows
    of the last click are shown.
    """
    text = Path(page).read_text(encoding="utf-8")
    for name in re.findall(r"<!-- begin (\w+) -->", text):
        text = replace_section(text, name, _content(name, Path(results)), page)
    write_text(page, text)


def _content(name: str, results: Path) -> str:
    if name == "cost":
        return cost_table(results / "benchmarks/run.csv")
    if name == "image_use":
        return image_use_table(results / "image_use.csv")
    if name == "verdicts":
        return verdict_table(results / "claims.csv")
    if name == "usgra":
        return stills_table(results.parent / "usgra/tables/stills.csv")
    return keep_last_clicks((results / f"tables/{name}.md").read_text(encoding="utf-8"))


def image_use_table(csv: Path) -> str:
    """Dice with the own and with another patient's image, and the difference with its interval, of every row."""
    lines = [
        "| Method | Set | Clicks | Own image | Another's | Difference |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for row in pd.read_csv(csv).itertuples():
        interval = f"{row.difference:.1f} [{row.ci_low:.1f}, {row.ci_high:.1f}]"
        lines.append(
            f"| {row.method} | {row.dataset} | {row.points} | {row.dice_own:.1f} | {row.dice_other:.1f} | {interval} |"
        )
    return "\n".join(lines)


def stills_table(csv: Path) -> str:
    """Dice of every method on single images, per structure, and what it owes to the image; images and clusters below.

    After the first click, or without any of methods that get none.
    """
    frame = pd.read_csv(csv)
    frame = frame[frame["points"] == frame.groupby("method")["points"].transform("min")]
    names = [name for name in frame["class"].unique() if name != "all"]
    head = [
        "Method",
        "Clicks",
        *(f"Dice, {name}" for name in names),
        "Dice, all",
        "another image, all",
        "difference, all",
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for (method, points), rows in frame.groupby(["method", "points"], sort=False):
        at = rows.set_index("class")
        whole = at.loc["all"]
        cells = [
            f"{at.dice[name]:.1f} [{at.ci_low[name]:.1f}, {at.ci_high[name]:.1f}]" for name in [*names, "all"]
        ]
        own = f"{whole.own_minus_other:.1f} [{whole.own_low:.1f}, {whole.own_high:.1f}]"
        lines.append(f"| {method} | {points} | " + " | ".join(cells) + f" | {whole.dice_other:.1f} | {own} |")
    largest = frame[["images", "groups"]].max()
    lines += [
        "",
        f"{largest.images} images in {largest.groups} clusters of near-duplicates; 95 % intervals over clusters.",
    ]
    return "\n".join(lines)


def verdict_table(claims: Path) -> str:
    """Claim, verdict and estimate of every claim that the run could test, and how many it could not."""
    frame = pd.read_csv(claims, keep_default_na=False)
    tested = frame[frame["estimate"] != ""]
    lines = ["| Claim of the paper | Verdict | Estimate |", "|---|---|---|"]
    for row in tested.to_dict("records"):
        low, high = row["ci_low"], row["ci_high"]
        interval = f" [{float(low):.1f}, {float(high):.1f}]" if low != "" else ""
        number = f"{float(row['estimate']):.1f}{interval}"
        lines.append(f"| {row['claim']} | **{row['verdict']}** | {number} |")
    left = len(frame) - len(tested)
    return "\n".join([*lines, "", f"Claims that need runs not made yet: {left}."] if left else lines)


def keep_last_clicks(table: str) -> str:
    """A Markdown table without the rows of earlier clicks, if it has a column `Clicks`."""
    lines = table.splitlines()
    header = next(line for line in lines if line.startswith("| "))
    names = [cell.strip() for cell in header.strip("| ").split("|")]
    if "Clicks" not in names:
        return table
    column = names.index("Clicks")

    def clicks(line: str) -> str:
        return line.strip("| ").split("|")[column].strip()

    rows = [line for line in lines if line.startswith("| ") and clicks(line).isdigit()]
    last = max(int(clicks(line)) for line in rows)
    return "\n".join(line for line in lines if line not in rows or int(clicks(line)) == last)


def replace_section(text: str, name: str, content: str, file: Path) -> str:
    """Replace what stands between `<!-- begin name -->` and `<!-- end name -->`."""
    pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise InputError(
            file=file,
            found=f"no section {name}",
            expected=f"<!-- begin {name} --> and <!-- end {name} -->",
            remedy="put the two marker lines back",
        )
    return pattern.sub(lambda match: f"{match[1]}\n{content.strip()}\n\n{match[2]}", text)


def cost_table(run_csv: Path) -> str:
    """Jobs, seconds, longest job, processor seconds and peak memory of every stage, from `benchmarks/run.csv`."""
    frame = pd.read_csv(run_csv)
    table = frame.groupby("stage", sort=True).agg(
        jobs=("job", "size"),
        wall=("wall_seconds", "sum"),
        longest=("wall_seconds", "max"),
        cpu=("cpu_seconds", "sum"),
        memory=("peak_memory_mb", "max"),
    )
    lines = [
        "| stage | jobs | seconds, all jobs | longest job, s | CPU-seconds | peak memory of a job, GB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, row in table.iterrows():
        lines.append(
            f"| {name} | {row.jobs:.0f} | {row.wall:.0f} | {row.longest:.0f} | {row.cpu:.0f} | {row.memory / 1024:.2f} |"
        )
    total = table.sum(numeric_only=True)
    lines.append(
        f"| all | {total.jobs:.0f} | {total.wall:.0f} | | {total.cpu:.0f} | {table.memory.max() / 1024:.2f} |"
    )
    return "\n".join(lines)
