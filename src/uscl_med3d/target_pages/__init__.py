"""Report pages of the targets beside the default run: `ssl`, `samus`, `usgra`. One HTML file each, from landed files.

A page is made from tables, figures, learning curves and receipts alone, without torch; its numbers are read from them.
"""

from __future__ import annotations

from uscl_med3d.target_pages.build import build_page
from uscl_med3d.target_pages.files import TargetFiles
from uscl_med3d.target_pages.targets import TARGETS

__all__ = ["TARGETS", "TargetFiles", "build_page"]
