"""docs/settings.md, from the settings themselves: `python -m tests.settings_document > docs/settings.md`."""

import sys

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from resources.alert_settings import AlertSettings
from resources.comparison_settings import ComparisonSettings
from resources.event_settings import EventSettings
from resources.settings import CatalogSettings, ModelSettings, Settings, SourceSettings

HEAD = """# Settings

All of them are in [`photolineage.toml`](../photolineage.toml); `PHOTOLINEAGE_CONFIG` names another file. Each can be
overridden by an environment variable: `PHOTOLINEAGE_HOME`, `PHOTOLINEAGE_CATALOG__URL`, … Relative paths are relative
to the file. `photolineage run --photos` keeps the sources that it adds in `<home>/sources.toml`. The UI reads all this
when it starts, and at **Deployment → Reload**.
"""
SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("At the top of the file", Settings),
    ("`[catalog]`", CatalogSettings),
    ("`[sources.<key>]`", SourceSettings),
    ("`[models.<key>]`", ModelSettings),
    ("`[comparison]`", ComparisonSettings),
    ("`[alerts]`", AlertSettings),
    ("`[events]`", EventSettings),
)
SHOWN_ITEMS = 5


def settings_document() -> str:
    """The whole document."""
    parts = [HEAD]
    for title, model in SECTIONS:
        rows = [_row(name, field) for name, field in model.model_fields.items() if field.description]
        parts.append(
            f"## {title}\n\n| Setting | If left out | What it is |\n| --- | --- | --- |\n" + "\n".join(rows)
        )
    return "\n".join(f"{part.strip()}\n" for part in parts)


def _row(name: str, field: FieldInfo) -> str:
    assert field.description is not None
    return f"| `{name}` | {_default(field)} | {field.description.replace('|', chr(92) + '|')} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined or value is None or value in ([], ()):
        return "–"
    if isinstance(value, list | tuple):
        return (
            f"{len(value)} of them" if len(value) > SHOWN_ITEMS else ", ".join(f"`{item}`" for item in value)
        )
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    sys.stdout.write(settings_document())
