"""The code location of the Dagster UI: the lineage over the configuration."""

from assets.orchestration.build import build_definitions
from photolineage.settings import load_settings

defs = build_definitions(load_settings())
