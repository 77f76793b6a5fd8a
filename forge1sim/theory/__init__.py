"""Closed formulas and exact chains of queueing theory, to hold the simulator against.

Nothing here knows the gateway or the simulator. Times are in seconds, rates per second, loads in
erlang (arrivals per second times mean service time), ratios between 0 and 1. Arguments that no
stationary state belongs to raise TheoryError. docs/theory.md lists each with its scenario.
"""
