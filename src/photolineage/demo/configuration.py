"""The demo's own configuration and home, so that it never touches a library of the user's."""

from pathlib import Path

from photolineage.settings import Settings, demo_config_file, load_settings
from photolineage.stores.files import write_atomically

SOURCE = "demo"
MODELS = Path(__file__).parent / "models"

TEMPLATE = """# Written by `photolineage demo`, each time that it runs.
home = "home"

[sources.demo]
root = "photos"
removable = true

[models.demo-clip-v1]
architecture = 'local-dir:{models}/demo-clip-v1'

[models.demo-clip-v2]
architecture = 'local-dir:{models}/demo-clip-v2'
"""


def demo_settings() -> Settings:
    """The demo's settings, from a configuration that is written anew; no environment variable changes them."""
    file = demo_config_file()
    text = TEMPLATE.format(models=MODELS)
    write_atomically(file, lambda partial: partial.write_text(text, encoding="utf-8"))
    return load_settings(file, environment=False)
