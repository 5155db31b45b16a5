"""Candidates of the search: a method's fine-tune with other training values.

A candidate names all values that the search varies, so that its job does not depend on the values in use. A key
is an option of the method, or with the prefix `finetune.` a value of the section `finetune`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from uscl_med3d.core.errors import InputError

SECTION = "finetune."
Values = TypeVar("Values", bound=Mapping[str, Any])


def list_candidates(
    candidates: Mapping[str, tuple[dict[str, Any], ...]],
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name of each candidate (`<method>-<number>`, from 1): its method and values, in the order of the parameters."""
    return {
        f"{method}-{number}": (method, values)
        for method, several in candidates.items()
        for number, values in enumerate(several, 1)
    }


def apply(job: dict[str, Any], values: Mapping[str, Any], file: str) -> dict[str, Any]:
    """The job file of a fine-tune with a candidate's values.

    Raises:
        InputError: for a value that the method or the section does not have.
    """
    options, section = dict(job["method"]["tuning"] or {}), dict(job["finetune"])
    for key, value in values.items():
        target, name = _find(key, options, section)
        if name not in target:
            known = [*options, *(SECTION + one for one in section)]
            raise InputError(
                file=file,
                found=f"search.candidates: {key}",
                expected=f"one of {', '.join(known)}",
                remedy="correct the name",
            )
        target[name] = value
    return job | {"method": job["method"] | {"tuning": options}, "finetune": section}


def in_use(method: Mapping[str, Any], finetune: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether the parameters have a candidate's values (`method`: its tuning)."""
    places = ((*_find(key, method, finetune), value) for key, value in values.items())
    return all(place[name] == value for place, name, value in places)


def _find(key: str, options: Values, section: Values) -> tuple[Values, str]:
    """Where a candidate's value belongs, and its name there."""
    return (section, key.removeprefix(SECTION)) if key.startswith(SECTION) else (options, key)
