"""The job `promote_model`: it materializes `serving_model` with another model."""

from collections.abc import Mapping
from typing import Any

from dagster import ConfigMapping, Enum, EnumValue, Field, config_mapping, define_asset_job

from photolineage.lineage import SERVING_MODEL
from photolineage.settings import ModelSettings, Settings
from resources.dagster_internals import UnresolvedAssetJobDefinition

KEEP = "(the serving model)"
"""The prefilled choice: a launch by mistake changes nothing. The key of the serving model would be of the time when the
definitions were loaded, so after a promotion a launch by mistake would go back. No key has such characters."""


def promote_model_job(settings: Settings) -> UnresolvedAssetJobDefinition:
    """The job, for the Dagster UI: the model, with the configured ones as choices, and `force`."""
    return define_asset_job(
        "promote_model",
        selection=[SERVING_MODEL.name],
        config=_fields(settings),
        description="Makes another model the serving model, or goes back to a former one: set `model` to its key. "
        "Refuses, says why and changes nothing if the model is not ready, or if it loses a pinned search; with "
        "`force: true` it may lose pinned searches. **Needs** the model in `vector_index`, with "
        "every image embedded; `model_comparison` shows how it differs. **Next:** search. To go back, launch this job "
        "with the model that `previous_model` in the metadata of `serving_model` names.",
    )


def _fields(settings: Settings) -> ConfigMapping:
    choices = [
        EnumValue(KEEP, description="Keep the serving model. If none serves yet, promote the first one.")
    ]
    choices += [EnumValue(key, description=_described(model)) for key, model in settings.models.items()]
    model = Field(
        Enum("ConfiguredModel", choices),
        default_value=KEEP,
        is_required=False,
        description="The model to promote. Configured: " + ", ".join(settings.models or ["none"]),
    )

    force = Field(
        bool,
        default_value=False,
        is_required=False,
        description="Promote the model even if it loses pinned searches.",
    )

    @config_mapping(config_schema={"model": model, "force": force})
    def fields(chosen: Mapping[str, Any]) -> Mapping[str, Any]:
        config = {} if chosen["model"] == KEEP else {"model": chosen["model"], "force": chosen["force"]}
        return {"ops": {SERVING_MODEL.name: {"config": config}}}

    return fields


def _described(model: ModelSettings) -> str:
    pretrained = f", {model.pretrained}" if model.pretrained else ""
    return f"{model.architecture}{pretrained}. The asset model_comparison shows whether it is better."
