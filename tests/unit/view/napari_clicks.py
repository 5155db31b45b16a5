"""Run by napari's own Python: clicks in its plugin, as its mouse callback does, and what the label layer then shows.

    python napari_clicks.py ADDRESS KEY FOLDER

FOLDER has clip.npy (frames, rows, columns) and clicks.json [[frame, row, column, label], ...]; it gets masks.npy, the label
layer after each click, after one undo, and after a reset, and napari.png.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import napari
import numpy as np
from napari_nninteractive.widget_main import nnInteractiveWidget
from qtpy.QtWidgets import QApplication

WAIT_S = 300


def wait(done, what: str) -> None:
    """Let Qt work until something is done."""
    end = time.monotonic() + WAIT_S
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(what)
        QApplication.processEvents()
        time.sleep(0.02)


def main(address: str, key: str, folder: Path) -> None:
    clip, clicks = np.load(folder / "clip.npy"), json.loads((folder / "clicks.json").read_text())
    viewer = napari.Viewer(show=True)
    viewer.add_image(clip, name="clip")
    widget = nnInteractiveWidget(viewer)
    viewer.window.add_dock_widget(widget)
    widget.server_url_edit.setText(address)
    widget.api_key_edit.setText(key)
    widget.init_button.click()
    wait(widget.undo_button.isEnabled, "Initialize")
    wait(lambda: widget.point_layer_name in viewer.layers, "the point layer")
    masks = []

    def look() -> None:
        QApplication.processEvents()
        masks.append(np.array(viewer.layers[widget.label_layer_name].data))

    for frame, row, column, label in clicks:
        widget.prompt_button.buttons[0 if label else 1].click()
        viewer.dims.set_current_step(0, frame)
        viewer.layers[widget.point_layer_name].add(np.array([frame, row, column], float))
        look()
    viewer.screenshot(str(folder / "napari.png"), canvas_only=False)
    widget.on_undo()
    look()
    widget.on_reset_interactions()
    look()
    grey = [bool(button.isEnabled()) for button in widget.interaction_button.buttons]
    (folder / "tools.json").write_text(json.dumps(grey))
    np.save(folder / "masks.npy", np.stack(masks))
    viewer.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
