"""Pretraining of an encoder adapter on a folder of clips that nobody has annotated (docs/own_cohort.md)."""
