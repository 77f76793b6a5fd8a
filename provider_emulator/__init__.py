"""Providers that can be had without money: real HTTP, true-to-life limits, latency and faults.

An independent witness: it imports nothing of the gateway that it is used to test.
"""
