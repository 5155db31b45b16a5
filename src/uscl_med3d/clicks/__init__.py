"""Simulated clicks and crops: what training and evaluation must do alike. NumPy only."""
