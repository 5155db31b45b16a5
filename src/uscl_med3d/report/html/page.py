"""The frame of the page: navigation, the summary, and small building blocks."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from uscl_med3d.report.html.look import STYLE

SHOWN_ROWS = 16
"""Rows of a table that is shown as it is; a longer one opens on demand."""

HINT = '<p class="hint" aria-hidden="true">wider than the screen: move it sideways →</p>'
"""Shown on narrow screens above what scrolls."""


FOOTER = "Made from the files of this run alone; it needs no network."
ITALICS = " Values in italics and brackets are those the paper reports on its own, private data."


def page(title: str, summary: str, parts: Sequence[tuple[str, str, str]], footer: str) -> str:
    """The whole document.

    Args:
        title: of the document.
        summary: the main result in one sentence; stays in sight.
        parts: (anchor, title, inner HTML) of every section.
        footer: the last line.
    """
    links = "".join(f'<a href="#{name}">{escape(heading)}</a>' for name, heading, _ in parts)
    body = "".join(
        f'<section id="{name}"><h2>{escape(heading)}</h2>{inner}</section>\n'
        for name, heading, inner in parts
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>"
        f'<div class="bar"><nav aria-label="sections">{links}</nav><p class="summary">{escape(summary)}</p></div>'
        f"<header><h1>{escape(title)}</h1></header><main>\n{body}</main>"
        f"<footer>{escape(footer)}</footer></body></html>\n"
    )


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph; `kind` is a class of the style sheet (`note`, `note good`, `note bad`, `muted`)."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Large numbers with a word below each."""
    items = "".join(f"<li><b>{escape(value)}</b><span>{escape(word)}</span></li>" for value, word in pairs)
    return f'<ul class="facts">{items}</ul>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """A table that scrolls by itself on a narrow screen. Header is text, cells are HTML `<td>` elements."""
    head = "".join(f"<th>{escape(name).replace(' · ', '<br>')}</th>" for name in header)
    body = "".join(f"<tr>{''.join(cells)}</tr>\n" for cells in rows)
    hint = HINT if len(header) > 4 and kind != "claims" else ""
    return (
        f'{hint}<div class="scroll" tabindex="0"><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def long_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], first: Sequence[Sequence[str]] = ()
) -> str:
    """A table that opens on demand where it has more than `SHOWN_ROWS` rows; `first` are rows to be seen before."""
    if len(rows) <= SHOWN_ROWS:
        return table(header, rows)
    shown = table(header, first) if first else ""
    return shown + fold(f"all {len(rows)} rows", table(header, rows))


def side_by_side(parts: Iterable[str]) -> str:
    """Parts in two columns where the screen is wide enough."""
    return f'<div class="pair">{"".join(parts)}</div>'


def fold(what: str, inner: str, opened: bool = False) -> str:
    """A part of the page that opens on demand."""
    return f"<details{' open' if opened else ''}><summary>{escape(what)}</summary>{inner}</details>"


def cell(text: str, kind: str = "") -> str:
    """A text cell."""
    return f'<td class="{kind}">{escape(text)}</td>' if kind else f"<td>{escape(text)}</td>"


def figure(path: Path, title: str, caption: str) -> str:
    """A figure inside the page; or the sentence that it has not been drawn."""
    if not path.is_file():
        return paragraph(f"{title}: not drawn ({path.name} is missing).", "note")
    return (
        f'<figure id="{path.stem}">{HINT}<div class="scroll" tabindex="0">{image(path, title)}</div>'
        f"<figcaption><b>{escape(title)}.</b> {escape(caption)}</figcaption></figure>"
    )


def image(path: Path, words: str) -> str:
    """A PNG inside the page; `words` for those who do not see it."""
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{escape(words)}" src="data:image/png;base64,{data}">'
