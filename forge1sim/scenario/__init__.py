"""Scenario files: read, merged, checked, resolved against the catalogue, hashed."""
