"""Makes docs/settings.md from the settings: `python -m tests.settings.settings_document > docs/settings.md`."""

import sys
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from photolineage.settings import (
    AlertSettings,
    CatalogSettings,
    ComparisonSettings,
    DecodingSettings,
    ModelSettings,
    Settings,
    SourceSettings,
    VerificationSettings,
)
from photolineage.settings.events import EventSettings

HEAD = """# Settings

```toml
# photolineage.toml
home = "/mnt/ssd/photolineage"

[sources.family]
root = "/mnt/photos"
```

`photolineage init` writes a commented `photolineage.toml` into the current folder. You need none to start.
Commands say which configuration they use: the first that exists of

1. the file that you name with `photolineage --config FILE` or the variable `PHOTOLINEAGE_CONFIG`;
2. `photolineage.toml` in the current folder, if you trust it (see below);
3. `photolineage.toml` in your configuration directory (`~/.config/photolineage` on Linux);
4. the demo's, as long as you have no library of your own. `photolineage run` never uses it;
5. the built-in configuration: one model, no sources, and a home in your data directory
   (`~/.local/share/photolineage/library` on Linux).

- An environment variable overrides each setting: `PHOTOLINEAGE_HOME`, `PHOTOLINEAGE_CATALOG__URL`, …
- A password does not belong in this file: see `[catalog]`.
- Relative paths are relative to the file. In `url`, `password_file` and `root`, `{home}` stands for `home`.
- `photolineage run --photos DIR` stores the sources that it adds in `<home>/sources.toml`.
- When you rename a `[sources.<key>]` or remove it, also use `photolineage sources`
  ([how](operations.md#a-source-gets-another-name-or-another-folder)).
- The Dagster UI reads the configuration when it starts, and when you choose **Deployment → Reload**.

## Which configuration of the current folder is used

A configuration can name programs to run and models to load, and it may have come with a folder that you downloaded. So
a `photolineage.toml` in the current folder is used only if your list of trusted configurations has its path and its
content:

```sh
photolineage init         # writes a photolineage.toml and trusts it
photolineage trust FILE   # trusts the file as it is now, for example after you edited it
```

In a terminal, a command that finds another one shows what it names and asks whether to use it. Elsewhere, the command
fails and says what to do. Each command that uses it says `Using ./photolineage.toml`. A file that you name with
`--config` needs no trust. The UI keeps the file that it started with, also when you edit it and choose **Reload**.

Photolineage refuses even a trusted one if its folder contains photos or the file belongs to another user. The list is
`trusted.json` in Photolineage's folder of your data directory (`~/.local/share/photolineage` on Linux).
"""
SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("At the top of the file", Settings),
    ("`[catalog]`", CatalogSettings),
    ("`[sources.<key>]`", SourceSettings),
    ("`[models.<key>]`", ModelSettings),
    ("`[decoding]`", DecodingSettings),
    ("`[verification]`", VerificationSettings),
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
            f"## {title}\n\n| Setting | Default | What it does |\n| --- | --- | --- |\n" + "\n".join(rows)
        )
    return "\n".join(f"{part.strip()}\n" for part in parts)


def _row(name: str, field: FieldInfo) -> str:
    assert field.description is not None
    return f"| `{name}` | {_default(field)} | {field.description.replace('|', chr(92) + '|')} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined or value is None or isinstance(value, Path) or value in ([], ()):
        return "–"
    if isinstance(value, list | tuple):
        return (
            f"{len(value)} entries" if len(value) > SHOWN_ITEMS else ", ".join(f"`{item}`" for item in value)
        )
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    sys.stdout.write(settings_document())
