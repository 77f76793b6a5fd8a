"""Scenarios that visitors upload: those of `tests.small`, with a promise."""

from tests import small

_PROMISE = "slos: [{name: all are served, metric: served_ratio, at_least: 0.9}]\n"
SMALL, ENDLESS = small.SMALL + _PROMISE, small.ENDLESS + _PROMISE
