"""Benchmarks: time and memory of the encoder and of ingest, each job in a process of its own."""
