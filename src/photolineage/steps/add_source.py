"""The sources that `photolineage run --photos` adds: `home/sources.toml`, which no person has to edit."""

import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
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
    with _locked(settings):
        settings = load_settings(settings.config_file)  # another process may have added sources
        key = _key_of(root, settings) or _free_key(root, settings)
        if key not in settings.sources:
            _write(settings, _text(settings) + _section(key, root))
    return key


def is_added(settings: Settings, key: str) -> bool:
    """Whether `photolineage run --photos` has added the source, so that `change_added` can change it."""
    return key in tomllib.loads(_text(settings)).get("sources", {})


def change_added(settings: Settings, key: str, changed: tuple[str, Path] | None) -> None:
    """Give an added source this key and root in `home/sources.toml`, or remove it from there.

    Settings that somebody has written into its section are kept. Raises ConfigurationError if that does not succeed.
    """
    with _locked(settings):
        before = tomllib.loads(_text(settings))["sources"]
        text = "".join(_changed_lines(_text(settings), key, changed))
        wanted = {name: section for name, section in before.items() if name != key}
        if changed is not None:
            wanted[changed[0]] = {**before[key], "root": str(changed[1])}
        if _sources_in(text) != wanted:
            raise ConfigurationError(
                f"{settings.added_sources_file}: [sources.{key}] cannot be changed automatically. Change it by hand, "
                "and run the command again."
            )
        _write(settings, text)


def _changed_lines(text: str, key: str, changed: tuple[str, Path] | None) -> Iterator[str]:
    header = re.compile(rf"\[sources\.({re.escape(toml_string(key))}|{re.escape(key)})\]\s*")
    mine = False
    for line in text.splitlines(keepends=True):
        if line.startswith("["):
            mine = header.fullmatch(line) is not None
        if not mine:
            yield line
        elif changed is not None:
            if line.startswith("["):
                yield f"[sources.{toml_string(changed[0])}]\n"
            elif re.match(r"root\s*=", line):
                yield f"root = {toml_string(str(changed[1]))}\n"
            else:
                yield line


def _sources_in(text: str) -> object:
    try:
        return tomllib.loads(text).get("sources", {})
    except tomllib.TOMLDecodeError:
        return None


@contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    with FileLock(RootFolder(settings.home).inner("sources.lock")):
        yield


def _text(settings: Settings) -> str:
    file = settings.added_sources_file
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _write(settings: Settings, text: str) -> None:
    write_atomically(settings.added_sources_file, lambda partial: partial.write_text(text, encoding="utf-8"))


def _section(key: str, root: Path) -> str:
    return f"[sources.{toml_string(key)}]\nroot = {toml_string(str(root))}\nremovable = true\n\n"


def _key_of(root: Path, settings: Settings) -> str | None:
    return next((key for key, source in settings.sources.items() if source.root == root), None)


def _free_key(root: Path, settings: Settings) -> str:
    stem = re.sub(r"[^a-z0-9._-]+", "-", root.name.lower()).strip("-._")[:40] or "photos"
    names = (stem, *(f"{stem}-{n}" for n in range(2, len(settings.sources) + 3)))
    return next(name for name in names if name not in settings.sources)
