"""Verbs for those who keep the repository: do results, parameters, pages and code belong together?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uscl_med3d.cli.app import DEFAULT_SCALE, UPKEEP, Scale, app
from uscl_med3d.core.errors import InputError


@app.command(rich_help_panel=UPKEEP)
def audit(scale: Scale = DEFAULT_SCALE) -> None:
    """Do the files of a finished scale belong together, and to dvc.lock?"""
    from uscl_med3d.provenance.audit import audit
    from uscl_med3d.provenance.origins import list_notes

    checked = audit(scale)
    print("\n".join([*list_notes(scale), f"{checked} receipts: files, parameters and dvc.lock agree"]))


@app.command(rich_help_panel=UPKEEP)
def regenerate(
    scale: Scale = DEFAULT_SCALE,
    restore: Annotated[
        bool,
        typer.Option("--restore", help="Put missing files in place, such as figures and page of the study."),
    ] = False,
) -> None:
    """Rebuild tables, figures and pages from scores and curves, without torch; are they the same, byte for byte?"""
    from uscl_med3d.provenance.regenerate import describe, regenerate

    result = regenerate(scale, restore)
    print(describe(result))
    if result.different:
        raise InputError(
            file=f"results/{scale}",
            found=f"{len(result.different)} files that differ",
            expected="what scores, curves and parameters give",
            remedy="run the pipeline again (make record) and commit its results",
        )


@app.command(rich_help_panel=UPKEEP)
def compare(
    folders: Annotated[tuple[Path, Path], typer.Argument(help="Two folders of tables.")],
    tolerance: Annotated[float, typer.Option(help="In Dice points.")],
) -> None:
    """Do the tables of two folders agree, cell by cell within a tolerance? With what was either made?"""
    from uscl_med3d.provenance.compare import compare, count_cells
    from uscl_med3d.provenance.origins import compare_origins

    different = compare(folders[0], folders[1], tolerance)
    origins = [f"made with {line}" for line in compare_origins(folders[0].parent, folders[1].parent)]
    counted = f"{count_cells(folders[0])} values compared, {len(different)} differ"
    print("\n".join([*different, *origins, counted]))
    if different:
        raise InputError(
            file=folders[1],
            found=f"{len(different)} values that differ",
            expected=f"differences of at most {tolerance:g}",
            remedy="see the list above",
        )


@app.command(rich_help_panel=UPKEEP)
def readme() -> None:
    """Rewrite the result sections of README.md and docs/study.md from the results folders."""
    from uscl_med3d.report.readme import PAGES, update_page

    for page, results in PAGES.items():
        update_page(Path(page), Path(results))


@app.command("dvc_yaml", rich_help_panel=UPKEEP)
def dvc_yaml() -> None:
    """Print dvc.yaml as the declared stages and their code give it."""
    from uscl_med3d.provenance.dvc_yaml import make_dvc_yaml

    print(make_dvc_yaml(), end="")


@app.command(rich_help_panel=UPKEEP)
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes only.")] = False,
    fastsam3d: Annotated[bool, typer.Option("--fastsam3d", help="FastSAM3D's encoder instead.")] = False,
    ingest: Annotated[bool, typer.Option("--ingest", help="Ingest of one sweep instead.")] = False,
    view: Annotated[
        bool, typer.Option("--view", help="The viewer instead: opening, clicks, memory.")
    ] = False,
) -> None:
    """Time the encoder against the padded reference, ingest, or the viewer, into results/bench/."""
    if view:
        from uscl_med3d.view.bench.run import main as main_view

        print(main_view(Path("results/bench"), Path("params.yaml"), 3 if quick else 5, browser=not quick))
        return
    if ingest:
        from uscl_med3d.bench.ingest import main as main_ingest

        main_ingest([])
        return
    from uscl_med3d.bench.encoder import main

    main([f"--{name}" for name, given in (("quick", quick), ("fastsam3d", fastsam3d)) if given])


@app.command("foundation_compare", rich_help_panel=UPKEEP)
def foundation_compare(
    out: Annotated[Path, typer.Option(help="CSV to write.")], scale: Scale = "foundation"
) -> None:
    """Are the base models that a scale trained those that come with the program, byte for byte?"""
    from uscl_med3d.core.plan import Plan
    from uscl_med3d.foundation.ship import compare

    print(compare(Plan.of_results(scale), out))


@app.command("foundation_ship", rich_help_panel=UPKEEP)
def foundation_ship(
    models: Annotated[list[str], typer.Argument(help="Keys of the section `foundation`.")],
    scale: Scale = "foundation",
    folder: Annotated[Path | None, typer.Option(help="Where to, instead of the package.")] = None,
) -> None:
    """Put base models that a scale trained among those that come with the program."""
    from uscl_med3d.core.plan import Plan
    from uscl_med3d.core.shipped import FOLDER
    from uscl_med3d.foundation.ship import ship

    print("\n".join(str(path) for path in ship(Plan.of_results(scale), models, folder or FOLDER)))
