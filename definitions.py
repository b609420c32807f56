"""The Dagster code location: the definitions of the lineage for the current configuration."""

from assets.orchestration.build import build_definitions
from photolineage.settings import load_settings
from photolineage.settings.private_home import close_home, create_private_files

settings = load_settings()
create_private_files()
close_home(settings.home)

defs = build_definitions(settings)
