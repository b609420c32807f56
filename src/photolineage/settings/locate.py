"""Finds the configuration file, and the home of a library if its configuration names none."""

import os
import re
from collections import deque
from contextlib import suppress
from pathlib import Path

import platformdirs

from photolineage.errors import PhotolineageError

CONFIG_VARIABLE = "PHOTOLINEAGE_CONFIG"
OWN_LIBRARY_VARIABLES = ("PHOTOLINEAGE_HOME", "PHOTOLINEAGE_CATALOG__URL")
FILE_NAME = "photolineage.toml"
BUILT_IN = Path(__file__).resolve().with_name(FILE_NAME)
"""The configuration that is used if you write none. `photolineage init` copies it."""

ADDED_SOURCES = "sources.toml"
"""The file of a home that holds the sources added by `photolineage run --photos`."""

PHOTO_NAME = re.compile(r".+\.(jpe?g|hei[cf]|avif|tiff?|dng|cr[23]|nef|arw|orf|rw2|raf)", re.IGNORECASE)
MOST_ENTRIES = 10_000


class ConfigurationError(PhotolineageError):
    """A setting is wrong. The message names the setting, its value, the reason and the valid choices."""


def user_folder() -> Path:
    """Photolineage's folder in the user's data directory (`~/.local/share/photolineage` on Linux)."""
    return platformdirs.user_data_path("photolineage")


def default_home() -> Path:
    """The home of a library if its configuration names none."""
    return user_folder() / "library"


def demo_config_file() -> Path:
    """The demo's configuration; `photolineage demo` writes it."""
    return user_folder() / "demo" / FILE_NAME


def find_config_file(*, or_demo: bool = True) -> Path:
    """The configuration to use: the first of these that exists.

    1. the file that `$PHOTOLINEAGE_CONFIG` names (`--config` sets it),
    2. `photolineage.toml` in the working directory,
    3. `photolineage.toml` in the user's configuration directory (`~/.config/photolineage` on Linux),
    4. with `or_demo`, and until the user has their own library: the demo's,
    5. the built-in one.

    Raises ConfigurationError if the file in the working directory may be somebody else's.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named).expanduser().resolve()
    here = Path.cwd() / FILE_NAME
    if here.is_file():
        _require_own(here)
        return here
    of_user = platformdirs.user_config_path("photolineage") / FILE_NAME
    if of_user.is_file():
        return of_user
    has_library = (default_home() / ADDED_SOURCES).is_file() or any(
        map(os.environ.get, OWN_LIBRARY_VARIABLES)
    )
    if or_demo and not has_library and demo_config_file().is_file():
        return demo_config_file()
    return BUILT_IN


def _require_own(file: Path) -> None:
    """Refuse a configuration that may have come with photos: it can name models to load and commands to run."""
    if file.stat().st_uid not in {os.geteuid(), 0}:
        reason = "it belongs to another user"
    elif (among_photos := why_among_photos(file.parent)) is not None:
        reason = among_photos
    else:
        return
    raise ConfigurationError(
        f"{file} is not used, because {reason}. Somebody else may have written it, and a configuration can name "
        f"programs to run. If it is yours, name it: `photolineage --config {file} …`. Otherwise work in another folder."
    )


def why_among_photos(folder: Path) -> str | None:
    """Why a configuration in this folder may have come with photos: the photo, in it or below; None if there is none.

    Folders are looked through level by level. One with too many entries counts as a folder of photos.
    """
    folders = deque([folder])
    seen = 0
    while folders:
        with suppress(PermissionError), os.scandir(folders.popleft()) as entries:
            for entry in entries:
                seen += 1
                if seen > MOST_ENTRIES:
                    return f"it is above more than {MOST_ENTRIES:,} files and folders, which may be photos"
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif PHOTO_NAME.fullmatch(entry.name):
                    return f"it is in or above a folder of photos ({Path(entry.path).relative_to(folder)})"
    return None
