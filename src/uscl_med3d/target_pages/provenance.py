"""Where the numbers of a page come from: parameters, code, seeds and files, by the receipts of the target's jobs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from uscl_med3d.core.io import read_json, sha256
from uscl_med3d.report.html.page import fold, paragraph, table
from uscl_med3d.report.html.provenance import short
from uscl_med3d.report.words import count
from uscl_med3d.target_pages.files import OWN_RECEIPT, TargetFiles, name_below

SEEDS = ("training_seeds", "training_seed", "click_seeds")
TABLES = "tables"
"""Name of the job that makes a target's tables."""
NO_RECEIPTS = (
    "No receipts: the jobs of this target write none, so which code made its files is not recorded. Their "
    "parameters and the SHA-256 of every file that is shown here are below."
)


def show_provenance(job: Any, files: TargetFiles) -> str:
    """Seeds, do the files agree with receipts, one row per job, and the parameters."""
    receipts = read_receipts(files.receipts)
    return "".join(
        [
            paragraph(f"Master seed {job.seed}. {_describe_tools(receipts)}".strip()),
            check_files(files.shown(), receipts),
            _jobs(receipts) if receipts else paragraph(NO_RECEIPTS, "note"),
            _shown(files.shown()),
            _parameters(job, receipts),
        ]
    )


def read_receipts(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Name -> receipt, sorted; without the page's own."""
    wanted = sorted(path for path in map(Path, paths) if path.is_file() and path.name != OWN_RECEIPT)
    return {name_below(path, "receipts"): read_json(path) for path in wanted}


def check_files(shown: Sequence[Path], receipts: Mapping[str, Any]) -> str:
    """Are the files of this page those that the jobs wrote? Says which are not, and which no receipt names."""
    written = {path: value for receipt in receipts.values() for path, value in receipt["outputs"].items()}
    named = [path for path in shown if str(path) in written]
    changed = [path for path in named if sha256(path) != written[str(path)]]
    if not named:
        return ""
    text = f"{count(len(named) - len(changed), 'file')} of {len(shown)} shown here are what their receipts say, by SHA-256."
    others = sorted(str(path) for path in set(shown) - set(named))
    if others:
        text += f" No receipt names {', '.join(others)}: what a clock measured is in none."
    if changed:
        text += f" NOT what their job wrote: {', '.join(map(str, changed))}."
    return paragraph(text, "note bad" if changed else "note good")


def find_seeds(params: Any) -> list[int]:
    """Seeds of training and clicks, wherever they stand in a job's parameters; sorted."""
    return sorted(set(_walk(params)))


def _walk(node: Any) -> Iterator[int]:
    if not isinstance(node, Mapping):
        return
    for key, value in node.items():
        if key in SEEDS and value is not None:
            yield from value if isinstance(value, list) else [value]
        else:
            yield from _walk(value)


def _describe_tools(receipts: Mapping[str, Any]) -> str:
    """Versions of Python and libraries, each once."""
    found = {f"Python {receipt['python']}" for receipt in receipts.values()}
    libraries = {
        f"{name} {version}" for receipt in receipts.values() for name, version in receipt["libraries"].items()
    }
    return f"Made with {', '.join([*sorted(found), *sorted(libraries)])}." if found else ""


def _jobs(receipts: Mapping[str, Any]) -> str:
    intro = (
        "One row per job, by the receipt that it wrote when it ended: SHA-256 (first digits) of its "
        "parameters, of the code that it had loaded, and of what it wrote."
    )
    rows = []
    for name, receipt in receipts.items():
        params = hashlib.sha256(json.dumps(receipt["params"], sort_keys=True).encode()).hexdigest()
        made = "<br>".join(
            f"<code>{escape(Path(path).name)}</code> <code>{short(value)}</code>"
            for path, value in receipt["outputs"].items()
        )
        seeds = ", ".join(map(str, find_seeds(receipt["params"]))) or "–"
        code = receipt["code"]
        rows.append(
            [
                f'<td id="job-{escape(name.replace("/", "-"))}"><b>{escape(name)}</b></td>',
                f"<td>{escape(receipt['verb'])}</td>",
                f"<td>{escape(seeds)}</td>",
                f'<td class="hashes"><code>{short(params)}</code></td>',
                f'<td class="hashes"><code>{short(code["sha256"])}</code><br>{count(len(code["modules"]), "module")}</td>',
                f'<td class="number">{len(receipt["inputs"])}</td>',
                f'<td class="hashes">{made}</td>',
            ]
        )
    header = ("Job", "Verb", "Seeds of training and clicks", "Parameters", "Code", "Inputs", "Written")
    title = '<h3 id="provenance-jobs">Jobs</h3>'
    return title + paragraph(intro, "muted") + fold(count(len(rows), "job"), table(header, rows))


def _shown(shown: Sequence[Path]) -> str:
    rows = [
        [f"<td><code>{escape(str(path))}</code></td>", f"<td><code>{sha256(path)}</code></td>"]
        for path in shown
    ]
    title = '<h3 id="provenance-files">Files shown here</h3>'
    return title + fold(count(len(rows), "file"), table(("File", "SHA-256"), rows))


def _parameters(job: Any, receipts: Mapping[str, Any]) -> str:
    """Those that the tables were made with, by their receipt; those of the job file where there is none."""
    made_with = receipts[TABLES]["params"] if TABLES in receipts else job.model_dump(mode="json")
    text = json.dumps(made_with, indent=1, ensure_ascii=False)
    inner = f'<div class="scroll" tabindex="0"><pre>{escape(text)}</pre></div>'
    return '<h3 id="provenance-parameters">Parameters</h3>' + fold("all parameters of the tables' job", inner)
