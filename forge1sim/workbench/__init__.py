"""The workbench: pages that lay out what the rest of the package finds out. No figure is computed here."""
