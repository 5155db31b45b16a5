"""The page of a target: what was asked, what came out, every table and figure, how to make it again, provenance."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from uscl_med3d.core.io import write_text
from uscl_med3d.report.html.page import FOOTER, page, paragraph
from uscl_med3d.target_pages import curves
from uscl_med3d.target_pages.files import TargetFiles
from uscl_med3d.target_pages.provenance import show_provenance
from uscl_med3d.target_pages.tables import show_table
from uscl_med3d.target_pages.target import Target
from uscl_med3d.target_pages.targets import TARGETS


def build_page(name: str, job: Any, files: TargetFiles, out_html: Path) -> None:
    """Write the page of a target. Equal files give equal bytes.

    Args:
        name: key of `TARGETS`.
        job: parameters of the stage `Target.stage`.
        files: of the target; what is missing is said in its place.
        out_html: the page.
    """
    target = TARGETS[name]
    asked = f"<p><b>Asked:</b> {escape(target.asked)}</p>"
    parts = [("overview", "Overview", asked + target.overview(job, files))]
    parts += [(anchor, title, build(job, files)) for anchor, title, build in target.sections]
    parts += [
        ("training", "Training", _training(target, files)),
        ("again", "Make it again", _again(target)),
        ("provenance", "Provenance", show_provenance(job, files)),
    ]
    write_text(out_html, page(target.title, target.summarise(files), parts, FOOTER))


def _training(target: Target, files: TargetFiles) -> str:
    found = curves.read_curves(files.curves) if files.curves else None
    return show_table(curves.TABLE, found, target.command)


def _again(target: Target) -> str:
    page = f"uscl-med3d target_page --target {target.name}"
    return (
        paragraph("Everything from the parameters, in a checkout of the repository; nothing runs twice:")
        + f"<p><code>{escape(target.command)}</code></p>"
        + paragraph("This page again from the files in Git, compared byte for byte, without any training:")
        + f"<p><code>{escape(target.again)}</code></p>"
        + f"<p>The page alone: <code>{escape(page)}</code> (<code>--help</code> lists its options). "
        + f"What was done, and why so: <code>{escape(target.doc)}</code>.</p>"
    )
