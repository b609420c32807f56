"""The Dagster code location: the definitions of the lineage for the current configuration."""

import logging
import sys

from assets.orchestration.build import build_definitions
from assets.orchestration.partitions import adjust_shards_at_load
from photolineage.settings import load_settings
from photolineage.settings.private_home import close_home, create_private_files
from resources.own_server import warning, why_not_executed

settings = load_settings()
if (refused := why_not_executed(sys.argv, settings.dagster_home)) is not None:
    sys.exit(refused)  # an exception would end the command with its traceback
if (unprotected := warning()) is not None:
    logging.getLogger("photolineage").warning(unprotected)

create_private_files()
close_home(settings.home)
adjust_shards_at_load(settings)

defs = build_definitions(settings)
