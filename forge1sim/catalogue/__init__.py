"""Models, prices, limits and speeds of today's providers, with the evidence for each figure."""

from forge1sim.catalogue.catalogue import Catalogue, Figure
from forge1sim.catalogue.listing import catalogue_table
from forge1sim.catalogue.litellm_config import ImportedScenario, import_litellm_config
from forge1sim.catalogue.load import load_catalogue, shipped_names
from forge1sim.catalogue.prices import PriceChange, price_overlay, refresh_prices
from forge1sim.catalogue.tables import Grade, performance_by_complexity

__all__ = [
    "Catalogue",
    "Figure",
    "Grade",
    "ImportedScenario",
    "PriceChange",
    "catalogue_table",
    "import_litellm_config",
    "load_catalogue",
    "performance_by_complexity",
    "price_overlay",
    "refresh_prices",
    "shipped_names",
]
