"""How the lineage presents itself in the UI: owners, and what a new library has to do first."""

from dagster import AssetSpec

from photolineage.settings import Settings

MODEL_ASSETS = frozenset({"image_embeddings", "vector_index", "image_events", "serving_model"})


def presented(spec: AssetSpec, settings: Settings) -> AssetSpec:
    """The asset with its owners; what the configuration lacks for it comes before its description."""
    first = _first_step(spec.key.to_user_string(), settings)
    description = f"**{first}**\n\n{spec.description}" if first else spec.description
    return spec.replace_attributes(owners=list(settings.owners), description=description)


def _first_step(asset: str, settings: Settings) -> str | None:
    reload = "then reload the code location (Deployment → Reload)."
    if asset == "source_files" and not settings.sources:
        return (
            f"First: no folder of photos is configured. Add a [sources.<key>] section to {settings.config_name}, "
            f"{reload}"
        )
    if asset in MODEL_ASSETS and not settings.models:
        return (
            f"First: no model is configured. Add a [models.<key>] section to {settings.config_name}, {reload}"
        )
    return None
