"""The page's style sheet: light and dark, wide screens and phones, paper."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ink: #222; --muted: #5f5f5f; --line: #ddd; --soft: #f5f6f8; --accent: #0072b2;
  --back: #fff; --warn: #fff8ea; --good: #eefaf5; --bad: #fdf1ea; --yes: #d9f2e8; --yes-ink: #00543d; --no: #fbe0d0;
  --no-ink: #7a3500; --open: #e9e9e9; --open-ink: #3d3d3d; --shade: rgb(0 0 0 / .22); }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e3e3; --muted: #a5a5a5; --line: #3a3d42; --soft: #24272c;
  --accent: #6cb8e6; --back: #17191c; --warn: #2e2716; --good: #16281f; --bad: #2f2018; --yes: #12402f; --yes-ink: #a9e6cd;
  --no: #50270d; --no-ink: #ffc9a6; --open: #35383d; --open-ink: #d0d0d0; --shade: rgb(255 255 255 / .25); } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 5.6rem; }
body { margin: 0; color: var(--ink); background: var(--back); font: 16px/1.5 system-ui, "Segoe UI", Roboto,
  "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; }
.bar { position: sticky; top: 0; z-index: 5; background: var(--back); border-bottom: 1px solid var(--line); }
nav { overflow-x: auto; white-space: nowrap; padding: .5rem 1rem .3rem; }
nav a { color: var(--accent); text-decoration: none; margin-right: 1.1rem; font-size: .92rem; }
nav a:hover, nav a:focus { text-decoration: underline; }
.summary { margin: 0; padding: 0 1rem .45rem; font-size: .92rem; max-width: none; }
header, main, footer { max-width: 88rem; margin: 0 auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 1.4rem 0 .3rem; line-height: 1.2; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; border-bottom: 2px solid var(--accent); padding-bottom: .2rem; }
h3 { font-size: 1.02rem; margin: 1.6rem 0 .4rem; }
p, .note { max-width: 62rem; } p { margin: .5rem 0; } a { color: var(--accent); }
.muted, figcaption, .caption { color: var(--muted); font-size: .88rem; }
.caption, figcaption { max-width: 76rem; }
figure { margin: 1.4rem 0; }
figure img { width: 100%; height: auto; display: block; background: #fff; border-radius: 4px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(38rem, 1fr)); gap: 0 2rem; align-items: start; }
.scroll { overflow-x: auto; margin: .6rem 0; background:
  linear-gradient(to right, var(--back) 30%, transparent) left / 3rem 100% no-repeat local,
  linear-gradient(to left, var(--back) 30%, transparent) right / 3rem 100% no-repeat local,
  radial-gradient(farthest-side at 0 50%, var(--shade), transparent) left / 1rem 100% no-repeat scroll,
  radial-gradient(farthest-side at 100% 50%, var(--shade), transparent) right / 1rem 100% no-repeat scroll; }
.hint { display: none; }
table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .42rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { background: var(--soft); font-weight: 600; }
td.number, th.number { text-align: right; white-space: nowrap; }
td .interval { color: var(--muted); display: block; font-size: .92em; }
td .reported { color: var(--muted); font-style: italic; display: block; font-size: .92em; }
td a { color: inherit; text-decoration: none; border-bottom: 1px dotted var(--muted); }
details { margin: .4rem 0; } summary { cursor: pointer; color: var(--accent); font-size: .9rem; }
.facts { display: flex; flex-wrap: wrap; gap: .7rem; margin: .8rem 0; padding: 0; list-style: none; }
.facts li { background: var(--soft); border-radius: 6px; padding: .5rem .8rem; min-width: 7.5rem; }
.facts b { display: block; font-size: 1.25rem; line-height: 1.2; }
.facts span { font-size: .82rem; color: var(--muted); }
.note { border-left: 4px solid #e69f00; background: var(--warn); padding: .5rem .9rem; margin: .8rem 0; }
.note.good { border-left-color: #009e73; background: var(--good); }
.note.bad { border-left-color: #d55e00; background: var(--bad); }
.verdict { display: inline-block; border-radius: 4px; padding: .05rem .45rem; font-weight: 600; }
.supported { background: var(--yes); color: var(--yes-ink); } .contradicted { background: var(--no); color: var(--no-ink); }
.undecided, .not { background: var(--open); color: var(--open-ink); }
table.claims { width: 100%; } td .muted { font-size: inherit; }
.claims th:nth-child(1) { width: 22%; } .claims th:nth-child(2) { width: 12%; } .claims th:nth-child(3) { width: 9%; }
.claims th:nth-child(4) { width: 34%; } .claims th:nth-child(5) { width: 23%; }
td.hashes { white-space: nowrap; } td.hashes code { overflow-wrap: normal; }
code { font-size: .9em; background: var(--soft); padding: 0 .2em; border-radius: 3px; overflow-wrap: anywhere; }
footer { color: var(--muted); font-size: .85rem; padding-bottom: 3rem; margin-top: 3rem; }
@media (max-width: 50rem) { figure img { width: 44rem; max-width: none; } body { font-size: 15px; }
  .pair { grid-template-columns: 1fr; }
  .hint { display: block; color: var(--muted); font-size: .8rem; margin: .5rem 0 -.4rem; }
  html { scroll-padding-top: 7rem; }
  .claims thead { display: none; } .claims tr { display: block; padding: .6rem 0; border-bottom: 2px solid var(--line); }
  .claims td { display: block; border: 0; text-align: left !important; padding: .15rem 0; }
  .claims td[data-label]::before { content: attr(data-label) ": "; color: var(--muted); }
  .claims td .interval { display: inline; margin-left: .4em; }
  h1 { font-size: 1.3rem; } table { font-size: .78rem; } }
@media print { .bar { position: static; } nav, .hint { display: none; } .scroll { overflow: visible; background: none; } }
"""
