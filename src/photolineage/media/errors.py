"""The errors that reading an original raises."""

from photolineage.catalog.vocabulary import FailureReason


class UnreadableImageError(Exception):
    """An original that yields no image: `reason` for the catalog, `detail` for a person."""

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class ChangedOriginalError(Exception):
    """An original whose bytes are no longer those that were registered."""

    def __init__(self, registered: str, found: str) -> None:
        super().__init__(f"its content is no longer what was registered: {found} now, {registered} then")
