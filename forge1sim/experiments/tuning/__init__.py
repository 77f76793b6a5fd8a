"""Search over policies: spaces, goals, the search itself, proof on fresh draws, bundles (docs/tuning.md)."""
