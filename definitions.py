"""The code location of the Dagster UI: the lineage over the configuration."""

from assets.lineage import build_definitions
from resources.settings import load_settings

defs = build_definitions(load_settings())
