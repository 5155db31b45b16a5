"""USCL-Med3D: 3D ultrasound promptable segmentation, from raw sweep videos to benchmark tables."""

from importlib import import_module

__version__ = "0.1.0"

# Loaded when asked for: the command line and the workflow import this package without torch. By name and with types in
# __init__.pyi, so that no stage of the pipeline depends on these files.
_PUBLIC = {
    "Segmenter": "uscl_med3d.user.segmenter",
    "InputError": "uscl_med3d.core.errors",
    "show": "uscl_med3d.view.notebook",
}


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
