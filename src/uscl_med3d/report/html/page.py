"""The frame of the page: style, navigation, and small building blocks."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

STYLE = """
:root { --ink: #222; --muted: #5f5f5f; --line: #ddd; --soft: #f5f6f8; --accent: #0072b2; }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 3.4rem; }
body { margin: 0; color: var(--ink); background: #fff; font: 16px/1.5 system-ui, "Segoe UI", Roboto,
  "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; }
nav { position: sticky; top: 0; z-index: 5; background: #fff; border-bottom: 1px solid var(--line);
  overflow-x: auto; white-space: nowrap; padding: .55rem 1rem; }
nav a { color: var(--accent); text-decoration: none; margin-right: 1.1rem; font-size: .92rem; }
nav a:hover, nav a:focus { text-decoration: underline; }
header, main, footer { max-width: 72rem; margin: 0 auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 1.4rem 0 .3rem; line-height: 1.2; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; border-bottom: 2px solid var(--accent); padding-bottom: .2rem; }
h3 { font-size: 1.02rem; margin: 1.6rem 0 .4rem; }
p { max-width: 50rem; margin: .5rem 0; }
.muted, figcaption, .caption { color: var(--muted); font-size: .88rem; }
.caption { max-width: 60rem; }
figure { margin: 1.4rem 0; }
figure img { width: 100%; max-width: 72rem; height: auto; display: block; }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .55rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { background: var(--soft); font-weight: 600; }
td.number, th.number { text-align: right; white-space: nowrap; }
td .interval { color: var(--muted); display: block; font-size: .92em; }
td .reported { color: var(--muted); font-style: italic; display: block; font-size: .92em; }
td a { color: inherit; text-decoration: none; border-bottom: 1px dotted var(--muted); }
.facts { display: flex; flex-wrap: wrap; gap: .7rem; margin: .8rem 0; padding: 0; list-style: none; }
.facts li { background: var(--soft); border-radius: 6px; padding: .5rem .8rem; min-width: 7.5rem; }
.facts b { display: block; font-size: 1.25rem; line-height: 1.2; }
.facts span { font-size: .82rem; color: var(--muted); }
.note { border-left: 4px solid #e69f00; background: #fff8ea; padding: .5rem .9rem; max-width: 50rem; margin: .8rem 0; }
.good { border-left-color: #009e73; background: #eefaf5; }
.bad { border-left-color: #d55e00; background: #fdf1ea; }
.verdict { display: inline-block; border-radius: 4px; padding: .05rem .45rem; font-weight: 600; }
.supported { background: #d9f2e8; color: #00543d; } .contradicted { background: #fbe0d0; color: #7a3500; }
.undecided { background: #e9e9e9; color: #3d3d3d; }
table.claims { width: 100%; } td .muted { font-size: inherit; }
.claims th:nth-child(1) { width: 22%; } .claims th:nth-child(2) { width: 12%; } .claims th:nth-child(3) { width: 9%; }
.claims th:nth-child(4) { width: 34%; } .claims th:nth-child(5) { width: 23%; }
td.hashes { white-space: nowrap; } td.hashes code { overflow-wrap: normal; }
code { font-size: .9em; background: var(--soft); padding: 0 .2em; border-radius: 3px; overflow-wrap: anywhere; }
footer { color: var(--muted); font-size: .85rem; padding-bottom: 3rem; margin-top: 3rem; }
@media (max-width: 40rem) { figure img { width: 44rem; max-width: none; } body { font-size: 15px; }
  .claims thead { display: none; } .claims tr { display: block; padding: .6rem 0; border-bottom: 2px solid var(--line); }
  .claims td { display: block; border: 0; text-align: left !important; padding: .15rem 0; }
  .claims td[data-label]::before { content: attr(data-label) ": "; color: var(--muted); }
  .claims td .interval { display: inline; margin-left: .4em; }
  h1 { font-size: 1.3rem; } table { font-size: .78rem; } }
@media print { nav { display: none; } .scroll { overflow: visible; } }
"""


def page(title: str, parts: Sequence[tuple[str, str, str]]) -> str:
    """The whole document. `parts` are (anchor, title, inner HTML)."""
    links = "".join(f'<a href="#{name}">{escape(heading)}</a>' for name, heading, _ in parts)
    body = "".join(
        f'<section id="{name}"><h2>{escape(heading)}</h2>{inner}</section>\n'
        for name, heading, inner in parts
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>"
        f'<nav aria-label="sections">{links}</nav><header><h1>{escape(title)}</h1></header><main>\n{body}</main>'
        "<footer>Made from the files of this run alone; it needs no network. Values in italics and brackets are "
        "those the paper reports on its own, private data.</footer></body></html>\n"
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
    return (
        f'<div class="scroll" tabindex="0"><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


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
    data = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<figure id="{path.stem}"><div class="scroll" tabindex="0">'
        f'<img alt="{escape(title)}" src="data:image/png;base64,{data}"></div>'
        f"<figcaption><b>{escape(title)}.</b> {escape(caption)}</figcaption></figure>"
    )
