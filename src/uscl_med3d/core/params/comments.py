"""Comments of a YAML file by the key that they explain: a parameter's meaning stands in params.yaml, nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml


@dataclass(frozen=True)
class Entry:
    """One key of a YAML file.

    Attributes:
        path: the keys that lead to it.
        value: in one line, as written in a block of YAML; empty for a section.
        comment: beside it, on the lines that go on below, and on the lines right above it.
    """

    path: tuple[str, ...]
    value: str
    comment: str


def read_entries(text: str) -> list[Entry]:
    """Every key of a YAML text, in its order; what stands in braces on one line is one value."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return list(_walk(root, (), _Comments(text))) if isinstance(root, yaml.MappingNode) else []


def _walk(node: yaml.MappingNode, path: tuple[str, ...], comments: _Comments) -> Iterator[Entry]:
    for key, value in node.value:
        here = (*path, str(key.value))
        comment = comments.find(key.start_mark.line, key.start_mark.column)
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            yield Entry(here, "", comment)
            yield from _walk(value, here, comments)
        else:
            yield Entry(here, comments.cut(value), comment)


class _Comments:
    """Where the comments of a text stand: line -> column of `#` and text."""

    def __init__(self, text: str) -> None:
        self.text, self.lines = text, text.splitlines()
        ends = [0] * (len(self.lines) + 1)  # column behind the last token of each line
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if token.start_mark.index != token.end_mark.index:
                ends[token.end_mark.line] = max(ends[token.end_mark.line], token.end_mark.column)
        self.has_tokens = [end > 0 for end in ends]
        self.found: dict[int, tuple[int, str]] = {}
        for number, line in enumerate(self.lines):
            rest = line[ends[number] :]
            if rest.lstrip().startswith("#"):
                column = ends[number] + rest.index("#")
                self.found[number] = (column, line[column:].lstrip("# ").rstrip())

    def find(self, line: int, column: int) -> str:
        """The comment on the key at a place."""
        parts = [*self._above(line, column)]
        if line in self.found:
            beside, text = self.found[line]
            parts += [text, *self._below(line, beside)]
        return " ".join(parts)

    def cut(self, node: yaml.Node) -> str:
        """A value as it is written, in one line."""
        lines = self.text[node.start_mark.index : node.end_mark.index].splitlines()
        return " ".join(line.split(" #")[0].strip() for line in lines)

    def _above(self, line: int, column: int) -> list[str]:
        """Lines of comment right above a key that begin where it begins."""
        texts: list[str] = []
        while (
            (line := line - 1) in self.found and not self.has_tokens[line] and self.found[line][0] == column
        ):
            texts.insert(0, self.found[line][1])
        return texts

    def _below(self, line: int, column: int) -> Iterator[str]:
        """Lines of comment below that begin where the one beside the key begins."""
        while (
            (line := line + 1) in self.found and not self.has_tokens[line] and self.found[line][0] == column
        ):
            yield self.found[line][1]
