"""Answers with error bars: replications, comparisons, sweeps, searches."""
