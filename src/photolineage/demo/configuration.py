"""The demo's own configuration and home folder: it never changes a library of the user."""

from pathlib import Path

from photolineage.plain_text import toml_string
from photolineage.settings import Settings, demo_config_file, load_settings
from photolineage.stores.files import write_atomically

SOURCE = "demo"
MODELS = Path(__file__).parent / "models"

TEMPLATE = """# `photolineage demo` overwrites this file each time it runs.
home = "home"

[sources.demo]
root = "photos"
removable = true

[models.demo-clip-v1]
architecture = {v1}

[models.demo-clip-v2]
architecture = {v2}
"""


def demo_settings() -> Settings:
    """Write the demo's configuration and load it. Environment variables are ignored."""
    file = demo_config_file()
    text = TEMPLATE.format(
        **{key: toml_string(f"local-dir:{MODELS}/demo-clip-{key}") for key in ("v1", "v2")}
    )
    write_atomically(file, lambda partial: partial.write_text(text, encoding="utf-8"))
    return load_settings(file, environment=False)
