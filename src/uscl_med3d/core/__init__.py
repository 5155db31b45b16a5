"""Foundations that every other package may import: parameters, errors, seeds, files, runs."""
