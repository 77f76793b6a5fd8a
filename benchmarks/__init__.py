"""Measurements of speed and memory: `python -m benchmarks [--only NAME]`, or `make bench`."""
