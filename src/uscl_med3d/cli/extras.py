"""Packages that are not installed: which extra of ours brings them."""

from __future__ import annotations

import re
from importlib import metadata

from uscl_med3d.core.errors import InputError

DISTRIBUTION = "uscl-med3d"


def explain_missing(error: ModuleNotFoundError) -> InputError | None:
    """What to install where a module of an extra is not there; None for any other module, which is a fault of ours."""
    package = (error.name or "").partition(".")[0]
    extras = find_extras(package)
    if not extras:
        return None
    named = " or ".join(f"`{extra}`" for extra in extras)
    return InputError(
        file=package,
        found="not installed",
        expected=f"the packages of the extra {named}",
        remedy=f'pip install "{DISTRIBUTION}[{extras[0]}]"',
    )


def find_extras(package: str) -> list[str]:
    """Names of the extras that ask for a package by itself, as the installed metadata lists them."""
    try:
        wanted = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    found = []
    for line in wanted:
        name = re.split(r"[\s<>=!~\[;(]", line, maxsplit=1)[0]
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", line)
        if extra and _same(name, package):
            found.append(extra[1])
    return found


def _same(one: str, other: str) -> bool:
    return re.sub(r"[-_.]+", "-", one).lower() == re.sub(r"[-_.]+", "-", other).lower()
