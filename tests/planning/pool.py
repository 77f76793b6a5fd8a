"""A pool of which some plans keep the promises and some do not, planned in seconds."""

POOL = """\
name: pool
start: 2026-11-02T00:00:00Z
horizon_s: 10min
models: [gpt-5.4-mini]
accounts:
  - name: alpha
    provider: openai
    count: 3
    usd_per_month: 1000
    limits: [{dimension: rpm, model_class: gpt-5.4-mini, limit: 40, window: fixed}]
tenants:
  - {name: gold, count: 2, tier: enterprise, contract_usd_per_month: 9000, demand: {requests_per_s: 0.5}}
  - name: iron
    count: 30
    tier: standard
    contract_usd_per_month: 10
    demand: {requests_per_s: 1, deadline_s: {kind: deterministic, mean: 20}}
slos:
  - {name: gold is served, tier: enterprise, metric: served_ratio, at_least: 0.95}
  - {name: iron is served, tier: standard, metric: served_ratio, at_least: 0.7}
plan:
  accounts: [{name: alpha, at_most: 4, permission: by contract, lead_time_days: 14, setup_usd: 50}]
  draws: 3
  fresh_draws: 3
"""
