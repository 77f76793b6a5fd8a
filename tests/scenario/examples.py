"""A small scenario that holds every part of the schema, to be broken by tests."""

from pathlib import Path

VALID = """\
name: small
models:
  - gpt-5.6-sol
  - catalogue: claude-sonnet-5
    speed: {noise_sigma: 0}
  - name: own
    provider: mine
    input_usd_per_1m: 1
    output_usd_per_1m: 2
accounts:
  - {name: openai, provider: openai, count: 3, usage_tier: tier-3}
  - {name: anthropic, provider: anthropic, usage_tier: build, region: eu, tags: [gdpr]}
  - name: mine
    provider: mine
    limits:
      - {dimension: rpm, limit: 60}
providers:
  - {name: mine, error_probability: 0.01}
tenants:
  - name: big
    contract_usd_per_month: 250000
    demand: {requests_per_s: 1}
  - name: small
    count: 10
    demand: {requests_per_s_each: 0.1}
policies:
  routing: {policy: headroom}
faults:
  - {kind: outage, provider: openai, start_s: 600, duration_s: 60}
slos:
  - {name: served, metric: served_ratio, at_least: 0.99}
seed: 7
horizon_s: 1h
"""


def write(folder: Path, text: str | bytes = VALID, name: str = "small.yaml") -> Path:
    """A scenario file with this text."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def changed(old: str, new: str) -> str:
    """The valid scenario with one piece of its text replaced."""
    assert VALID.count(old) == 1, f"{old!r} stands {VALID.count(old)} times in the example"
    return VALID.replace(old, new)
