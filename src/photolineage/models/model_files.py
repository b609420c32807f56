"""The files that a model is loaded from: safetensors and tokenizer data, and nothing outside the model's folder."""

import os
import re
from collections.abc import Iterator
from hashlib import file_digest
from pathlib import Path

from photolineage.models.unavailable import ModelUnavailableError
from photolineage.settings import ModelSettings
from photolineage.settings.sections import HUB, LOCAL_DIRECTORY

CONFIGURATION = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"
MOST_BYTES = {CONFIGURATION: 2**20}
MOST_BYTES_OF_OTHERS = 2**28
"""For the files beside the weights. The largest tokenizers of open_clip's models take 35 MB."""
MOST_FILES = 1_000


def require_plain_files(key: str, settings: ModelSettings) -> None:
    """Raise ModelUnavailableError if a model's folder has an entry that could lead or keep a reader elsewhere.

    These are links that leave the folder, pipes and devices, and files too large for what they are. A folder in the
    hub's cache may link to the files of its own repository.
    """
    if not settings.architecture.startswith(LOCAL_DIRECTORY):
        return
    folder = Path(settings.architecture.removeprefix(LOCAL_DIRECTORY)).resolve()
    root = folder.parents[1] if folder.parent.name == "snapshots" else folder
    for number, path in enumerate(_entries(folder), 1):
        reason = (
            f"it holds more than {MOST_FILES:,} files" if number > MOST_FILES else _why_refused(path, root)
        )
        if reason is not None:
            raise ModelUnavailableError(
                f"models.{key}: {settings.architecture} was not loaded: {reason}. The folder of a model holds "
                f"{CONFIGURATION}, {WEIGHTS} and the files of its tokenizer. Copy them into a folder of their own."
            )


def _entries(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *files))


def _why_refused(path: Path, root: Path) -> str | None:
    found = path.resolve()
    if not found.is_relative_to(root):
        return f"{path} is a link that leaves the folder"
    if found.is_dir():
        return None
    if not found.is_file():
        return f"{path} is not a file"
    if path.suffix == ".safetensors":  # the loader maps it into memory and checks its length
        return None
    size, most = found.stat().st_size, MOST_BYTES.get(path.name, MOST_BYTES_OF_OTHERS)
    if size > most and path.suffix in {".json", ".txt", ".model", ".jinja"}:
        return f"{path} has {size:,} bytes, and {most:,} are enough"
    return None


def require_safe_weights(key: str, settings: ModelSettings) -> None:
    """Download the weights of a model if need be, and refuse those that could hold code.

    Folders and repositories must have safetensors, which cannot hold code. A pretrained tag of open_clip may name
    another format if it is known which bytes the file must have. Raises ModelUnavailableError, and open_clip's errors.
    """
    import open_clip
    from open_clip.pretrained import download_pretrained_from_hf

    name = settings.architecture
    if name.startswith(LOCAL_DIRECTORY):
        file = Path(name.removeprefix(LOCAL_DIRECTORY), WEIGHTS)
        if not file.is_file():
            raise ModelUnavailableError(
                f"models.{key}: {name} cannot be loaded: {WEIGHTS} is missing. The weights of a folder must have this "
                "name and format, because other formats can hold code. docs/models.md says how to convert them."
            )
        return
    if name.startswith(HUB):
        download_pretrained_from_hf(name.removeprefix(HUB), filename=WEIGHTS)
        return
    published = open_clip.get_pretrained_cfg(name, settings.pretrained)
    file = Path(open_clip.download_pretrained(published))
    if file.suffix != ".safetensors" and not _is_known(file, published.get("url", "")):
        raise ModelUnavailableError(
            f"models.{key}: {name} ({settings.pretrained}) was not loaded: {file} is not safetensors, and it is not "
            "the file that was published. Somebody may have replaced it. Delete it, so that it is downloaded again."
        )


def _is_known(file: Path, url: str) -> bool:
    """Whether the file has the SHA-256 digest of its download: the hub's cache and the older addresses name it."""
    blob = file.resolve()
    if blob.parent.name == "blobs":
        expected = blob.name
    elif file.name == url.rpartition("/")[2]:
        expected = url.split("/")[-2] if "openaipublic" in url else file.stem.rpartition("-")[2]
    else:
        return False
    if not re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{64}", expected):
        return False
    with file.open("rb") as read:
        return file_digest(read, "sha256").hexdigest().startswith(expected)
