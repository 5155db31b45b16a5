from __future__ import annotations

import subprocess
import sys

import pytest

from uscl_med3d.core.closure import SOURCE, list_sources


def test_closure_holds_what_is_imported_and_nothing_else():
    files = list_sources("uscl_med3d.core.io")
    assert files == [
        "src/uscl_med3d/__init__.py",
        "src/uscl_med3d/core/__init__.py",
        "src/uscl_med3d/core/errors.py",
        "src/uscl_med3d/core/io.py",
    ]


def test_parameter_classes_are_left_out():
    assert not [f for f in list_sources("uscl_med3d.train.finetune") if "core/params" in f]


def test_report_does_not_depend_on_the_nets():
    files = list_sources("uscl_med3d.report.tables")
    assert not [f for f in files if "/nets/" in f or "/train/" in f]


def test_unknown_module():
    with pytest.raises(ModuleNotFoundError, match="no_such"):
        list_sources("uscl_med3d.no_such")


@pytest.mark.parametrize("module", ["uscl_med3d.data.ingest", "uscl_med3d.report.tables"])
def test_static_closure_covers_what_python_really_loads(module):
    code = f"import {module}, sys; print(*[m.__file__ for n, m in sys.modules.items() if n.startswith('uscl_med3d')])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    known = {str(SOURCE.parent / f) for f in list_sources(module)}
    assert not [f for f in loaded if f not in known and "core/params" not in f]
