"""Latencies and memory of the viewer on a large cine; each part in a file of its own, `run.main` puts them together."""
