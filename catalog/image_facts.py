"""The closed vocabularies of what reading an original can tell about it."""

from enum import StrEnum


class TakenAtSource(StrEnum):
    """Where the time at which an image was taken came from, the most trustworthy first."""

    EXIF = "exif"
    GPS = "gps"
    FILE_NAME = "file_name"
    FILE_TIME = "file_time"


class FailureReason(StrEnum):
    """Why an original could not be read; `too_large` includes decompression bombs."""

    EMPTY = "empty"
    UNSUPPORTED = "unsupported"
    CORRUPT = "corrupt"
    TOO_LARGE = "too_large"
    VANISHED = "vanished"
    PERMISSION_DENIED = "permission_denied"
    UNREADABLE = "unreadable"
