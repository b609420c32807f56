"""The one error that reading an original raises."""

from catalog.image_facts import FailureReason


class UnreadableImageError(Exception):
    """An original that yields no image: `reason` for the catalog, `detail` for a person."""

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
