"""What the launchpad of a job shows: the fields of its configuration, and nothing of Dagster's ops and resources."""

from typing import Any

from dagster import Config, ConfigMapping


def fields_of(op: str, config: type[Config]) -> ConfigMapping:
    """A job's configuration that is the one of its only op: `model: x` in place of `ops: {retire: {config: …}}`."""

    def configure(values: dict[str, Any]) -> dict[str, Any]:
        return {"ops": {op: {"config": values}}}

    return ConfigMapping(configure, config_schema=config.to_fields_dict())
