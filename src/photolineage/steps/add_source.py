"""The sources that `photolineage run --photos` adds, in their own file beside the catalog."""

import re
from pathlib import Path

from filelock import FileLock

from photolineage.plain_text import encodable, printable, toml_string
from photolineage.settings import ConfigurationError, Settings, load_settings
from photolineage.stores.files import write_atomically
from photolineage.stores.root_folder import RootFolder


def add_source(settings: Settings, root: Path) -> str:
    """The key of the source with this root. A missing source is added to `home/sources.toml`.

    Several processes may add sources at once; each gets a different key. Raises ConfigurationError if `root` is not a
    directory, or if the configuration cannot hold its name, and StorageError.
    """
    root = root.expanduser().resolve()
    if (known := _key_of(root, settings)) is not None:
        return known
    if not root.is_dir():
        raise ConfigurationError(f"--photos {printable(root)}: no such directory")
    if str(root) != encodable(root):
        raise ConfigurationError(
            f"--photos {printable(root)}: the folder name is not valid UTF-8, so the configuration cannot "
            "hold it. Rename the folder, or add its parent folder: names inside a source can have any bytes."
        )
    settings.home.mkdir(parents=True, exist_ok=True)
    with FileLock(RootFolder(settings.home).inner("sources.lock")):
        settings = load_settings(settings.config_file)  # another process may have added sources
        key = _key_of(root, settings) or _free_key(root, settings)
        if key not in settings.sources:
            file = settings.added_sources_file
            text = file.read_text(encoding="utf-8") if file.is_file() else ""
            text += f"[sources.{toml_string(key)}]\nroot = {toml_string(str(root))}\nremovable = true\n\n"
            write_atomically(file, lambda partial: partial.write_text(text, encoding="utf-8"))
    return key


def _key_of(root: Path, settings: Settings) -> str | None:
    return next((key for key, source in settings.sources.items() if source.root == root), None)


def _free_key(root: Path, settings: Settings) -> str:
    stem = re.sub(r"[^a-z0-9._-]+", "-", root.name.lower()).strip("-._")[:40] or "photos"
    names = (stem, *(f"{stem}-{n}" for n in range(2, len(settings.sources) + 3)))
    return next(name for name in names if name not in settings.sources)
