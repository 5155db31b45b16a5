"""The targets that have a page, and where their files lie."""

from __future__ import annotations

from pathlib import Path

from uscl_med3d.target_pages import samus, ssl, usgra
from uscl_med3d.target_pages.files import OWN_RECEIPT, TargetFiles
from uscl_med3d.target_pages.target import Target

TARGETS: dict[str, Target] = {target.name: target for target in (ssl.TARGET, samus.TARGET, usgra.TARGET)}
PAGE = "report.html"


def has_run(target: Target, results: Path) -> bool:
    """Whether the target's main table is below `results/<scale>`."""
    return (results / target.main).is_file()


def list_landed(target: Target, results: Path) -> TargetFiles:
    """Files of a finished target below `results/<scale>`, as its rule hands them over."""
    folder, beside = results / target.folder, (results / target.main).parent
    receipts = [path for path in sorted((folder / "receipts").rglob("*.json")) if path.name != OWN_RECEIPT]
    return TargetFiles(
        tables=[path for path in (beside / f"{name}.csv" for name in target.tables) if path.is_file()],
        figures=sorted((folder / target.figures).glob("*.png")),
        curves=sorted((folder / "curves").rglob(target.curves)),
        receipts=receipts,
    )
