"""Scenarios for tests of runs: one that runs in a moment, one that does not end while a test runs."""

SMALL = """\
name: small
horizon_s: 10min
models: [gpt-5.4-mini]
accounts: [{name: openai, provider: openai, limits: [{dimension: rpm, limit: 300, window: fixed}]}]
tenants: [{name: client, count: 5, demand: {requests_per_s: 4}}]
"""
ENDLESS = SMALL.replace("10min", "365d").replace("name: small", "name: endless")
