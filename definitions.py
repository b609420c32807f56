"""The Dagster code location: the definitions of the lineage for the current configuration."""

from assets.orchestration.build import build_definitions
from photolineage.settings import load_settings

defs = build_definitions(load_settings())
