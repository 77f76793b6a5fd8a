"""Histories made of arrays, for the tests of this folder."""

import numpy as np

from forge1sim.forecast import History

DAY_SHAPE = 1.0 + 0.6 * np.sin(2.0 * np.pi * (np.arange(24) - 8) / 24.0)
WEEKEND = np.repeat([1.0, 1.0, 1.0, 1.0, 1.0, 0.4, 0.4], 24)


def history(requests, *, bins=1, dated=True, tokens=None, source="made"):
    """A history of these hourly requests, spread evenly over the bins of an hour; 2026-11-02 is a Monday."""
    counts = np.repeat(np.asarray(requests, float)[:, None] / bins, bins, axis=1)
    start_us = int(np.datetime64("2026-11-02T00:00", "us").astype(np.int64)) if dated else 0
    return History(source=source, start_us=start_us, dated=dated, counts=counts, tokens=tokens or {})


def noisy(days, seed, *, sd=0.1, persistence=0.6, level=1000.0, growth_per_day=0.0, week=False):
    """Hourly requests with a day's shape, lognormal noise like its neighbours', growth, and quiet weekends if asked for."""
    chance = np.random.default_rng(seed)
    hours = 24 * days
    steps = chance.standard_normal(hours) * sd * np.sqrt(1 - persistence**2)
    noise = np.zeros(hours)
    for hour in range(1, hours):
        noise[hour] = persistence * noise[hour - 1] + steps[hour]
    shape = np.tile(DAY_SHAPE, days) * (np.resize(WEEKEND, hours) if week else 1.0)
    return level * shape * (1.0 + growth_per_day) ** (np.arange(hours) / 24.0) * np.exp(noise)
