"""Finds the configuration file, and the home of a library if its configuration names none."""

import json
import os
import re
from collections import deque
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import mkstemp

import platformdirs
from filelock import FileLock

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


class UntrustedConfigurationError(ConfigurationError):
    """The configuration in the working directory is not in the user's list, or has changed since it was added."""

    def __init__(self, file: Path, *, changed: bool) -> None:
        self.file = file
        self.reason = (
            "it has changed since you trusted it"
            if changed
            else "it is not in your list of trusted configurations"
        )
        super().__init__(
            f"{file} is not used, because {self.reason}. A configuration can name programs to run and models to load. "
            f"Read it. If you trust it, run `photolineage trust {file}`, or name it: `photolineage --config {file} …`."
        )


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
    2. `photolineage.toml` in the working directory, if the user trusts it (see `trust`),
    3. `photolineage.toml` in the user's configuration directory (`~/.config/photolineage` on Linux),
    4. with `or_demo`, and until the user has their own library: the demo's,
    5. the built-in one.

    Raises ConfigurationError if the file in the working directory may be somebody else's, and
    UntrustedConfigurationError if the user has not said that they trust it as it is now.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named).expanduser().resolve()
    here = Path.cwd() / FILE_NAME
    if here.is_file():
        require_own(here)
        _require_trusted(here)
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


def require_own(file: Path) -> None:
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


def trusted_list() -> Path:
    """The user's list of trusted configurations: JSON, the SHA-256 digest of each by its path."""
    return user_folder() / "trusted.json"


def trust(file: Path) -> None:
    """Add a configuration, as it is now, to the user's list. Raises ConfigurationError if it may be somebody else's."""
    require_own(file)
    place = trusted_list()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(place.with_suffix(".lock"), mode=0o600):
            digests = _trusted_digests() | {str(file): _digest(file)}
            descriptor, partial = mkstemp(dir=place.parent, prefix=".trusted-")  # readable by the user alone
            try:
                with os.fdopen(descriptor, "w") as written:
                    json.dump(digests, written, indent=2)
                    written.flush()
                    os.fsync(written.fileno())
                os.replace(partial, place)
            except BaseException:
                os.unlink(partial)
                raise
    except OSError as error:
        raise ConfigurationError(f"{place} cannot be written: {error.strerror or error}") from error


def _require_trusted(file: Path) -> None:
    digest = _trusted_digests().get(str(file))
    if digest != _digest(file):
        raise UntrustedConfigurationError(file, changed=digest is not None)


def _trusted_digests() -> dict[str, str]:
    place = trusted_list()
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigurationError(f"{place} cannot be read: {error.strerror or error}") from error
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(digest, str) for digest in found.values()):
        raise ConfigurationError(
            f"{place}, your list of trusted configurations, is damaged: it is not a JSON object of paths and digests. "
            "Delete it; Photolineage then asks about each configuration again."
        )
    return found


def _digest(file: Path) -> str:
    try:
        return sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror or error}") from error


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
