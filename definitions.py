"""The Dagster code location: the definitions of the lineage for the current configuration."""

import logging

from assets.orchestration.build import build_definitions
from assets.orchestration.partitions import adjust_shards_at_load
from photolineage.settings import load_settings
from photolineage.settings.private_home import close_home, create_private_files
from resources.own_server import warning

if (unprotected := warning()) is not None:
    logging.getLogger("photolineage").warning(unprotected)

settings = load_settings()
create_private_files()
close_home(settings.home)
adjust_shards_at_load(settings)

defs = build_definitions(settings)
