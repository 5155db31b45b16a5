"""What the site adds to the pages: the command line's reference, a gallery, and files that pages link to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "results/phantom/figures"
_OUTSIDE = re.compile(r"\]\(\.\./([^)#]+)")
_COPIES = "repository"


def on_files(files: Files, config: Any) -> Files:
    """Add the generated page, and copies of what pages link to outside docs/."""
    files.append(File.generated(config, "reference_cli.md", content=describe_commands()))
    figures = sorted(FIGURES.glob("*.png"))
    files.append(File.generated(config, "gallery.md", content=show_figures(figures)))
    for figure in figures:
        files.append(File.generated(config, f"gallery/{figure.name}", abs_src_path=str(figure)))
    linked = {name for file in files.documentation_pages() for name in _OUTSIDE.findall(file.content_string)}
    for name in sorted(linked):
        if (ROOT / name).is_file():
            files.append(File.generated(config, f"{_COPIES}/{name}", abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links out of docs/ go to the copies; those to folders and missing files become plain text."""
    if page.file.src_uri.startswith(_COPIES):
        return markdown

    def point(match: re.Match[str]) -> str:
        text, name, rest = match.group(1), match.group(2), match.group(3) or ""
        return f"[{text}]({_COPIES}/{name}{rest})" if (ROOT / name).is_file() else text

    return re.sub(r"\[([^\]]*)\]\(\.\./([^)#]+)(#[^)]*)?\)", point, markdown)


def show_figures(figures: list[Path]) -> str:
    """Every figure of the default scale with its title and caption, as in the report."""
    from importlib import import_module

    parts = [
        "# Figures",
        "Of the committed run of the default scale: simulated sweeps, so no accuracy on patients.",
    ]
    for figure in figures:
        try:
            module = import_module(f"uscl_med3d.report.figures.{figure.stem}")
        except ModuleNotFoundError:
            continue  # left by an earlier version of the program
        parts += [f"## {module.TITLE}", f"![{module.TITLE}](gallery/{figure.name})", module.CAPTION]
    return "\n\n".join(parts) + "\n"


def describe_commands() -> str:
    """Every verb with its options and examples, from the command line itself."""
    import typer
    from typer.cli import get_docs_for_click

    from uscl_med3d.cli import app

    command = typer.main.get_command(app)
    context = command.context_class(command)
    text = get_docs_for_click(obj=command, ctx=context, name="uscl-med3d")
    first, rest = text.split("**Commands**:", 1)
    verbs = rest.partition("\n## ")[2]
    return re.sub(r"\[/?bold\]", "**", f"{first}{_list_verbs(command)}\n## {verbs}")


def _list_verbs(command: Any) -> str:
    """One table per group, as in the help."""
    groups: dict[str, list[str]] = {}
    for name, verb in command.commands.items():
        summary = " ".join((verb.help or "").split("\n\n")[0].split())
        groups.setdefault(verb.rich_help_panel, []).append(
            f"| [{name}](#uscl-med3d-{name.lower()}) | {summary} |"
        )
    return "".join(f"\n| {group} | |\n|---|---|\n" + "\n".join(rows) + "\n" for group, rows in groups.items())
