"""Clicking in a viewer: a page of its own, and a server for 3D Slicer, napari and other clients of nnInteractive."""
