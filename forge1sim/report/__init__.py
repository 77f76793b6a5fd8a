"""Figures and the self-contained HTML report of a run."""

from forge1sim.report.report import write_report

__all__ = ["write_report"]
