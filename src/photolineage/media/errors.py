"""Errors of reading an original."""

from photolineage.catalog.vocabulary import FailureReason
from photolineage.errors import PhotolineageError


class UnreadableImageError(Exception):
    """An original cannot be read as an image. `reason` goes to the catalog; `detail` is for people."""

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class ChangedOriginalError(Exception):
    """The bytes of an original have changed since it was registered."""

    def __init__(self, registered: str, found: str) -> None:
        super().__init__(registered, found)
        self.registered = registered
        self.found = found

    def __str__(self) -> str:
        return f"its content has changed since it was registered: the hash is {self.found}, and was {self.registered}"


class DecoderUnavailableError(PhotolineageError):
    """The process that decodes images cannot be started."""
