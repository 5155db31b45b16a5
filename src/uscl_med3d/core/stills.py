"""What the workflow needs to know of the comparisons on single images (targets `usgra` and `samus`)."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from uscl_med3d.core.closure import list_sources
from uscl_med3d.core.params import Params


class WholePlan(Protocol):
    """What is asked of the plan of all stages; see `core.plan.Plan`."""

    params: Params
    scale: str

    def list_folder(self, name: str) -> str:
        """Path of the listing of a folder outside the repository."""

    def foundation_weights(self, model: str) -> str:
        """Path of a base model's weights."""


class StillsPlan:
    """Files, source files and rows of the targets on single images."""

    def __init__(self, plan: WholePlan) -> None:
        self.plan, self.settings, self.samus = plan, plan.params.stills, plan.params.samus.with_variants()

    @property
    def files(self) -> list[str]:
        """Listing of the image set of `stills`, if it is there; a job says what is missing."""
        return [self.plan.list_folder("stills")] if Path(self.settings.folder).is_dir() else []

    def code(self, name: str) -> list[str]:
        """Source files of a job of one method on an image set."""
        module = self.settings.methods[name].module
        return list_sources("uscl_med3d.stills.fold", f"uscl_med3d.methods.stills.{module}")

    def base(self, name: str) -> list[str]:
        """Weights of the base SAM, where a method on an image set starts from them."""
        return self._base(self.settings.methods[name].base)

    @property
    def scans(self) -> str:
        """Folder of the simulated single images."""
        return f"data/raw/stills/{self.plan.scale}"

    @property
    def samus_rows(self) -> list[str]:
        """Methods and variants of SAMUS on the simulated single images."""
        return list(self.samus.methods)

    def samus_code(self, name: str) -> list[str]:
        """Source files of a job of one of them."""
        module = self.samus.methods[name].module
        return list_sources("uscl_med3d.stills.sets", f"uscl_med3d.methods.stills.{module}")

    def samus_base(self, name: str) -> list[str]:
        """Weights of the base SAM, where one of them starts from these."""
        return self._base(self.samus.methods[name].base)

    def _base(self, wanted: bool) -> list[str]:
        return [self.plan.foundation_weights("sam")] if wanted else []
