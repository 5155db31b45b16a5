"""Every parameter with its default value, its type and its meaning: `uscl-med3d params`, and docs/parameters.md.

Values and meanings are those of params.yaml and params/; types and limits those of the classes of this
package. A field without a comment has the meaning of the same field where it has one, or that which its class's
docstring gives it.
"""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params import Params
from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.comments import Entry, read_entries
from uscl_med3d.core.params.files import list_default_files

BASES = "foundation"
"""Section whose keys stand in a file each, and are sections of their own here."""
TOP = "Values without a section"
INTRODUCTION = """# Parameters

Every number of the pipeline: its default, its type, its meaning. `uscl-med3d params SECTION` prints a part of it.

This page is made by `uscl-med3d params --markdown > docs/parameters.md` from `params.yaml`, `params/` and the
classes in `src/uscl_med3d/core/params/`. A meaning is changed in the comment of the YAML file. The types of a method's
`options` and `tuning`, and those of a pretext task, stand in the file of each."""
LIMITS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "multiple_of": "a multiple of"}
WORDS: dict[Any, str] = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "true | false",
    Any: "",
    type(None): "null",
}


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        name: dotted. value: default, as in YAML; empty for a section. kind: type and limits, in words; empty where a
            method's or a task's own file has them.
    """

    name: str
    value: str
    kind: str
    meaning: str


def describe_params(root: Path) -> list[Parameter]:
    """Every parameter and section, in the order of the files, of which params.yaml is the first.

    Args:
        root: the folder of params.yaml.

    Raises:
        InputError: for a file that cannot be read.
    """
    files = sorted(list_default_files(root), key=lambda file: file.parent != root)
    entries = _as_one_tree([entry for file in files for entry in _read(file)])
    found = [(entry, *_find_field(entry.path)) for entry in entries]
    known: dict[Any, str] = {}
    for entry, _, owner in found:
        if entry.comment:
            known.setdefault(_identity(entry, owner), entry.comment)
    parameters = []
    for entry, field, owner in found:
        meaning = entry.comment or known.get(_identity(entry, owner)) or _documented(owner, entry.path[-1])
        kind = describe_type(field.annotation, field.metadata) if field and entry.value else ""
        parameters.append(Parameter(".".join(entry.path), entry.value, kind, meaning))
    return parameters


def choose(parameters: Sequence[Parameter], name: str) -> list[Parameter]:
    """A parameter, or a section with what is in it.

    Raises:
        InputError: if there is none of this name.
    """
    found = [one for one in parameters if one.name == name or one.name.startswith(f"{name}.")]
    if not found:
        near = difflib.get_close_matches(name, [one.name for one in parameters], n=5, cutoff=0.3)
        raise InputError(
            file="params.yaml",
            found=f"no parameter and no section {name!r}",
            expected=", ".join(near) or "a dotted name",
            remedy="see all sections: uscl-med3d params",
        )
    return found


def list_sections(parameters: Iterable[Parameter]) -> dict[str, list[Parameter]]:
    """Section -> its parameters, itself first; values that stand in none are in the section `TOP`."""
    sections: dict[str, list[Parameter]] = {TOP: []}
    for one in parameters:
        path = one.name.split(".")
        section = ".".join(path[: 2 if path[0] == BASES else 1])
        sections.setdefault(TOP if section == one.name and one.value else section, []).append(one)
    return sections


def describe_type(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """A type in words, with its limits."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return describe_type(arguments[0], arguments[1:])
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return " | ".join(
            describe_type(each, metadata if each is not type(None) else ()) for each in arguments
        )
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return f"list of {describe_type(arguments[0]) or 'values'}"
        return f"{len(arguments)} × {describe_type(arguments[0])}"
    if origin is dict:
        kind = describe_type(arguments[1])
        return f"name: {kind}" if kind else "names and values"
    limits = [
        f"{word} {getattr(item, name)}"
        for item in metadata
        for name, word in LIMITS.items()
        if hasattr(item, name)
    ]
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return ", ".join(annotation.model_fields)
    return " ".join([WORDS.get(annotation, ""), ", ".join(limits)]).strip()


def as_text(parameters: Iterable[Parameter]) -> str:
    """Parameters for a terminal: name and value, and what they mean below."""
    lines = []
    for one in parameters:
        lines.append(f"{one.name}: {one.value}".rstrip())
        lines += [f"    {text}" for text in (one.kind, one.meaning) if text]
    return "\n".join(lines)


def as_list(parameters: Iterable[Parameter]) -> str:
    """The sections, one line each, for a terminal."""
    sections = list_sections(parameters)
    top = [one.name for one in sections.pop(TOP)]
    width = max(map(len, sections))
    lines = [f"{name:{width}}  {first.meaning}".rstrip() for name, (first, *_) in sections.items()]
    return "\n".join([*lines, "", f"and: {', '.join(top)}"])


def as_page(parameters: Iterable[Parameter]) -> str:
    """docs/parameters.md."""
    parts = [INTRODUCTION]
    for name, listed in list_sections(parameters).items():
        first, *rest = listed
        parts.append(f"## {name}")
        if name != TOP:
            parts += [_sentence(first.meaning)] if first.meaning else []
            listed = rest
        rows = [_row(one, name) for one in listed]
        parts.append("\n".join(["| parameter | default | type | meaning |", "|---|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _row(one: Parameter, section: str) -> str:
    name = one.name.removeprefix(f"{section}.")
    meaning = one.meaning.replace("<", "&lt;")
    cells = (f"`{name}`", f"`{one.value}`" if one.value else "", one.kind, meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", ":")) else ".")


def _read(file: Path) -> list[Entry]:
    try:
        entries = read_entries(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(
            file=file,
            found=str(error),
            expected="a YAML file of parameters",
            remedy="run from the repository's folder, or correct the file",
        ) from None
    if [entry.path for entry in entries[:1]] != [(BASES,)]:
        return entries
    # The comment above the key `foundation` of a base model's file is about this base model.
    head, first, *rest = entries
    return [replace(first, comment=head.comment), *rest]


def _as_one_tree(entries: Iterable[Entry]) -> list[Entry]:
    """What stands in a section in two files together, each key once: as it is first."""
    first: dict[tuple[str, ...], Entry] = {}
    place: dict[tuple[str, ...], int] = {}
    for entry in entries:
        first.setdefault(entry.path, entry)
        for length in range(len(entry.path)):
            place.setdefault(entry.path[: length + 1], len(place))
    return sorted(
        first.values(), key=lambda entry: [place[entry.path[: n + 1]] for n in range(len(entry.path))]
    )


def _find_field(path: Sequence[str]) -> tuple[FieldInfo | None, Any]:
    """The field of a parameter, and the class that it belongs to; None where its class is not in this package."""
    kind: Any = Params
    field: FieldInfo | None = None
    owner: Any = None
    for name in path:
        kind = _strip(kind)
        if isinstance(kind, type) and issubclass(kind, Section) and name in kind.model_fields:
            field, owner = kind.model_fields[name], kind
            kind = field.annotation
        elif get_origin(kind) is dict:
            kind, owner = get_args(kind)[1], None
            field = FieldInfo(annotation=kind)
        else:
            return None, None
    return field, owner


def _strip(kind: Any) -> Any:
    """A type without `Annotated` and without None."""
    if get_origin(kind) is Annotated:
        return _strip(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        (kind, *_) = (each for each in get_args(kind) if each is not type(None))
        return _strip(kind)
    return kind


def _identity(entry: Entry, owner: Any) -> Any:
    """What makes two parameters the same one: the class that declares the field, and its name."""
    name = entry.path[-1]
    if owner is None:
        return (entry.path[0], name)
    declaring = [each for each in owner.__mro__ if name in getattr(each, "__annotations__", {})]
    return (declaring[-1] if declaring else owner, name)


def _documented(owner: Any, name: str) -> str:
    """What a class's docstring says of a field, below `Attributes:`."""
    for each in owner.__mro__ if owner else ():
        text = (each.__doc__ or "").partition("Attributes:")[2] if issubclass(each, Section) else ""
        for match in re.finditer(r"(?ms)^ *([a-z0-9_, ]+): (.+?)(?=^ *[a-z0-9_, ]+: |\Z)", text):
            if name in re.split(r", *", match[1].strip()):
                return " ".join(match[2].split()).rstrip(".")
    return ""
