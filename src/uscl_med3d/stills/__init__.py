"""Comparison of methods on single images with masks: cross-validation over groups, scores per image, one table."""
