"""Metrics: a streaming fold over the event log, its summary, SLOs, and results on disk."""

from forge1sim.metrics.metrics import Metrics
from forge1sim.metrics.static import Mark, MetricsStatic

__all__ = ["Mark", "Metrics", "MetricsStatic"]
